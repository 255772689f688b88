//! Webhooks are kept in the intake log whatever the store is doing, and find their way when it can take them again.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::ensure;
use system_tests::{Account, ReceivedEvent, Stage};
use tallyfy_sim::SimConfig;

const NO_WINDOW: (&str, &str) = ("RUNS_WORKER__REFRESH__WINDOW", "0s");

/// The worker does not wait long for its store.
async fn with_an_impatient_worker() -> anyhow::Result<Stage> {
    let impatient = ("RUNS_WORKER__RECEIVE__STORE_TIMEOUT", "100ms");
    let stage = Stage::set(SimConfig::default(), &[NO_WINDOW, impatient]).await?;
    stage.connect_templates()?;
    Ok(stage)
}

/// Launches runs, and completes a task of each.
async fn work(stage: &Stage, runs: usize) -> anyhow::Result<()> {
    for number in 0..runs {
        let run = stage.sim.launch(&format!("Order {number}"))?;
        stage.sim.complete_next(&run)?;
    }
    stage.sim.settle().await;
    Ok(())
}

fn tells_all(events: &[ReceivedEvent], stage: &Stage) -> bool {
    let mut account = Account::default();
    account.add(events);
    account.missing(&stage.sim.ledger().acknowledged()).is_empty()
}

/// Every webhook was answered with 2xx, and what they told of comes out, nothing of it twice.
async fn all_arrives(stage: &Stage) -> anyhow::Result<()> {
    let ledger = stage.sim.ledger();
    assert_eq!(ledger.acknowledged().len(), ledger.len(), "webhooks were turned away");
    let events = stage.worker.wait_for_events(|events| tells_all(events, stage)).await?;
    let mut account = Account::default();
    account.add(&events);
    assert_eq!(account.contradictions(), [""; 0]);
    let told: usize = events.iter().map(|event| event.notifications().len()).sum();
    assert_eq!(told, ledger.len(), "a notification is in two events");
    Ok(())
}

/// Somebody else who has the store's file and lets nobody write.
fn lock(stage: &Stage) -> anyhow::Result<rusqlite::Connection> {
    let connection = rusqlite::Connection::open(stage.folder().join("data/runs.db"))?;
    connection.busy_timeout(std::time::Duration::from_secs(30))?;
    connection.execute_batch("BEGIN IMMEDIATE")?;
    Ok(connection)
}

