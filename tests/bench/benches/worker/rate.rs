//! How many webhooks are taken for each second, and how soon.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use benches::{Limit, Table};
use system_tests::{WorkerProcess, WorkerSettings};

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
        .with("RUNS_WORKER__LOG__FILTER", "error,runs_worker::worker=info")
}

pub(crate) fn load(worker: &WorkerProcess) -> Load {
    Load {
        door: worker.receive_address(),
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

pub(crate) async fn measure(table: &mut Table) -> anyhow::Result<()> {
    let folder = place::folder()?;
    let with_store = WorkerProcess::start(&settings(&folder.path().join("with"))).await?;
    let myself = std::env::current_exe()?;
    let without = settings(&folder.path().join("without")).of_program(myself);
    let without_store = WorkerProcess::start(&without).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let idle = place::resident_mib(&with_store)?;

    let load = load(&with_store);
    let (ratio, rate) = by_turns(&load, &self::load(&without_store)).await?;
    table.row(
        "durable 2xx per second, to the same server without a store",
        ratio,
        Limit::AtLeast(0.6),
    );
    let fsync = place::fsync(folder.path())?;
    let times = load.at_a_rate(rate / 2.0, Duration::from_secs(6)).await?;
    let [half, most, slowest] = [50, 90, 99].map(|percent| place::percentile(times.clone(), percent));
    table.row(
        "p99 at half of that rate, to one fsync",
        place::ratio(slowest, fsync),
        Limit::AtMost(20.0),
    );
    table.row("resident memory when idle, MiB", idle, Limit::AtMost(40.0));
    println!(
        "  durable {rate:.0}/s; one fsync {fsync:?}; at half the rate p50 {half:?}, p90 {most:?}, p99 {slowest:?}"
    );
    Ok(())
}
