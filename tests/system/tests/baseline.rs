//! What was there before the worker looked for the first time is recorded, and told from its next change on.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use system_tests::{ReceivedEvent, Stage, words};
use tallyfy_sim::SimConfig;
use tallyfy_sim::clock::Clock;
use tallyfy_sim::faults::{Fault, FaultRule};
use tallyfy_sim::replicas::Replicas;
use tallyfy_sim::world::Lag;

const YEAR: i64 = 365 * 24 * 60 * 60;

/// Sweeps that follow each other closely, and fetches that do not wait.
const SWEEPING: [(&str, &str); 2] = [
    ("RUNS_WORKER__RECONCILE__INTERVAL", "100ms"),
    ("RUNS_WORKER__REFRESH__WINDOW", "0s"),
];

/// The API's clock, which is so many seconds apart from ours.
#[derive(Clone, Debug, Default)]
struct Apart(Arc<AtomicI64>);

impl Apart {
    fn set(&self, seconds: i64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

impl Clock for Apart {
    fn now(&self) -> Timestamp {
        Timestamp::now() + SignedDuration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

/// An organization with thirty runs from before any worker looked at it. The worker is not started.
async fn with_old_runs(environment: &[(&str, &str)]) -> anyhow::Result<(Stage, Apart, Vec<String>)> {
    let clock = Apart::default();
    let sim = SimConfig {
        clock: Arc::new(clock.clone()),
        ..SimConfig::default()
    };
    let mut environment = environment.to_vec();
    environment.extend(SWEEPING);
    let mut stage = Stage::set(sim, &environment).await?;
    stage.worker.kill().await?;
    std::fs::remove_dir_all(stage.folder().join("data"))?;
    let mut runs = Vec::new();
    for years in [3, 1] {
        clock.set(-years * YEAR);
        for number in 0..15 {
            runs.push(stage.sim.launch(&format!("Of {years} years ago, {number}"))?);
        }
    }
    clock.set(0);
    Ok((stage, clock, runs))
}

async fn sweeps(stage: &Stage, more: usize) -> anyhow::Result<()> {
    let finished = |log: &[String]| log.iter().filter(|line| line.contains("sweep finished")).count();
    let before = finished(&stage.worker.log());
    stage
        .worker
        .wait_for_log_lines(|log| finished(log) >= before + more)
        .await
}

async fn recorded(stage: &Stage, runs: usize) -> anyhow::Result<()> {
    let says = |line: &str| line.contains("the first sweep recorded") && line.contains(&format!("\"runs\":{runs}"));
    stage.worker.wait_for_log(says).await
}

async fn is_seen(stage: &Stage, run: &str) -> anyhow::Result<()> {
    let seen = |events: &[ReceivedEvent]| words(events, run) == ["seen"];
    stage.worker.wait_for_events(seen).await.map(drop)
}

/// Nothing was told of these. A change of one of them is, as of a run that was not told before.
async fn are_told_from_now_on(stage: &Stage, runs: &[String]) -> anyhow::Result<()> {
    assert_eq!(stage.worker.events().len(), 0, "{:?}", stage.worker.events());
    for run in [&runs[0], &runs[runs.len() - 1]] {
        stage.sim.change(|world| world.rename(run, "Renamed"))?;
        is_seen(stage, run).await?;
    }
    sweeps(stage, 2).await?;
    assert_eq!(stage.worker.events().len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_first_list_that_contradicts_itself_is_no_baseline() -> anyhow::Result<()> {
    let (mut stage, _, runs) = with_old_runs(&[]).await?;
    stage.sim.set_replicas(Some(Replicas {
        mean_lag: Duration::ZERO,
        dropped_includes: 0.0,
        contradicting_lists: 1.0,
        // The first two lists are empty, with a total of thirty.
        ..Replicas::seeded(10)
    }));
    stage.restart().await?;
    stage
        .worker
        .wait_for_log(|line| line.contains("the run list contradicts itself"))
        .await?;
    stage.sim.set_replicas(None);
    recorded(&stage, 30).await?;
    sweeps(&stage, 2).await?;
    are_told_from_now_on(&stage, &runs).await
}

#[tokio::test]
async fn runs_from_years_ago_that_turn_up_later_are_not_seen() -> anyhow::Result<()> {
    for (hidden, at_first) in [(4, 0), (2, 15)] {
        let (mut stage, _, runs) = with_old_runs(&[]).await?;
        // A replica that is being filled.
        stage
            .sim
            .set_lag(Lag::Time(Duration::from_secs(hidden * YEAR.unsigned_abs())));
        stage.restart().await?;
        recorded(&stage, at_first).await?;
        stage.sim.set_lag(Lag::None);
        sweeps(&stage, 3).await?;
        are_told_from_now_on(&stage, &runs).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_is_launched_during_the_first_sweep_is_told() -> anyhow::Result<()> {
    let (mut stage, ..) = with_old_runs(&[]).await?;
    let rule = FaultRule::always(Fault::Hold).on_route("GET /organizations/{org}/runs");
    let held = stage.sim.faults().add(rule);
    stage.restart().await?;
    held.wait_for_hits(1).await;
    let run = stage.sim.launch("Meanwhile")?;
    held.release();
    is_seen(&stage, &run).await?;
    sweeps(&stage, 2).await?;
    assert_eq!(stage.worker.events().len(), 1, "and nothing else is");
    Ok(())
}

#[tokio::test]
async fn what_is_launched_after_the_first_look_is_told_though_the_clocks_differ() -> anyhow::Result<()> {
    let (mut stage, clock, _) = with_old_runs(&[]).await?;
    stage.restart().await?;
    recorded(&stage, 30).await?;
    for minutes in [-5, 5] {
        clock.set(minutes * 60);
        let run = stage.sim.launch("By another clock")?;
        is_seen(&stage, &run).await?;
    }
    Ok(())
}

#[tokio::test]
async fn sweeps_of_active_runs_find_later_changes_of_those_that_are_late() -> anyhow::Result<()> {
    let (mut stage, ..) = with_old_runs(&[("RUNS_WORKER__RECONCILE__SCOPE", "active")]).await?;
    stage.restart().await?;
    recorded(&stage, 30).await?;
    let run = stage.sim.launch("Late")?;
    is_seen(&stage, &run).await?;
    // From here on the list of active runs does not show it, and it is as far from done as before.
    let task = stage.sim.tasks(&run)?[0].id.clone();
    let admin = stage.sim.founding().admin;
    stage
        .sim
        .change(|world| world.raise_issue(&task, admin, "Does not fit"))?;
    for name in ["Later", "Still later"] {
        stage.sim.change(|world| world.rename(&run, name))?;
        let shows = |event: &ReceivedEvent| event.state()["name"] == name;
        stage.worker.wait_for_events(|events| events.iter().any(shows)).await?;
    }
    Ok(())
}