#[tokio::test]
async fn while_the_store_is_locked_webhooks_are_kept_in_the_log() -> anyhow::Result<()> {
    let stage = with_an_impatient_worker().await?;
    let lock = lock(&stage)?;
    work(&stage, 10).await?;
    let ready = stage.get("/health/ready").await?;
    assert!(ready.contains("wait in the intake log"), "{ready}");
    assert!(stage.worker.events().is_empty());
    let list = ["notifications", "list", "--json"];
    let listed = stage.command(&list).await?.stdout.join("\n");
    let in_the_log = |line: &&str| line.contains(r#""state":"in the intake log""#);
    assert_eq!(
        listed.lines().filter(in_the_log).count(),
        stage.sim.ledger().len(),
        "{listed}"
    );
    drop(lock);
    all_arrives(&stage).await?;
    // What is imported is listed once.
    let listed = stage.command(&list).await?.stdout.join("\n");
    assert_eq!(listed.lines().count(), stage.sim.ledger().len(), "{listed}");
    assert!(!listed.contains("in the intake log"), "{listed}");
    Ok(())
}

#[tokio::test]
async fn what_is_in_the_log_survives_a_kill() -> anyhow::Result<()> {
    let mut stage = with_an_impatient_worker().await?;
    let lock = lock(&stage)?;
    work(&stage, 10).await?;
    // What the worker still wanted to write into the store dies with it.
    let before = stage.worker.kill().await?;
    assert!(before.events().is_empty());
    drop(lock);
    stage.restart().await?;
    all_arrives(&stage).await
}

/// A small disk, unmounted in the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this user may not mount anything.
    #[expect(clippy::print_stderr, reason = "what is skipped is told aloud")]
    fn mount(at: &Path, size: &str) -> anyhow::Result<Option<Self>> {
        fs::create_dir_all(at)?;
        let options = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(at)
            .output();
        if mounted.as_ref().is_ok_and(|mounted| mounted.status.success()) {
            return Ok(Some(Self(at.to_owned())));
        }
        let is_root = rustix::process::geteuid().is_root();
        ensure!(std::env::var_os("CI").is_none() || !is_root, "no tmpfs: {mounted:?}");
        eprintln!("SKIPPED: no small disk can be mounted: {mounted:?}");
        Ok(None)
    }

    /// Fills it up.
    fn fill(&self) -> anyhow::Result<PathBuf> {
        let filler = self.0.join("filler");
        let mut file = fs::File::create(&filler)?;
        while file.write_all(&[0; 4096]).is_ok() {}
        Ok(filler)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The worker may not have let go of it yet.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A worker whose intake log is in `folder`, and its store on `disk`.
async fn with_a_store_on(disk: &SmallDisk, folder: &Path) -> anyhow::Result<Stage> {
    let (data, intake) = (disk.0.join("data"), folder.join("intake"));
    let stage = Stage::set(
        SimConfig::default(),
        &[
            NO_WINDOW,
            ("RUNS_WORKER_DATA_DIR", &data.display().to_string()),
            ("RUNS_WORKER__INTAKE__DIRS", &intake.display().to_string()),
        ],
    )
    .await?;
    stage.connect_templates()?;
    Ok(stage)
}

#[tokio::test]
async fn while_the_disk_of_the_store_is_full_webhooks_are_kept_on_another_one() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let Some(disk) = SmallDisk::mount(&folder.path().join("small"), "24m")? else {
        return Ok(());
    };
    let stage = with_a_store_on(&disk, folder.path()).await?;
    work(&stage, 3).await?;
    let filler = disk.fill()?;
    work(&stage, 40).await?;
    let ready = stage.get("/health/ready").await?;
    assert!(ready.contains("wait in the intake log"), "{ready}");
    fs::remove_file(filler)?;
    all_arrives(&stage).await
}

/// What a load balancer asks is red exactly while a webhook would be refused.
#[tokio::test]
async fn the_probe_of_a_load_balancer_is_red_when_no_disk_takes_bytes() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let Some(disk) = SmallDisk::mount(&folder.path().join("small"), "24m")? else {
        return Ok(());
    };
    let data = disk.0.join("data").display().to_string();
    let environment = [
        ("RUNS_WORKER_DATA_DIR", data.as_str()),
        ("RUNS_WORKER__INTAKE__RESERVE_MEGABYTES", "0"),
    ];
    let stage = Stage::set(SimConfig::default(), &environment).await?;
    let header = [("x-tallyfy-orgid", stage.sim.org())];
    let body = |number: u32, size: usize| {
        let padding = "x".repeat(size);
        format!(r#"{{"this_task":{{"id":"t{number}"}},"process":{{"id":"r1"}},"note":"{padding}"}}"#)
    };
    let answer = stage.post(&header, body(0, 10).as_bytes()).await?;
    ensure!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    let receive = stage.get("/health/receive").await?;
    ensure!(receive.starts_with("HTTP/1.1 200"), "{receive}");
    let filler = disk.fill()?;
    // What was reserved is used up first, and then what is left in between.
    let mut number = 1;
    for size in [100_000, 10_000, 1_000, 10] {
        while !stage
            .post(&header, body(number, size).as_bytes())
            .await?
            .starts_with("HTTP/1.1 503")
        {
            number += 1;
            ensure!(number < 5000, "a full disk takes everything");
        }
    }
    // What was imported meanwhile may have made room again.
    while !stage.get("/health/receive").await?.starts_with("HTTP/1.1 503") {
        let answer = stage.post(&header, body(number, 10).as_bytes()).await?;
        number += 1;
        ensure!(number < 5000, "a full disk looks as if it had room: {answer}");
    }
    fs::remove_file(filler)?;
    let again = async {
        while !stage.get("/health/receive").await?.starts_with("HTTP/1.1 200") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        stage.post(&header, body(0, 10).as_bytes()).await
    };
    let answer = tokio::time::timeout(Duration::from_secs(60), again).await??;
    ensure!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_worker_that_starts_while_its_store_is_locked_keeps_webhooks_in_the_log() -> anyhow::Result<()> {
    let mut stage = with_an_impatient_worker().await?;
    stage.worker.terminate().await?;
    let locked = lock(&stage)?;
    stage.restart().await?;
    work(&stage, 5).await?;
    let ready = stage.get("/health/ready").await?;
    assert!(
        ready.contains("the store is being opened")
            || (ready.contains("the store is not open") && ready.contains("is locked")),
        "{ready}"
    );
    // What it has answered for, it keeps, whatever happens to it.
    stage.kill_and_restart().await?;
    work(&stage, 5).await?;
    assert!(stage.worker.events().is_empty());
    drop(locked);
    all_arrives(&stage).await?;
    let ready = stage.get("/health/ready").await?;
    assert!(ready.contains(r#"{"status":"ready"}"#), "{ready}");
    let ended = stage.worker.terminate().await?;
    assert!(ended.status.success(), "{:?}", ended.stderr);
    Ok(())
}

#[tokio::test]
async fn a_worker_that_starts_on_a_full_disk_keeps_webhooks_on_another_one() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let Some(disk) = SmallDisk::mount(&folder.path().join("small"), "24m")? else {
        return Ok(());
    };
    let filler = disk.fill()?;
    let stage = with_a_store_on(&disk, folder.path()).await?;
    work(&stage, 20).await?;
    let ready = stage.get("/health/ready").await?;
    assert!(
        ready.contains("the store is not open") && ready.contains("No space left"),
        "{ready}"
    );
    fs::remove_file(filler)?;
    all_arrives(&stage).await
}

#[tokio::test]
async fn a_worker_that_waits_for_its_store_stops_when_it_is_asked_to() -> anyhow::Result<()> {
    let mut stage = with_an_impatient_worker().await?;
    stage.worker.terminate().await?;
    let locked = lock(&stage)?;
    stage.restart().await?;
    let ended = stage.worker.terminate().await?;
    assert!(ended.status.success(), "{:?}", ended.stderr);
    drop(locked);
    Ok(())
}
