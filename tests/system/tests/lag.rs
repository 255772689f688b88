//! The API lags behind its webhooks: what handlers see is the last state in the end, and never goes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use system_tests::{ReceivedEvent, Stage, names, words};
use tallyfy_sim::SimConfig;
use tallyfy_sim::clock::{Clock, ManualClock};
use tallyfy_sim::faults::{Fault, FaultRule};
use tallyfy_sim::quirks::{DateForm, QuirkMode, Quirks};
use tallyfy_sim::world::Lag;

const WEBHOOKS_ONLY: (&str, &str) = ("RUNS_WORKER__RECONCILE__SCOPE", "off");

/// A webhook that says when the run was updated last, to the second as the vendor does.
fn timed(stage: &Stage, run: &str) -> anyhow::Result<String> {
    let updated = stage.sim.run(run)?.last_updated.strftime("%Y-%m-%dT%H:%M:%SZ");
    Ok(format!(
        r#"{{"id":"{run}","status":"active","created_at":"{updated}","last_updated":"{updated}"}}"#
    ))
}

/// One that names no time.
fn untimed(run: &str) -> String {
    format!(r#"{{"event":"process.updated","process":{{"id":"{run}"}}}}"#)
}

/// Waits until a run's last event shows this name, and gives all events.
async fn ends_on(stage: &Stage, run: &str, name: &str) -> anyhow::Result<Vec<ReceivedEvent>> {
    let shows = |events: &[ReceivedEvent]| names(events, run).last() == Some(&name);
    let events = stage.worker.wait_for_events(shows).await?;
    assert!(
        names(&events, run).is_sorted(),
        "a state went back: {:?}",
        names(&events, run)
    );
    Ok(events)
}

/// Twelve runs are changed and announced every 0.4 s, half of them without a time.
async fn busy_runs_end_on_their_last_state(lag: Duration) -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[WEBHOOKS_ONLY]).await?;
    stage.connect_templates()?;
    let runs = (0..12).map(|_| stage.sim.launch("00")).collect::<Result<Vec<_>, _>>()?;
    stage
        .worker
        .wait_for_events(|events| runs.iter().all(|run| !names(events, run).is_empty()))
        .await?;
    stage.sim.set_lag(Lag::Time(lag));
    for round in 1..=15 {
        for (number, run) in runs.iter().enumerate() {
            stage.sim.change(|world| world.rename(run, &format!("{round:02}")))?;
            let body = if number % 2 == 0 {
                timed(&stage, run)?
            } else {
                untimed(run)
            };
            stage.tell(&body).await?;
        }
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    let all_end = async {
        for run in &runs {
            ends_on(&stage, run, "15").await?;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(15), all_end).await?
}

#[tokio::test]
async fn busy_runs_end_on_their_last_state_half_a_second_behind() -> anyhow::Result<()> {
    busy_runs_end_on_their_last_state(Duration::from_millis(500)).await
}

#[tokio::test]
async fn busy_runs_end_on_their_last_state_a_second_behind() -> anyhow::Result<()> {
    busy_runs_end_on_their_last_state(Duration::from_secs(1)).await
}

#[tokio::test]
async fn busy_runs_end_on_their_last_state_a_second_and_a_half_behind() -> anyhow::Result<()> {
    busy_runs_end_on_their_last_state(Duration::from_millis(1500)).await
}

#[tokio::test]
async fn busy_runs_end_on_their_last_state_three_seconds_behind() -> anyhow::Result<()> {
    busy_runs_end_on_their_last_state(Duration::from_secs(3)).await
}

#[tokio::test]
async fn a_completion_is_not_undone_by_an_older_answer() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[WEBHOOKS_ONLY]).await?;
    stage.connect_templates()?;
    let run = stage.sim.launch("Once")?;
    while stage.sim.complete_next(&run)?.is_some() {}
    let told = |events: &[ReceivedEvent], word: &str| events.iter().filter(|event| event.word() == word).count();
    stage
        .worker
        .wait_for_events(|events| told(events, "completed") == 1)
        .await?;
    stage.sim.set_lag(Lag::Versions(1));
    stage
        .tell(&format!(
            r#"{{"event":"task.comment_added","process":{{"id":"{run}"}}}}"#
        ))
        .await?;
    stage
        .worker
        .wait_for_log(|line| line.contains("older than the last state"))
        .await?;
    stage.sim.set_lag(Lag::None);
    stage
        .worker
        .wait_for_events(|events| told(events, "notified") == 1)
        .await?;
    let events = stage.worker.events();
    assert_eq!((told(&events, "completed"), told(&events, "reactivated")), (1, 0));
    let last = events.last().map(|event| &event.state()["completed_at"]);
    assert!(last.is_some_and(Value::is_string), "{last:?}");
    Ok(())
}

