//! What no webhook told of is found all the same.

use std::time::{Duration, Instant};

use serde_json::Value;
use system_tests::{ReceivedEvent, Stage, WorkerProcess, run};
use tallyfy_sim::faults::Fault;
use tallyfy_sim::world::Lag;
use tallyfy_sim::{SimConfig, Simulator};

/// Sweeps that follow each other closely, and fetches that do not wait.
const SWEEPING: [(&str, &str); 2] = [
    ("RUNS_WORKER__RECONCILE__INTERVAL", "100ms"),
    ("RUNS_WORKER__REFRESH__WINDOW", "0s"),
];

fn types_of<'a>(events: &'a [ReceivedEvent], run: &str) -> Vec<&'a str> {
    let of_run = events.iter().filter(|event| event.run() == run);
    of_run.filter_map(|event| event.json["type"].as_str()).collect()
}

/// The latest state of a run that handlers were given.
fn last_state<'a>(events: &'a [ReceivedEvent], run: &str) -> Option<&'a Value> {
    let last = events.iter().rfind(|event| event.run() == run)?;
    Some(&last.json["data"]["run"])
}

/// Waits until a sweep that began after this call has ended.
async fn a_whole_sweep(worker: &WorkerProcess) -> anyhow::Result<()> {
    let finished = |log: &[String]| log.iter().filter(|line| line.contains("sweep finished")).count();
    let before = finished(&worker.log());
    // One may be under way now.
    worker.wait_for_log_lines(|log| finished(log) >= before + 2).await
}

fn completed_tasks(state: &Value) -> usize {
    let tasks = state["tasks"]["data"].as_array().or_else(|| state["tasks"].as_array());
    let is_done = |task: &&Value| task["completed_at"].is_string();
    tasks.map_or(0, |tasks| tasks.iter().filter(is_done).count())
}

fn completed_now(sim: &Simulator, run: &str) -> anyhow::Result<usize> {
    let tasks = sim.tasks(run)?;
    Ok(tasks.iter().filter(|task| task.completed_at.is_some()).count())
}

#[tokio::test]
async fn a_change_that_no_webhook_told_of_is_found_by_the_next_sweep() -> anyhow::Result<()> {
    let [interval, window] = SWEEPING;
    let soon_believed = ("RUNS_WORKER__REFRESH__RETRY_MAX", "1s");
    let stage = Stage::set(SimConfig::default(), &[interval, window, soon_believed]).await?;
    a_whole_sweep(&stage.worker).await?;
    let run = stage.sim.launch("Nobody tells")?;
    stage
        .worker
        .wait_for_events(|events| types_of(events, &run) == ["com.tallyfy.run.seen.v1"])
        .await?;
    stage.sim.change(|world| world.rename(&run, "Renamed"))?;
    stage
        .worker
        .wait_for_events(|events| types_of(events, &run).last() == Some(&"com.tallyfy.run.changed.v1"))
        .await?;
    stage.sim.change(|world| world.archive(&run))?;
    stage
        .worker
        .wait_for_events(|events| types_of(events, &run).last() == Some(&"com.tallyfy.run.archived.v1"))
        .await?;
    stage.sim.change(|world| world.delete(&run))?;
    let events = stage
        .worker
        .wait_for_events(|events| types_of(events, &run).last() == Some(&"com.tallyfy.run.gone.v1"))
        .await?;
    assert_eq!(types_of(&events, &run).len(), 4);
    Ok(())
}

#[tokio::test]
async fn the_first_start_makes_no_events_of_the_past_unless_asked() -> anyhow::Result<()> {
    let mut stage = Stage::set(SimConfig::default(), &[]).await?;
    stage.worker.kill().await?;
    let old = stage.sim.launch("From before")?;
    // A folder of its own, so that this is a first start.
    let fresh = stage.folder().join("fresh").display().to_string();
    let settings = stage.settings().clone().with("RUNS_WORKER_DATA_DIR", &fresh);
    let mut worker = WorkerProcess::start(&settings).await?;
    let has_taken_down = |log: &[String]| {
        log.iter()
            .any(|line| line.contains("the first sweep recorded") && line.contains("\"runs\":1"))
    };
    worker.wait_for_log_lines(has_taken_down).await?;
    let exit = worker.terminate().await?;
    assert_eq!(exit.events().len(), 0, "{:?}", exit.stdout);

    let backfilling = settings.with("RUNS_WORKER__RECONCILE__BACKFILL", "true");
    let worker = WorkerProcess::start(&backfilling).await?;
    worker
        .wait_for_events(|events| types_of(events, &old) == ["com.tallyfy.run.seen.v1"])
        .await?;
    Ok(())
}

fn lose_every_tenth(sim: &Simulator, changes: &mut u32) {
    *changes += 1;
    if changes.is_multiple_of(10) {
        sim.faults().once(Fault::WebhookLost);
    }
}

#[tokio::test]
async fn with_a_tenth_of_the_webhooks_lost_every_run_converges_within_a_sweep() -> anyhow::Result<()> {
    let config = SimConfig::default();
    let mut environment = SWEEPING.to_vec();
    environment[0].1 = "1h";
    let stage = Stage::set(config, &environment).await?;
    stage.connect_templates()?;
    let mut runs = Vec::new();
    let mut changes = 0;
    for number in 0..60 {
        lose_every_tenth(&stage.sim, &mut changes);
        let run = stage.sim.launch(&format!("Order {number}"))?;
        for _ in 0..=number % 4 {
            lose_every_tenth(&stage.sim, &mut changes);
            stage.sim.complete_next(&run)?;
        }
        runs.push(run);
    }
    stage.sim.settle().await;
    let sync = stage.command(&["sync"]).await?;
    assert!(sync.status.success(), "{:?}", sync.stderr);
    let mut wanted = Vec::new();
    for run in &runs {
        wanted.push((run.clone(), completed_now(&stage.sim, run)?));
    }
    stage
        .worker
        .wait_for_events(|events| {
            wanted
                .iter()
                .all(|(run, tasks)| last_state(events, run).map(completed_tasks) == Some(*tasks))
        })
        .await?;
    let audit = stage.command(&["audit"]).await?;
    assert_eq!(audit.stdout, ["northwind: 60 runs compared, all up to date"]);
    Ok(())
}

