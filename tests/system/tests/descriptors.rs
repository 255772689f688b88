//! File descriptors used up: the worker waits, costs nothing, and recovers.

use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use system_tests::{HonestSender, Stage, Told};
use tallyfy_sim::SimConfig;

/// Fewer than are open already.
const TOO_FEW: u64 = 5;

#[tokio::test]
async fn without_file_descriptors_the_worker_waits_and_recovers() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[]).await?;
    let sender = HonestSender::new(&stage.webhook_url(), stage.sim.org())?;
    let patience = Duration::from_secs(60);
    assert_eq!(sender.send(0, patience).await.0, Told::Answered(202));

    let worker = stage.worker.id().context("the worker runs")?;
    let pid = Pid::from_raw(i32::try_from(worker)?).context("it has a process id")?;
    let few = |current| Rlimit {
        current,
        ..rustix::process::getrlimit(Resource::Nofile)
    };
    let before = prlimit(Some(pid), Resource::Nofile, few(Some(TOO_FEW)))?;
    let waiting = tokio::spawn(async move { sender.send(1, patience).await.0 });
    stage
        .worker
        .wait_for_log(|line| line.contains("cannot accept connections"))
        .await?;
    let (began, spent) = (std::time::Instant::now(), processor_time(worker)?);
    // What is measured is how much work is done while nothing can be done.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let busy = (processor_time(worker)? - spent).as_secs_f64() / began.elapsed().as_secs_f64();
    assert!(busy < 0.2, "it took {:.0} % of a processor", busy * 100.0);
    assert!(!waiting.is_finished(), "it waits in the kernel's queue");

    prlimit(Some(pid), Resource::Nofile, before)?;
    assert_eq!(waiting.await?, Told::Answered(202));
    stage
        .worker
        .wait_for_log(|line| line.contains("accepted again"))
        .await?;
    let lines = stage.worker.log();
    let complaints = lines.iter().filter(|line| line.contains("cannot accept connections"));
    assert_eq!(complaints.count(), 1, "one line, not one for each try");
    Ok(())
}

/// The processor time that a process has used, in the kernel and outside.
fn processor_time(process: u32) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |field: usize| {
        fields
            .get(field)
            .and_then(|field| field.parse::<u64>().ok())
            .context("read the times")
    };
    // Clock ticks are hundredths of a second on every Linux.
    Ok(Duration::from_millis(10 * (ticks(11)? + ticks(12)?)))
}