#[tokio::test]
async fn a_live_webhook_does_not_wait_for_a_second_look() -> anyhow::Result<()> {
    let environment = [WEBHOOKS_ONLY, ("RUNS_WORKER__REFRESH__SECOND_LOOK", "1h")];
    let stage = Stage::set(SimConfig::default(), &environment).await?;
    let run = stage.sim.launch("First")?;
    for name in ["Second", "Third"] {
        stage.sim.change(|world| world.rename(&run, name))?;
        stage.tell(&untimed(&run)).await?;
        tokio::time::timeout(Duration::from_secs(5), ends_on(&stage, &run, name)).await??;
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_found_at_its_launch_uses_up_no_try_of_another_kind() -> anyhow::Result<()> {
    let environment = [
        WEBHOOKS_ONLY,
        ("RUNS_WORKER__REFRESH__WINDOW", "100ms"),
        ("RUNS_WORKER__REFRESH__RETRY_INITIAL", "100ms"),
        ("RUNS_WORKER__REFRESH__RETRY_MAX", "300ms"),
        ("RUNS_WORKER__REFRESH__MISSING_TRIES", "40"),
        ("RUNS_WORKER__REFRESH__STALE_RETRIES", "3"),
    ];
    let stage = Stage::set(SimConfig::default(), &environment).await?;
    stage.connect_templates()?;
    stage.sim.set_lag(Lag::Time(Duration::from_secs(3)));
    let run = stage.sim.launch("First")?;
    tokio::time::sleep(Duration::from_millis(1600)).await;
    stage.sim.change(|world| world.rename(&run, "Second"))?;
    stage.tell(&timed(&stage, &run)?).await?;
    let events = ends_on(&stage, &run, "Second").await?;
    let calls = stage.sim.requests().calls();
    let missing = calls.iter().filter(|call| call.status == Some(404)).count();
    assert!(missing > 3, "{missing}");
    assert_eq!(
        words(&events, &run),
        ["seen"],
        "all quick tries are left, and nothing older is told"
    );
    assert_eq!(events[0].json["data"]["stale"], Value::Null);
    Ok(())
}

#[tokio::test]
async fn a_timed_announcement_that_arrives_during_a_fetch_is_owed() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[WEBHOOKS_ONLY]).await?;
    let run = stage.sim.launch("First")?;
    stage.tell(&untimed(&run)).await?;
    ends_on(&stage, &run, "First").await?;
    stage.sim.set_lag(Lag::Time(Duration::from_secs(2)));
    let held = stage.sim.faults().add(FaultRule::always(Fault::Hold));
    stage.tell(&untimed(&run)).await?;
    held.wait_for_hits(1).await;
    stage.sim.change(|world| world.rename(&run, "Second"))?;
    stage.tell(&timed(&stage, &run)?).await?;
    held.release();
    ends_on(&stage, &run, "Second").await?;
    Ok(())
}

/// The clock of an API that is not the worker's.
#[derive(Debug)]
struct Apart(SignedDuration);

impl Clock for Apart {
    fn now(&self) -> Timestamp {
        Timestamp::now() + self.0
    }
}