#[tokio::test]
async fn no_change_waits_for_the_next_sweep_because_a_replica_lagged() -> anyhow::Result<()> {
    let stage = Stage::set(
        SimConfig::default(),
        &[
            ("RUNS_WORKER__RECONCILE__INTERVAL", "1h"),
            ("RUNS_WORKER__REFRESH__WINDOW", "0s"),
            ("RUNS_WORKER__REFRESH__STALE_RETRIES", "8"),
        ],
    )
    .await?;
    stage.connect_templates()?;
    let run = stage.sim.launch("Seen late")?;
    stage.worker.wait_for_events(|events| !events.is_empty()).await?;
    stage.sim.set_lag(Lag::Time(Duration::from_secs(2)));
    stage.sim.complete_next(&run)?;
    let events = stage
        .worker
        .wait_for_events(|events| last_state(events, &run).map(completed_tasks) == Some(1))
        .await?;
    assert!(
        events.iter().all(|event| event.json["data"]["stale"].is_null()),
        "the answers that were too old were not delivered"
    );
    Ok(())
}

#[tokio::test]
async fn a_sweep_goes_on_after_a_kill_where_it_was() -> anyhow::Result<()> {
    let config = SimConfig::default();
    let mut stage = Stage::set(config, &[("RUNS_WORKER__RECONCILE__SCOPE", "off")]).await?;
    stage.worker.kill().await?;
    for number in 0..250 {
        stage.sim.launch(&format!("Order {number}"))?;
    }
    // Two pages at once, and the third after some seconds.
    let settings = stage
        .settings()
        .clone()
        .with("RUNS_WORKER__API__REQUESTS_PER_MINUTE", "50")
        .with("RUNS_WORKER__RECONCILE__SCOPE", "all")
        .with("RUNS_WORKER__LOG__FILTER", "debug")
        .with(
            "RUNS_WORKER_DATA_DIR",
            &stage.folder().join("fresh").display().to_string(),
        );
    let mut worker = WorkerProcess::start(&settings).await?;
    stage.sim.requests().wait_for_total(2).await;
    stage.sim.requests().wait_until_idle().await;
    worker
        .wait_for_log_lines(|log| {
            log.iter()
                .any(|line| line.contains("a page was compared") && line.contains("\"page\":2"))
        })
        .await?;
    worker.kill().await?;
    let before = list_calls(&stage.sim).len();
    let worker = WorkerProcess::start(&settings).await?;
    worker
        .wait_for_log_lines(|log| log.iter().any(|line| line.contains("sweep finished")))
        .await?;
    let calls = list_calls(&stage.sim);
    assert!(calls[before].contains("page=3"), "{calls:?}");
    Ok(())
}

#[tokio::test]
async fn sweeps_keep_to_their_share_of_the_budget() -> anyhow::Result<()> {
    let started = Instant::now();
    let stage = Stage::set(
        SimConfig::default(),
        &[
            ("RUNS_WORKER__API__REQUESTS_PER_MINUTE", "20"),
            ("RUNS_WORKER__RECONCILE__BUDGET_PERCENT", "25"),
            ("RUNS_WORKER__RECONCILE__INTERVAL", "1ms"),
        ],
    )
    .await?;
    stage.connect_templates()?;
    // Five a minute are the share, one of them at once; an unbounded loop of sweeps would take all twenty.
    let run = stage.sim.launch("Live work goes first")?;
    stage
        .worker
        .wait_for_events(|events| !types_of(events, &run).is_empty())
        .await?;
    let pages = list_calls(&stage.sim).len();
    let allowed = 2 + started.elapsed().as_secs() / 15;
    assert!(pages as u64 <= allowed, "{pages} pages were asked for");
    Ok(())
}

fn list_calls(sim: &Simulator) -> Vec<String> {
    let calls = sim.requests().calls();
    let lists = calls.into_iter().filter(|call| call.route.ends_with("/runs"));
    lists.map(|call| call.path).collect()
}

#[tokio::test]
async fn without_a_worker_a_person_sweeps_in_its_place() -> anyhow::Result<()> {
    let mut stage = Stage::set(SimConfig::default(), &[]).await?;
    stage.worker.kill().await?;
    stage.sim.launch("From before")?;
    let settings = stage.settings().clone().with(
        "RUNS_WORKER_DATA_DIR",
        &stage.folder().join("fresh").display().to_string(),
    );
    let audit = run(&settings, &["audit"]).await?;
    assert_eq!(audit.status.code(), Some(1), "{:?}", audit.stderr);
    assert!(
        audit.stderr.concat().contains("there is no store at"),
        "{:?}",
        audit.stderr
    );
    let sync = run(&settings, &["sync", "--backfill", "--json"]).await?;
    assert!(sync.status.success(), "{:?}", sync.stderr);
    let found: Value = serde_json::from_str(&sync.stdout.concat())?;
    assert_eq!((&found["new"], &found["listed"]), (&1.into(), &1.into()));
    // What it found waits in the store for the worker, and is then no longer missing.
    let audit = run(&settings, &["audit"]).await?;
    assert_eq!(
        audit.stdout.last().map(String::as_str),
        Some("northwind: 1 run compared, 0 differ, 1 waits to be fetched already")
    );
    Ok(())
}
