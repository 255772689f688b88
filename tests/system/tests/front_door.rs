//! Strangers at the door, requests that are none, and several doors.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use serde_json::Value;
use system_tests::{HonestSender, NeverReading, Stage, Told, WorkerProcess, WorkerSettings};
use tallyfy_sim::SimConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// Within this an honest sender is answered, whatever strangers do.
const LONGEST: Duration = Duration::from_secs(1);
/// Whoever waits longer than this is starved.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_who_ask_and_never_read_do_not_delay_an_honest_sender() -> anyhow::Result<()> {
    for (places, attackers) in [(Some("256"), 500), (None, 500)] {
        let mut environment = vec![("RUNS_WORKER__LOG__FILTER", "warn,runs_worker::start=info")];
        environment.extend(places.map(|places| ("RUNS_WORKER__RECEIVE__MAX_CONNECTIONS", places)));
        let stage = Stage::set(SimConfig::default(), &environment).await?;
        // This is about receiving: nothing is fetched meanwhile.
        stage.sim.revoke_tokens();
        let sender = Arc::new(HonestSender::new(&stage.webhook_url(), stage.sim.org())?);
        let attackers = NeverReading::begin(stage.worker.receive_address(), attackers);
        let mut took = Vec::new();
        for number in 0..100 {
            let (told, time) = sender.send(number, PATIENCE).await;
            ensure!(
                told == Told::Answered(202),
                "{told:?} after {time:?} with {places:?} places"
            );
            took.push(time);
        }
        drop(attackers);
        let slowest = took.iter().max().copied().unwrap_or_default();
        ensure!(slowest < LONGEST, "{slowest:?} with {places:?} places: {took:?}");
    }
    Ok(())
}

#[tokio::test]
async fn requests_that_die_below_the_routes_are_counted_and_told_now_and_then() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[]).await?;
    let door = stage.worker.receive_address();
    let many_headers = format!("GET / HTTP/1.1\r\nhost: t\r\n{}\r\n", "x-a: b\r\n".repeat(200));
    let large_cookie = format!("GET / HTTP/1.1\r\nhost: t\r\ncookie: {}\r\n\r\n", "c".repeat(60_000));
    for (reason, hint, requests) in [
        (
            "tls",
            "plain HTTP",
            vec![b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()],
        ),
        (
            "proxy protocol",
            "PROXY protocol off",
            vec![
                b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\r\nGET / HTTP/1.1\r\nhost: t\r\n\r\n".to_vec(),
                b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec(),
            ],
        ),
        (
            "headers too large",
            "headers",
            vec![many_headers.into(), large_cookie.into()],
        ),
        ("http/2", "HTTP/1.1", vec![b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()]),
        ("malformed", "no HTTP/1.1", vec![b"\0\0\0\0\r\n\r\n".to_vec()]),
    ] {
        for request in &requests {
            let mut stream = TcpStream::connect(door).await?;
            // It may be closed before it has read everything.
            drop(stream.write_all(request).await);
            drop(stream.read_to_end(&mut Vec::new()).await);
        }
        let counted = format!(
            "runs_worker_requests_unreadable_total{{reason=\"{reason}\"}} {}",
            requests.len()
        );
        wait_for_metric(&stage, &counted).await?;
        let told = warnings(&stage, |line| line["reason"] == reason);
        ensure!(told.len() == 1, "one line, not one for each request: {told:?}");
        ensure!(told[0]["hint"].to_string().contains(hint), "{told:?}");
    }
    Ok(())
}

#[tokio::test]
async fn unknown_addresses_are_counted_and_told_with_a_hint_and_without_the_address() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[]).await?;
    let secret = stage.webhook_url().rsplit('/').next().context("a secret")?.to_owned();
    for path in [format!("/hook/{secret}"), "/".to_owned(), "/webhooks/guess".to_owned()] {
        let mut stream = TcpStream::connect(stage.worker.receive_address()).await?;
        let request = format!("POST {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{{}}");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        ensure!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    }
    wait_for_metric(&stage, "runs_worker_webhooks_refused_total{reason=\"not found\"} 3").await?;
    let told = warnings(&stage, |line| line["message"].to_string().contains("unknown address"));
    ensure!(told.len() == 1, "{told:?}");
    ensure!(told[0]["hint"].to_string().contains("valid secret"), "{told:?}");
    let log = stage.worker.log().join("\n");
    ensure!(!log.contains(&secret) && !log.contains("/hook/"), "{log}");
    Ok(())
}