#[tokio::test]
async fn a_worker_whose_clock_is_ten_minutes_off_ends_on_the_last_state() -> anyhow::Result<()> {
    for minutes in [-10, 10] {
        let sim = SimConfig {
            clock: Arc::new(Apart(SignedDuration::from_mins(minutes))),
            ..SimConfig::default()
        };
        let stage = Stage::set(sim, &[WEBHOOKS_ONLY]).await?;
        let runs = [stage.sim.launch("0")?, stage.sim.launch("0")?];
        stage.sim.set_lag(Lag::Time(Duration::from_millis(1500)));
        tokio::time::sleep(Duration::from_secs(2)).await;
        for name in ["1", "2", "3", "4"] {
            for run in &runs {
                stage.sim.change(|world| world.rename(run, name))?;
            }
            stage.tell(&timed(&stage, &runs[0])?).await?;
            stage.tell(&untimed(&runs[1])).await?;
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        for run in &runs {
            ends_on(&stage, run, "4").await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_older_answer_is_believed_once_it_has_stood_for_a_minute() -> anyhow::Result<()> {
    // All within one second, which is all that times are written to.
    let sim = SimConfig {
        clock: Arc::new(ManualClock::at("2026-01-05T09:00:00Z".parse()?)),
        quirks: QuirkMode::Fixed(Quirks {
            dates: DateForm::Seconds,
            ..Quirks::default()
        }),
        ..SimConfig::default()
    };
    let stage = Stage::set(sim, &[WEBHOOKS_ONLY]).await?;
    let run = stage.sim.launch("Done too soon")?;
    stage.tell(&untimed(&run)).await?;
    let told = |expected: &'static [&'static str]| {
        let run = run.clone();
        move |events: &[ReceivedEvent]| {
            let words = words(events, &run).into_iter();
            words.filter(|word| *word != "notified").eq(expected.iter().copied())
        }
    };
    stage.worker.wait_for_events(told(&["seen"])).await?;
    while stage.sim.complete_next(&run)?.is_some() {}
    stage.tell(&untimed(&run)).await?;
    stage.worker.wait_for_events(told(&["seen", "completed"])).await?;
    let task = stage.sim.tasks(&run)?[0].id.clone();
    stage.sim.change(|world| world.reopen(&task))?;
    let began = Instant::now();
    stage.tell(&untimed(&run)).await?;
    let older = "older than the last state:";
    let doubted = |log: &[String]| log.iter().filter(|line| line.contains(older)).count() >= 4;
    stage.worker.wait_for_log_lines(doubted).await?;
    stage
        .worker
        .wait_for_log(|line| line.contains("stands, and is believed"))
        .await?;
    stage
        .worker
        .wait_for_events(told(&["seen", "completed", "reactivated"]))
        .await?;
    assert!(began.elapsed() >= Duration::from_secs(59), "{:?}", began.elapsed());
    Ok(())
}

#[tokio::test]
async fn without_tasks_in_the_answers_a_completed_task_is_owed_no_longer_than_the_run_is_older() -> anyhow::Result<()> {
    let environment = [WEBHOOKS_ONLY, ("RUNS_WORKER__REFRESH__INCLUDES", "checklist,tags")];
    let stage = Stage::set(SimConfig::default(), &environment).await?;
    stage.connect_templates()?;
    let run = stage.sim.launch("First")?;
    ends_on(&stage, &run, "First").await?;
    stage.sim.set_lag(Lag::Time(Duration::from_millis(1500)));
    while stage.sim.complete_next(&run)?.is_some() {
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    let completed = |event: &ReceivedEvent| event.word() == "completed";
    let events = stage
        .worker
        .wait_for_events(|events| events.iter().any(completed))
        .await?;
    let last = events.iter().find(|event| completed(event));
    assert!(
        last.is_some_and(|event| event.json["data"]["stale"].is_null()),
        "{last:?}"
    );
    // Nothing is owed any more: there are no further looks than the one for what was announced without a time.
    tokio::time::sleep(Duration::from_secs(7)).await;
    let before = stage.sim.requests().of_run(&run);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(stage.sim.requests().of_run(&run), before);
    Ok(())
}
