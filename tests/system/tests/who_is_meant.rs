//! Who is meant by a webhook, and what is the same as something before.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use system_tests::{ReceivedEvent, Stage, of_run, words};
use tallyfy_sim::SimConfig;
use tallyfy_sim::faults::{Fault, FaultRule};
use tallyfy_sim::quirks::{QuirkMode, Quirks, StatusForm};
use tallyfy_sim::world::Lag;

const WEBHOOKS_ONLY: (&str, &str) = ("RUNS_WORKER__RECONCILE__SCOPE", "off");

fn updated(run: &str) -> String {
    format!(r#"{{"event":"process.updated","process":{{"id":"{run}"}}}}"#)
}

/// The webhooks that all events of a run tell of.
fn told(events: &[ReceivedEvent], run: &str) -> Vec<Value> {
    let of_run = of_run(events, run).into_iter();
    of_run.flat_map(|event| event.notifications().to_vec()).collect()
}

#[tokio::test]
async fn two_assignments_in_a_second_are_two_and_the_same_one_twice_is_one() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[WEBHOOKS_ONLY]).await?;
    let run = stage.sim.launch("Globex")?;
    let task = stage.sim.tasks(&run)?[0].id.clone();
    for user in [1001, 1002, 1001] {
        stage
            .tell(&format!(
                r#"{{"event":"task.assigned","timestamp":"2026-01-31T09:00:00Z","task":{{"id":"{task}","run_id":"{run}","owners":{{"users":[{user}]}}}}}}"#
            ))
            .await?;
    }
    let events = stage
        .worker
        .wait_for_events(|events| told(events, &run).len() >= 2)
        .await?;
    let assigned: Vec<_> = told(&events, &run)
        .iter()
        .map(|one| one["body"]["task"]["owners"]["users"][0].as_u64())
        .collect();
    assert_eq!(assigned, [Some(1001), Some(1002)]);
    let listed = stage.command(&["notifications", "list"]).await?;
    let kept = listed.stdout.iter().filter(|line| line.contains("task.assigned"));
    assert_eq!(kept.count(), 2, "{listed:?}");
    Ok(())
}

#[tokio::test]
async fn an_id_in_capitals_is_the_same_run() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[WEBHOOKS_ONLY]).await?;
    let run = stage.sim.launch("Globex")?;
    for (count, id) in (1..).zip([run.to_uppercase(), run.clone(), run.to_uppercase()]) {
        let name = format!("Name {count}");
        stage.sim.change(|world| world.rename(&run, &name))?;
        stage.tell(&updated(&id)).await?;
        let shows = |event: &ReceivedEvent| event.state()["name"] == name.as_str();
        stage.worker.wait_for_events(|events| events.iter().any(shows)).await?;
    }
    let events = stage.worker.events();
    assert!(events.iter().all(|event| event.run() == run), "one run");
    let numbers: Vec<u64> = events.iter().map(ReceivedEvent::number).collect();
    assert!(
        numbers.iter().copied().eq(1..=numbers.len() as u64),
        "one line: {numbers:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_run_that_could_not_be_had_at_first_is_seen_and_completed_when_it_appears() -> anyhow::Result<()> {
    let environment = [
        WEBHOOKS_ONLY,
        ("RUNS_WORKER__REFRESH__MISSING_TRIES", "2"),
        ("RUNS_WORKER__REFRESH__WINDOW", "0s"),
        ("RUNS_WORKER__REFRESH__RETRY_INITIAL", "50ms"),
        ("RUNS_WORKER__REFRESH__RETRY_MAX", "1s"),
    ];
    for (is_forbidden, first) in [(false, "gone"), (true, "inaccessible")] {
        let stage = Stage::set(SimConfig::default(), &environment).await?;
        let run = stage.sim.launch("Late")?;
        while stage.sim.complete_next(&run)?.is_some() {}
        if is_forbidden {
            stage.sim.faults().add(FaultRule::always(Fault::Forbidden));
        } else {
            stage.sim.set_lag(Lag::Versions(100));
        }
        stage.tell(&updated(&run)).await?;
        stage
            .worker
            .wait_for_events(|events| words(events, &run) == [first])
            .await?;
        stage.sim.faults().clear();
        stage.sim.set_lag(Lag::None);
        let events = stage
            .worker
            .wait_for_events(|events| words(events, &run).len() >= 3)
            .await?;
        assert_eq!(words(&events, &run), [first, "seen", "completed"]);
    }
    Ok(())
}

const STATUSES: [&str; 3] = ["in-progress", "complete", "archived"];

/// The types of the events in a file.
fn words_in(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events
        .filter_map(|event| Some(event["type"].as_str()?.split('.').nth(3)?.to_owned()))
        .collect()
}

async fn wait_for(file: &Path, word: &str) -> anyhow::Result<()> {
    let arrives = async {
        while !words_in(file).iter().any(|got| got == word) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    Ok(tokio::time::timeout(Duration::from_secs(60), arrives).await?)
}

#[tokio::test]
async fn a_filter_by_status_goes_by_what_happened_and_not_by_words() -> anyhow::Result<()> {
    for statuses in [StatusForm::default(), StatusForm::Otherwise] {
        let folder = tempfile::tempdir()?;
        let file = |status: &str| folder.path().join(format!("{status}.jsonl"));
        let handler = |status: &str| {
            format!(
                "[[handlers]]\nname = {status:?}\ntype = \"file\"\npath = {:?}\nfilter.statuses = [{status:?}]\n",
                file(status)
            )
        };
        let config = folder.path().join("worker.toml");
        std::fs::write(&config, STATUSES.map(handler).concat())?;
        let sim = SimConfig {
            quirks: QuirkMode::Fixed(Quirks {
                statuses,
                ..Quirks::default()
            }),
            ..SimConfig::default()
        };
        let config = config.display().to_string();
        let stage = Stage::set(sim, &[WEBHOOKS_ONLY, ("RUNS_WORKER_CONFIG", &config)]).await?;
        stage.connect_templates()?;
        let run = stage.sim.launch("Globex")?;
        wait_for(&file("in-progress"), "seen").await?;
        while stage.sim.complete_next(&run)?.is_some() {}
        wait_for(&file("complete"), "completed").await?;
        stage.sim.change(|world| world.archive(&run))?;
        stage.tell(&updated(&run)).await?;
        wait_for(&file("archived"), "archived").await?;
        let milestones = |status: &str| {
            let words = words_in(&file(status)).into_iter();
            words
                .filter(|word| word != "changed" && word != "notified")
                .collect::<Vec<_>>()
        };
        assert_eq!(milestones("in-progress"), ["seen"], "{statuses:?}");
        assert_eq!(
            milestones("complete"),
            ["completed", "archived"],
            "in the archive it is still complete"
        );
        assert_eq!(milestones("archived"), ["archived"], "{statuses:?}");
    }
    Ok(())
}