#[tokio::test]
async fn every_address_of_a_list_is_served_and_a_unix_socket_too() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[]).await?;
    let door = stage.folder().join("door");
    let listen = format!("127.0.0.1:0, [::1]:0 ,unix:{}", door.display());
    let mut worker = WorkerProcess::start(&another(&stage).with("RUNS_WORKER_LISTEN", &listen)).await?;
    let addresses = worker.receive_addresses();
    ensure!(addresses.len() == 3, "{addresses:?}");
    for address in &addresses {
        ensure!(status_at(address).await?.contains(" 404 "), "{address}");
    }
    worker.kill().await?;
    ensure!(door.exists(), "a worker that is killed leaves the socket behind");
    let mut worker = WorkerProcess::start(&another(&stage).with("RUNS_WORKER_LISTEN", &listen)).await?;
    ensure!(status_at(&format!("unix:{}", door.display())).await?.contains(" 404 "));
    worker.terminate().await?;
    ensure!(!door.exists(), "one that is stopped takes it away");
    Ok(())
}

#[tokio::test]
async fn every_socket_that_is_handed_over_is_served() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[]).await?;
    let path = stage.folder().join("door");
    let tcp = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = tcp.local_addr()?;
    let unix = std::os::unix::net::UnixListener::bind(&path)?;
    // What systemd passes as numbers 3 and 4 is passed as two others that follow each other.
    let first = fcntl_dupfd_cloexec(&tcp, 100)?;
    let second = fcntl_dupfd_cloexec(&unix, 101)?;
    for descriptor in [&first, &second] {
        fcntl_setfd(descriptor, FdFlags::empty())?;
    }
    let settings = another(&stage)
        .with("LISTEN_FDS", "2")
        .with("LISTEN_FDNAMES", "receive:receive")
        .with("LISTEN_FDS_FIRST_FD", "100");
    let mut worker = WorkerProcess::start(&settings).await?;
    for address in [address.to_string(), format!("unix:{}", path.display())] {
        ensure!(status_at(&address).await?.contains(" 404 "), "{address}");
    }
    worker.terminate().await?;
    ensure!(path.exists(), "a socket of somebody else is left alone");
    Ok(())
}

/// A second worker beside the one of the stage.
fn another(stage: &Stage) -> WorkerSettings {
    let data = stage.folder().join("another").display().to_string();
    let settings = stage.settings().clone().with("RUNS_WORKER_DATA_DIR", &data);
    settings
        .with("RUNS_WORKER_LISTEN", "127.0.0.1:0")
        .with("RUNS_WORKER_ADMIN_LISTEN", "127.0.0.1:0")
}

/// The status line of an answer at this address.
async fn status_at(address: &str) -> anyhow::Result<String> {
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n";
    let mut answer = String::new();
    match address.strip_prefix("unix:") {
        Some(path) => {
            let mut stream = UnixStream::connect(Path::new(path)).await?;
            stream.write_all(REQUEST).await?;
            stream.read_to_string(&mut answer).await?;
        }
        None => {
            let mut stream = TcpStream::connect(address).await?;
            stream.write_all(REQUEST).await?;
            stream.read_to_string(&mut answer).await?;
        }
    }
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

/// Waits until a line of the metrics is there. The connection that it is about may still be ending.
async fn wait_for_metric(stage: &Stage, line: &str) -> anyhow::Result<()> {
    let wanted = async {
        loop {
            let metrics = stage.get("/metrics").await?;
            if metrics.lines().any(|found| found == line) {
                return anyhow::Ok(());
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wanted)
        .await
        .with_context(|| line.to_owned())?
}

fn warnings(stage: &Stage, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let log = stage.worker.log();
    let lines = log.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["level"] == "WARN" && wanted(line)).collect()
}
