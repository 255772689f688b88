//! Where a worker is measured.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use system_tests::WorkerProcess;
use tempfile::TempDir;

/// A folder on the disk that the workspace is on, and not in memory.
pub(crate) fn folder() -> anyhow::Result<TempDir> {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).context("make a folder")
}

/// How long it takes to bring a few bytes to this disk: the middle one of many times.
pub(crate) fn fsync(folder: &Path) -> anyhow::Result<Duration> {
    use std::io::Write as _;
    let mut file = std::fs::File::create(folder.join("fsync"))?;
    let mut times = Vec::new();
    for _ in 0..300 {
        let began = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    Ok(middle(times))
}

/// The middle one.
pub(crate) fn middle(times: Vec<Duration>) -> Duration {
    percentile(times, 50)
}

/// So many of a hundred are shorter.
pub(crate) fn percentile(mut times: Vec<Duration>, percent: usize) -> Duration {
    times.sort_unstable();
    times.get(times.len() * percent / 100).copied().unwrap_or_default()
}

/// The memory that a worker has, in MiB.
pub(crate) fn resident_mib(worker: &WorkerProcess) -> anyhow::Result<f64> {
    let id = worker.id().context("the worker has ended")?;
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = line
        .and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok())
        .context("read the resident memory")?;
    Ok(kib / 1024.0)
}

/// The time that a worker has had a processor for.
pub(crate) fn cpu(worker: &WorkerProcess) -> anyhow::Result<Duration> {
    /// Linux counts in hundredths of a second here, on every machine.
    const TICK: Duration = Duration::from_millis(10);
    let id = worker.id().context("the worker has ended")?;
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    // Of the program itself, in user mode and in the kernel.
    let ticks = behind_name.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
    let ticks: u32 = ticks.sum::<Result<_, _>>().context("read the processor time")?;
    Ok(TICK * ticks)
}

pub(crate) fn ratio(of: Duration, to: Duration) -> f64 {
    of.as_secs_f64() / to.as_secs_f64()
}
