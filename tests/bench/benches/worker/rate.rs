//! How many webhooks are taken for each second, and how soon.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use benches::{Limit, Table};
use system_tests::{WorkerProcess, WorkerSettings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::load::Load;
use crate::place;

pub(crate) const SECRET: &str = "3b1f0c8e5a7d49629f8e7a6b5c4d3e2f";
pub(crate) const ORG: &str = "northwind";

/// How long one turn lasts, and how many there are.
const TURN: Duration = Duration::from_secs(3);
const TURNS: usize = 5;

/// A worker that fetches next to nothing and says little, so that what is measured is the door.
pub(crate) fn settings(data_dir: &Path) -> WorkerSettings {
    // Nobody listens there.
    WorkerSettings::new(ORG, "token", SECRET, "http://127.0.0.1:9", data_dir)
        .with("RUNS_WORKER__API__REQUESTS_PER_MINUTE", "1")
        .with("RUNS_WORKER__RECONCILE__SCOPE", "off")
        .with("RUNS_WORKER__LOG__FILTER", "error,runs_worker::start=info")
}

pub(crate) fn load(worker: &WorkerProcess) -> Load {
    Load {
        doors: [worker.receive_address()].into(),
        org: ORG.to_owned(),
        secret: SECRET,
        runs: (0..1000)
            .map(|number| format!("run{number}"))
            .collect::<Vec<_>>()
            .into(),
        next: Arc::default(),
    }
}

/// Both by turns; the middle ratio of the first to the second, and the middle rate of the first.
pub(crate) async fn by_turns(first: &Load, second: &Load) -> anyhow::Result<(f64, f64)> {
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        let second = second.as_fast_as_possible(TURN).await?;
        let first = first.as_fast_as_possible(TURN).await?;
        // The first turn warms both up.
        if turn > 0 {
            ratios.push(first / second);
            rates.push(first);
        }
    }
    ratios.sort_by(f64::total_cmp);
    rates.sort_by(f64::total_cmp);
    Ok((ratios[TURNS / 2], rates[TURNS / 2]))
}

/// How long a burst and a long load last.
const BURST: Duration = Duration::from_secs(30);
const BURSTS: usize = 2;
const LONG: Duration = Duration::from_secs(120);
/// The rate of the long load, to that of the server without a store.
const LONG_RATE: f64 = 0.36;

/// How many notifications are in the intake log and not in the store.
async fn waiting(worker: &WorkerProcess) -> anyhow::Result<u64> {
    let mut connection = TcpStream::connect(worker.admin_address()).await?;
    connection
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    let line = answer
        .lines()
        .find_map(|line| line.strip_prefix("runs_worker_intake_waiting "));
    line.context("the metrics do not say how many wait")?
        .trim()
        .parse()
        .context("read how many wait")
}

/// How long it takes until everything is in the store.
async fn until_imported(worker: &WorkerProcess) -> anyhow::Result<Duration> {
    let began = Instant::now();
    while waiting(worker).await? > 0 {
        ensure!(began.elapsed() < Duration::from_secs(300), "the import does not end");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(began.elapsed())
}

pub(crate) async fn measure(table: &mut Table) -> anyhow::Result<()> {
    let folder = place::folder()?;
    let with_store = WorkerProcess::start(&settings(&folder.path().join("with"))).await?;
    let myself = std::env::current_exe()?;
    let without = settings(&folder.path().join("without")).of_program(myself);
    let without_store = WorkerProcess::start(&without).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let idle = place::resident_mib(&with_store)?;
    let (load, free) = (load(&with_store), self::load(&without_store));
    free.as_fast_as_possible(TURN).await?;

    let (mut burst, mut most) = (0.0, 0.0);
    for _ in 0..BURSTS {
        most += free.as_fast_as_possible(BURST).await?;
        burst += load.as_fast_as_possible(BURST).await?;
        until_imported(&with_store).await?;
    }
    table.row(
        "durable 2xx per second in a burst, to the server without a store",
        burst / most,
        Limit::AtLeast(0.6),
    );
    let turns = f64::from(u32::try_from(BURSTS)?);
    let (burst, most) = (burst / turns, most / turns);

    let began = Instant::now();
    let taken = load.at_a_rate(most * LONG_RATE, LONG).await?.len();
    let sustained = f64::from(u32::try_from(taken)?) / began.elapsed().as_secs_f64();
    let left = waiting(&with_store).await?;
    let imported = until_imported(&with_store).await?.as_secs_f64();
    table.row("the same over two minutes", sustained / most, Limit::AtLeast(0.35));
    table.row(
        "seconds until the log is empty after that",
        imported,
        Limit::AtMost(5.0),
    );

    let fsync = place::fsync(folder.path())?;
    let half = Duration::from_secs(6);
    let times = load.at_a_rate(burst / 2.0, half).await?;
    let [p50, p90, p99] = [50, 90, 99].map(|percent| place::percentile(times.clone(), percent));
    let bare = place::percentile(free.at_a_rate(burst / 2.0, half).await?, 99);
    table.row(
        "p99 at half of the burst rate, to the server without a store",
        place::ratio(p99, bare),
        Limit::AtMost(3.0),
    );
    if fsync >= Duration::from_micros(500) {
        let ratio = place::ratio(p99, fsync);
        table.row("the same, to one fsync", ratio, Limit::AtMost(20.0));
    }
    table.row("resident memory when idle, MiB", idle, Limit::AtMost(40.0));
    println!(
        "  burst {burst:.0}/s, without a store {most:.0}/s, over two minutes {sustained:.0}/s with {left} in the log at the end; \
         one fsync {fsync:?}; at half the burst rate p50 {p50:?}, p90 {p90:?}, p99 {p99:?}, without a store {bare:?}"
    );
    Ok(())
}
