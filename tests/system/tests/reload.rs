//! A configuration that is read again while the worker runs: all of it counts, or nothing does, and nobody is refused.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::ensure;
use nix::sys::signal::Signal;
use system_tests::{HonestSender, Told, WorkerProcess, WorkerSettings};
use tallyfy_sim::{SimConfig, Simulator};
use tempfile::TempDir;

const SECRET: &str = "3b1f0c8e5a7d49629f8e7a6b5c4d3e2f";
const PATIENCE: Duration = Duration::from_secs(30);

struct Place {
    folder: TempDir,
    sim: Simulator,
}

impl Place {
    async fn new() -> anyhow::Result<Self> {
        Ok(Self {
            folder: tempfile::tempdir()?,
            sim: Simulator::start(SimConfig::default()).await?,
        })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the configuration, with more in it.
    fn write(&self, sections: &str, handlers: &str) -> anyhow::Result<()> {
        let (base_url, org, token) = (self.sim.base_url(), self.sim.org(), self.sim.token());
        let text = format!(
            "{sections}\n[api]\nbase_url = \"{base_url}\"\nrequests_per_five_seconds = 0\n[reconcile]\nscope = \"off\"\n[[organizations]]\n\
             id = \"{org}\"\ntoken = \"{token}\"\nwebhook_secrets = [\"{SECRET}\"]\n{handlers}"
        );
        Ok(std::fs::write(self.at("worker.toml"), text)?)
    }

    /// A worker that listens at these addresses, as they are in the configuration.
    async fn worker(&self) -> anyhow::Result<WorkerProcess> {
        let settings = WorkerSettings::of_file(&self.at("worker.toml"), &self.at("data"));
        WorkerProcess::start(&settings).await
    }
}

fn file_handler(name: &str, events: &str) -> String {
    format!(
        "[[handlers]]\nname = \"{name}\"\ntype = \"file\"\npath = \"{name}.jsonl\"\n[handlers.filter]\nevents = [\"{events}\"]\n"
    )
}

async fn lines(file: &Path, enough: usize) -> anyhow::Result<()> {
    let there = async {
        while std::fs::read_to_string(file).map_or(0, |text| text.lines().count()) < enough {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, there).await;
    waited.map_err(|_| anyhow::anyhow!("{} has no {enough} lines", file.display()))
}

fn count(log: &[String], words: &str) -> usize {
    log.iter().filter(|line| line.contains(words)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_filters_and_limits_are_taken_over_and_nobody_is_refused() -> anyhow::Result<()> {
    let place = Place::new().await?;
    place.write("receive.max_body_bytes = 100000", &file_handler("first", "seen"))?;
    let mut worker = place.worker().await?;
    let url = format!("http://{}/webhooks/{SECRET}", worker.receive_address());
    let (sender, done) = (
        Arc::new(HonestSender::new(&url, place.sim.org())?),
        Arc::new(AtomicBool::new(false)),
    );
    let sending = tokio::spawn({
        let (sender, done) = (Arc::clone(&sender), Arc::clone(&done));
        async move {
            let mut number = 0;
            while !done.load(Ordering::SeqCst) {
                number += 1;
                let (told, _) = sender.send(number, PATIENCE).await;
                ensure!(told == Told::Answered(202), "{told:?} to webhook {number}");
            }
            Ok(number)
        }
    });
    place.sim.set_webhook_url(Some(&url))?;
    place.sim.launch("Order 1")?;
    lines(&place.at("first.jsonl"), 1).await?;

    // Another filter for the one, a second one, a limit, and a log that says more.
    let handlers = file_handler("first", "completed") + &file_handler("second", "seen");
    place.write("log.filter = \"debug\"\nreceive.max_body_bytes = 2000", &handlers)?;
    worker.signal(Signal::SIGHUP)?;
    worker
        .wait_for_log(|line| {
            line.contains("was taken over") && line.contains("handlers") && line.contains("max_body_bytes")
        })
        .await?;
    let run = place.sim.launch("Order 2")?;
    lines(&place.at("second.jsonl"), 1).await?;
    place.sim.change(|world| world.complete_overdue(&run))?;
    sender.send(1_000_000, PATIENCE).await;
    place.sim.settle().await;
    let long = format!(
        r#"{{"this_task":{{"id":"t1"}},"process":{{"id":"{run}"}},"note":"{}"}}"#,
        "x".repeat(3000)
    );
    ensure!(status(&worker, place.sim.org(), &long).await? == "413");
    let short = format!(r#"{{"process":{{"id":"{run}"}},"event":"process.updated"}}"#);
    ensure!(status(&worker, place.sim.org(), &short).await? == "202");
    lines(&place.at("first.jsonl"), 2).await?;
    worker.wait_for_log(|line| line.contains(r#""level":"DEBUG""#)).await?;

    done.store(true, Ordering::SeqCst);
    ensure!(sending.await?? > 0);
    let exit = worker.terminate().await?;
    ensure!(exit.status.success(), "{exit:?}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_taken_over_changes_nothing_and_the_log_says_why() -> anyhow::Result<()> {
    let place = Place::new().await?;
    let before = file_handler("first", "seen");
    place.write("", &before)?;
    let mut worker = place.worker().await?;
    let moved = format!("intake.dirs = [\"{}\"]", place.at("elsewhere").display());
    let bad = "[[handlers]]\nname = \"bad\"\ntype = \"http\"\nurl = \"ftp://example.com/\"\n".to_owned();
    for (sections, handlers, reason) in [
        ("", file_handler("first", "sean"), "did you mean"),
        ("", before.clone() + &before, "another handler is called"),
        ("", bad, "url"),
        ("receive.max_body_bytes = 0", before.clone(), "max_body_bytes"),
        ("receive.max_body_byte = 1", before.clone(), "max_body_byte"),
        (&moved, before.clone(), "intake.dirs"),
        ("log.format = \"text\"", file_handler("second", "seen"), "log.format"),
        ("this is no TOML", before.clone(), "worker.toml"),
    ] {
        place.write(sections, &handlers)?;
        let already = count(&worker.log(), "not taken over");
        worker.signal(Signal::SIGHUP)?;
        worker
            .wait_for_log_lines(|log| count(log, "not taken over") > already)
            .await?;
        let log = worker.log();
        let said = log.iter().rfind(|line| line.contains("not taken over"));
        ensure!(said.is_some_and(|said| said.contains(reason)), "{reason}: {said:?}");
        let body = format!(r#"{{"process":{{"id":"r{already}"}},"event":"process.updated"}}"#);
        ensure!(status(&worker, place.sim.org(), &body).await? == "202");
    }
    ensure!(count(&worker.log(), "stopping") == 0, "it went on");
    // The same again, or only another order, is no change.
    place.write("", &before)?;
    worker.signal(Signal::SIGHUP)?;
    worker.wait_for_log(|line| line.contains("were read again")).await?;
    ensure!(count(&worker.log(), "stopping") == 0);
    place
        .sim
        .set_webhook_url(Some(&format!("http://{}/webhooks/{SECRET}", worker.receive_address())))?;
    place.sim.launch("Order")?;
    lines(&place.at("first.jsonl"), 1).await?;
    ensure!(worker.terminate().await?.status.success());
    Ok(())
}

#[tokio::test]
async fn a_socket_in_the_file_system_stays_over_a_reload_and_goes_at_the_stop() -> anyhow::Result<()> {
    let place = Place::new().await?;
    let door = place.at("door");
    place.write("", &file_handler("first", "seen"))?;
    let settings = WorkerSettings::of_file(&place.at("worker.toml"), &place.at("data"));
    let listen = format!("127.0.0.1:0,unix:{}", door.display());
    let mut worker = WorkerProcess::start(&settings.with("RUNS_WORKER_LISTEN", &listen)).await?;
    let address = worker.receive_address();
    for round in 1..=3 {
        place.write(
            &format!("receive.max_body_bytes = {round}000"),
            &file_handler("first", "seen"),
        )?;
        worker.signal(Signal::SIGHUP)?;
        worker
            .wait_for_log_lines(|log| count(log, "the configuration was taken over") == round)
            .await?;
        tokio::net::UnixStream::connect(&door).await?;
        tokio::net::TcpStream::connect(address).await?;
    }
    ensure!(worker.terminate().await?.status.success());
    ensure!(!door.exists() && tokio::net::TcpStream::connect(address).await.is_err());
    Ok(())
}

/// The status that a webhook with this body gets.
async fn status(worker: &WorkerProcess, org: &str, body: &str) -> anyhow::Result<String> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(worker.receive_address()).await?;
    let request = format!(
        "POST /webhooks/{SECRET} HTTP/1.1\r\nhost: t\r\nx-tallyfy-orgid: {org}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.split(' ').nth(1).unwrap_or_default().to_owned())
}
