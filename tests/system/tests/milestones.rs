//! Every run has one `seen`, every completion one `completed`, every archiving one `archived`, every reopening one
//! `reactivated`, however the worker came to know of it.

use std::time::Duration;

use system_tests::{ReceivedEvent, Stage};
use tallyfy_sim::SimConfig;
use tallyfy_sim::faults::{Fault, FaultRule};
use tallyfy_sim::world::Lag;

/// Fetches follow each other at once.
const NO_WINDOW: (&str, &str) = ("RUNS_WORKER__REFRESH__WINDOW", "0s");
/// Sweeps do too.
const SWEEPING: [(&str, &str); 2] = [("RUNS_WORKER__RECONCILE__INTERVAL", "100ms"), NO_WINDOW];
/// Only webhooks tell of runs.
const WEBHOOKS_ONLY: [(&str, &str); 2] = [("RUNS_WORKER__RECONCILE__SCOPE", "off"), NO_WINDOW];

/// The milestones of a run, in order.
fn milestones(events: &[ReceivedEvent], run: &str) -> Vec<String> {
    let of_run = events.iter().filter(|event| event.run() == run);
    let words = of_run.filter_map(|event| event.json["type"].as_str()?.split('.').nth(3).map(str::to_owned));
    words
        .filter(|word| !matches!(word.as_str(), "changed" | "notified"))
        .collect()
}

/// Waits for these, and then for two more sweeps or a quiet moment, in which no other may come.
async fn expect(stage: &Stage, run: &str, expected: &[&str]) -> anyhow::Result<()> {
    stage
        .worker
        .wait_for_events(|events| milestones(events, run).len() >= expected.len())
        .await?;
    stage.sim.settle().await;
    // The second look at what was announced without a time is over after this.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(milestones(&stage.worker.events(), run), expected);
    Ok(())
}

fn complete(stage: &Stage, run: &str) -> anyhow::Result<()> {
    while stage.sim.complete_next(run)?.is_some() {}
    Ok(())
}

/// Completes all but the last task.
fn almost_complete(stage: &Stage, run: &str) -> anyhow::Result<()> {
    let open = stage
        .sim
        .tasks(run)?
        .iter()
        .filter(|task| !task.status.is_settled())
        .count();
    for _ in 1..open {
        stage.sim.complete_next(run)?;
    }
    Ok(())
}

/// A worker that looks at the organization for the first time when a run is there already.
async fn with_old_run(complete_before: bool) -> anyhow::Result<(Stage, String)> {
    let mut stage = Stage::set(SimConfig::default(), &SWEEPING).await?;
    stage.worker.kill().await?;
    std::fs::remove_dir_all(stage.folder().join("data"))?;
    let run = stage.sim.launch("Old")?;
    if complete_before {
        complete(&stage, &run)?;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    stage.restart().await?;
    stage
        .worker
        .wait_for_log(|line| line.contains("sweep finished"))
        .await?;
    Ok((stage, run))
}

#[tokio::test]
async fn the_first_webhook_of_a_run_is_its_completion() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &WEBHOOKS_ONLY).await?;
    let run = stage.sim.launch("Late")?;
    almost_complete(&stage, &run)?;
    stage.connect_templates()?;
    complete(&stage, &run)?;
    expect(&stage, &run, &["seen", "completed"]).await
}

#[tokio::test]
async fn a_run_is_complete_before_its_launch_is_fetched() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &WEBHOOKS_ONLY).await?;
    stage.connect_templates()?;
    let faults = stage.sim.faults();
    let held = faults.add(FaultRule::always(Fault::Hold));
    let run = stage.sim.launch("Quick")?;
    stage.sim.settle().await;
    // No other webhook says that it is complete.
    faults.add(FaultRule::always(Fault::WebhookLost));
    complete(&stage, &run)?;
    held.release();
    expect(&stage, &run, &["seen", "completed"]).await
}

#[tokio::test]
async fn the_first_event_of_a_recorded_run_is_its_completion() -> anyhow::Result<()> {
    let (stage, run) = with_old_run(false).await?;
    stage.connect_templates()?;
    complete(&stage, &run)?;
    expect(&stage, &run, &["seen", "completed"]).await
}

#[tokio::test]
async fn a_sweep_finds_the_completion_of_a_recorded_run() -> anyhow::Result<()> {
    let (stage, run) = with_old_run(false).await?;
    complete(&stage, &run)?;
    expect(&stage, &run, &["seen", "completed"]).await
}

#[tokio::test]
async fn what_was_complete_before_makes_no_completion() -> anyhow::Result<()> {
    let (stage, run) = with_old_run(true).await?;
    stage.sim.change(|world| world.rename(&run, "Renamed"))?;
    expect(&stage, &run, &["seen"]).await
}

#[tokio::test]
async fn a_run_is_completed_reopened_and_completed_again() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &SWEEPING).await?;
    stage.connect_templates()?;
    let run = stage.sim.launch("Again")?;
    expect(&stage, &run, &["seen"]).await?;
    complete(&stage, &run)?;
    expect(&stage, &run, &["seen", "completed"]).await?;
    let task = stage.sim.tasks(&run)?[0].id.clone();
    stage.sim.change(|world| world.reopen(&task))?;
    expect(&stage, &run, &["seen", "completed", "reactivated"]).await?;
    complete(&stage, &run)?;
    expect(&stage, &run, &["seen", "completed", "reactivated", "completed"]).await
}

#[tokio::test]
async fn a_complete_run_is_archived() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &SWEEPING).await?;
    stage.connect_templates()?;
    let run = stage.sim.launch("Archived")?;
    complete(&stage, &run)?;
    expect(&stage, &run, &["seen", "completed"]).await?;
    stage.sim.change(|world| world.archive(&run))?;
    expect(&stage, &run, &["seen", "completed", "archived"]).await
}

#[tokio::test]
async fn a_run_is_completed_and_archived_between_two_fetches() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &SWEEPING).await?;
    stage.connect_templates()?;
    let run = stage.sim.launch("Both")?;
    expect(&stage, &run, &["seen"]).await?;
    let faults = stage.sim.faults();
    let held = faults.add(FaultRule::always(Fault::Hold));
    complete(&stage, &run)?;
    stage.sim.change(|world| world.archive(&run))?;
    held.release();
    expect(&stage, &run, &["seen", "completed", "archived"]).await?;
    let events = stage.worker.events();
    let last = events.iter().rfind(|event| event.run() == run).map(|event| &event.json);
    let kinds = last
        .map(|event| event["data"]["changes"].to_string())
        .unwrap_or_default();
    assert!(
        !kinds.contains("task.completed"),
        "that belongs to the completion: {kinds}"
    );
    Ok(())
}

#[tokio::test]
async fn a_stale_read_hides_a_completion_for_seconds() -> anyhow::Result<()> {
    const LAG: Duration = Duration::from_secs(12);
    let stage = Stage::set(SimConfig::default(), &WEBHOOKS_ONLY).await?;
    stage.connect_templates()?;
    let run = stage.sim.launch("Hidden")?;
    expect(&stage, &run, &["seen"]).await?;
    almost_complete(&stage, &run)?;
    stage.sim.settle().await;
    // For some seconds the answer is that there is no such run.
    stage.sim.set_lag(Lag::Time(LAG));
    complete(&stage, &run)?;
    expect(&stage, &run, &["seen", "completed"]).await
}
