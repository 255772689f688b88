//! What a whole event costs, from the webhook to the line of a file, beside another build of the worker.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use benches::{Limit, Table};
use system_tests::{WorkerProcess, WorkerSettings};

use crate::api::{self, Server};
use crate::load::Load;
use crate::place;
use crate::rate::{ORG, SECRET};

/// How many webhooks, each of another run.
const EVENTS: usize = 20_000;
/// The environment variable that names the other build.
const OTHER: &str = "RUNS_WORKER_BENCH_AGAINST";
/// Nothing takes longer than this.
const MOST: Duration = Duration::from_secs(300);

/// What one worker took.
struct Cost {
    cpu: Duration,
    lasted: Duration,
    replayed: Duration,
}

pub(crate) async fn measure(table: &mut Table) -> anyhow::Result<()> {
    let Some(other) = std::env::var_os(OTHER).map(PathBuf::from) else {
        println!("  whole events are not measured: {OTHER} names no other build to measure against");
        return Ok(());
    };
    let api = Server::start(api::run).await?;
    let other = cost(Some(other), api.address).await.context("the other build")?;
    let this = cost(None, api.address).await?;
    table.row(
        "CPU for a whole event, to the other build",
        place::ratio(this.cpu, other.cpu),
        Limit::AtMost(1.0 / 3.0),
    );
    table.row(
        "events a second from webhook to file, to the other build",
        place::ratio(other.lasted, this.lasted),
        Limit::AtLeast(3.0),
    );
    table.row(
        "events a second when they are replayed, to the other build",
        place::ratio(other.replayed, this.replayed),
        Limit::AtLeast(5.0),
    );
    for (name, cost) in [("this build", this), ("the other", other)] {
        let count = u32::try_from(EVENTS)?;
        let each_second = |time: Duration| f64::from(count) / time.as_secs_f64();
        println!(
            "  {name}: {:?} of CPU for an event, {:.0} events a second, {:.0} replayed",
            cost.cpu / count,
            each_second(cost.lasted),
            each_second(cost.replayed)
        );
    }
    Ok(())
}

async fn cost(program: Option<PathBuf>, api: SocketAddr) -> anyhow::Result<Cost> {
    let folder = place::folder()?;
    let (config, events) = (folder.path().join("worker.toml"), folder.path().join("events.jsonl"));
    let handler = format!(
        "[[handlers]]\nname = \"file\"\ntype = \"file\"\npath = \"{}\"\n",
        events.display()
    );
    std::fs::write(&config, handler)?;
    let data_dir = folder.path().join("data");
    let mut settings = WorkerSettings::new(ORG, "token", SECRET, &format!("http://{api}"), &data_dir)
        .with("RUNS_WORKER_CONFIG", &config.display().to_string())
        .with("RUNS_WORKER__API__REQUESTS_PER_MINUTE", "0")
        .with("RUNS_WORKER__API__REQUESTS_PER_HOUR", "0")
        .with("RUNS_WORKER__REFRESH__WINDOW", "0s")
        .with("RUNS_WORKER__RECONCILE__SCOPE", "off");
    let mut replay = vec!["replay", "--handler", "file", "--all"];
    match program {
        Some(program) => settings = settings.of_program(program),
        // Others may not know them.
        None => {
            settings = settings.with("RUNS_WORKER__API__REQUESTS_PER_FIVE_SECONDS", "0");
            replay.push("--yes");
        }
    }
    let worker = WorkerProcess::start(&settings).await?;
    let load = Load {
        doors: [worker.receive_address()].into(),
        org: ORG.to_owned(),
        secret: SECRET,
        runs: (0..EVENTS).map(|number| format!("run{number}")).collect(),
        next: Arc::default(),
    };
    let (before, began) = (place::cpu(&worker)?, Instant::now());
    load.burst(EVENTS).await?;
    until_lines(&events, EVENTS).await?;
    let (lasted, cpu) = (began.elapsed(), place::cpu(&worker)?.saturating_sub(before));
    let began = Instant::now();
    settings.run(&replay).await?;
    until_lines(&events, 2 * EVENTS).await?;
    let replayed = began.elapsed();
    Ok(Cost { cpu, lasted, replayed })
}

/// Waits until a file has so many lines.
async fn until_lines(file: &Path, lines: usize) -> anyhow::Result<()> {
    use std::io::Read as _;
    let began = Instant::now();
    let (mut open, mut seen) = (None, 0);
    let mut some = vec![0; 1 << 20];
    while seen < lines {
        if open.is_none() {
            open = std::fs::File::open(file).ok();
        }
        let read = match &mut open {
            Some(open) => open.read(&mut some)?,
            None => 0,
        };
        seen += some[..read].iter().filter(|byte| **byte == b'\n').count();
        if read == 0 {
            ensure!(began.elapsed() < MOST, "{seen} of {lines} events came");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(())
}
