//! Answers that leave out half, or contradict themselves: nothing is told that did not happen, and nothing is missed.

use std::time::Duration;

use system_tests::{ReceivedEvent, Stage, of_run, words};
use tallyfy_sim::SimConfig;
use tallyfy_sim::replicas::Replicas;

const WEBHOOKS_ONLY: (&str, &str) = ("RUNS_WORKER__RECONCILE__SCOPE", "off");

/// Replicas that do not lag.
fn replicas() -> Replicas {
    Replicas {
        mean_lag: Duration::ZERO,
        longest_lag: Duration::ZERO,
        dropped_includes: 0.0,
        contradicting_lists: 0.0,
        ..Replicas::default()
    }
}

#[tokio::test]
async fn what_was_completed_while_the_tasks_dropped_out_is_told_when_they_are_back() -> anyhow::Result<()> {
    let environment = [WEBHOOKS_ONLY, ("RUNS_WORKER__REFRESH__SECOND_LOOK", "1s")];
    let stage = Stage::set(SimConfig::default(), &environment).await?;
    stage.connect_templates()?;
    let run = stage.sim.launch("Globex")?;
    stage
        .worker
        .wait_for_events(|events| words(events, &run) == ["seen"])
        .await?;
    stage.sim.set_replicas(Some(Replicas {
        dropped_includes: 1.0,
        ..replicas()
    }));
    stage.sim.complete_next(&run)?;
    let kept = |event: &ReceivedEvent| {
        let kept = event.json["data"]["kept"].as_array();
        kept.is_some_and(|kept| kept.contains(&"tasks".into()))
    };
    stage.worker.wait_for_events(|events| events.iter().any(kept)).await?;
    stage.sim.set_replicas(None);
    let completed = |events: &[ReceivedEvent]| events.iter().any(|event| event.kinds().contains(&"task.completed"));
    let events = stage.worker.wait_for_events(completed).await?;
    for event in of_run(&events, &run) {
        let gone = event.kinds().into_iter().find(|kind| kind.ends_with(".removed"));
        assert_eq!(gone, None, "{}", event.line);
        let tasks = event.state()["tasks"].to_string();
        assert!(tasks.contains("title"), "the last ones stand: {}", event.line);
    }
    Ok(())
}

/// The milestones of a run.
fn milestones<'a>(events: &'a [ReceivedEvent], run: &str) -> Vec<&'a str> {
    let words = words(events, run).into_iter();
    words.filter(|word| !matches!(*word, "changed" | "notified")).collect()
}

#[tokio::test]
async fn while_replicas_lag_and_includes_drop_out_every_milestone_is_told_once() -> anyhow::Result<()> {
    let environment = [
        WEBHOOKS_ONLY,
        ("RUNS_WORKER__REFRESH__WINDOW", "50ms"),
        ("RUNS_WORKER__REFRESH__SECOND_LOOK", "500ms"),
    ];
    let sim = SimConfig {
        replicas: Some(Replicas {
            dropped_includes: 0.5,
            ..Replicas::seeded(17)
        }),
        ..SimConfig::default()
    };
    let stage = Stage::set(sim, &environment).await?;
    stage.connect_templates()?;
    let runs = (0..10)
        .map(|number| stage.sim.launch(&format!("Run {number}")))
        .collect::<Result<Vec<_>, _>>()?;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        for run in &runs {
            stage.sim.complete_next(run)?;
        }
    }
    stage.sim.settle().await;
    stage
        .worker
        .wait_for_events(|events| runs.iter().all(|run| milestones(events, run).contains(&"completed")))
        .await?;
    stage.sim.set_replicas(None);
    let is_whole = |event: &&ReceivedEvent| {
        event.state()["tasks"]["data"]
            .as_array()
            .is_some_and(|tasks| tasks.iter().all(|task| task["completed_at"].is_string()))
    };
    let events = stage
        .worker
        .wait_for_events(|events| runs.iter().all(|run| of_run(events, run).last().is_some_and(is_whole)))
        .await?;
    for run in &runs {
        assert_eq!(milestones(&events, run), ["seen", "completed"]);
        let kinds = of_run(&events, run).into_iter().flat_map(ReceivedEvent::kinds);
        assert_eq!(kinds.filter(|kind| kind.ends_with(".removed")).count(), 0);
    }
    Ok(())
}

#[tokio::test]
async fn what_the_configuration_stops_asking_for_is_no_change() -> anyhow::Result<()> {
    let mut stage = Stage::set(SimConfig::default(), &[WEBHOOKS_ONLY]).await?;
    stage.connect_templates()?;
    let run = stage.sim.launch("Globex")?;
    stage.sim.complete_next(&run)?;
    let told = |event: &&ReceivedEvent| event.state()["progress"]["complete"] == 1;
    stage
        .worker
        .wait_for_events(|events| events.iter().any(|event| told(&event)))
        .await?;
    for (name, value) in [
        ("RUNS_WORKER__REFRESH__FORM_FIELDS_VALUES", "false"),
        ("RUNS_WORKER__REFRESH__INCLUDES", "tasks"),
    ] {
        stage.worker.terminate().await?;
        stage.restart_with(name, value).await?;
        stage.sim.change(|world| world.rename(&run, value))?;
        stage
            .tell(&format!(r#"{{"event":"process.updated","process":{{"id":"{run}"}}}}"#))
            .await?;
        let named = |event: &&ReceivedEvent| event.state()["name"] == value;
        let events = stage
            .worker
            .wait_for_events(|events| events.iter().any(|event| named(&event)))
            .await?;
        let kinds = events.iter().find(named).map(ReceivedEvent::kinds);
        assert_eq!(kinds, Some(vec!["name"]), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn lists_that_contradict_themselves_do_not_make_every_known_run_due() -> anyhow::Result<()> {
    // Nothing is read but what this test asks for, so that the lists come in the order of their seed.
    let environment = [
        ("RUNS_WORKER__RECONCILE__INTERVAL", "1h"),
        ("RUNS_WORKER__REFRESH__SECOND_LOOK", "1h"),
        ("RUNS_WORKER__REFRESH__WINDOW", "0s"),
    ];
    let stage = Stage::set(SimConfig::default(), &environment).await?;
    stage.connect_templates()?;
    let runs = (0..30)
        .map(|number| stage.sim.launch(&format!("Run {number}")))
        .collect::<Result<Vec<_>, _>>()?;
    stage
        .worker
        .wait_for_events(|events| runs.iter().all(|run| words(events, run).first() == Some(&"seen")))
        .await?;
    stage.sim.settle().await;
    stage.command(&["sync"]).await?;
    let (calls, told) = (stage.sim.requests(), stage.worker.events().len());
    calls.wait_until_idle().await;
    stage.sim.set_replicas(Some(Replicas {
        contradicting_lists: 1.0,
        // Its lists are: empty, empty, and one run short.
        seed: 10,
        ..replicas()
    }));
    calls.clear();
    stage.command(&["sync"]).await?;
    calls.wait_for_total(5).await;
    calls.wait_until_idle().await;
    let fetched = calls.of_route("GET /organizations/{org}/runs/{run}");
    let listed = calls.of_route("GET /organizations/{org}/runs");
    let log = stage.worker.log();
    let contradictions = log
        .iter()
        .filter(|line| line.contains("the run list contradicts itself"))
        .count();
    assert_eq!(contradictions, 2, "the empty lists are read again");
    assert_eq!(
        (listed, fetched),
        (4, 1),
        "the run that the last list lacks is looked at, and no other"
    );
    assert_eq!(stage.worker.events().len(), told, "nothing is told of that");
    Ok(())
}
