//! The API lags behind its webhooks: what handlers see is the last state in the end, and never goes back.

use std::time::Duration;

use serde_json::Value;
use system_tests::{ReceivedEvent, Stage};
use tallyfy_sim::SimConfig;
use tallyfy_sim::world::Lag;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const WEBHOOKS_ONLY: (&str, &str) = ("RUNS_WORKER__RECONCILE__SCOPE", "off");

async fn post(stage: &Stage, body: &str) -> anyhow::Result<()> {
    let url = stage.webhook_url();
    let path = url.splitn(4, '/').nth(3).unwrap_or_default();
    let mut stream = tokio::net::TcpStream::connect(stage.worker.receive_address()).await?;
    let request = format!(
        "POST /{path} HTTP/1.1\r\nhost: test\r\nx-tallyfy-orgid: {}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        stage.sim.org(),
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    anyhow::ensure!(answer.contains(" 202 "), "{answer}");
    Ok(())
}

fn names(events: &[ReceivedEvent], run: &str) -> Vec<String> {
    let of_run = events.iter().filter(|event| event.run() == run);
    of_run
        .filter_map(|event| event.json["data"]["run"]["name"].as_str().map(str::to_owned))
        .collect()
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
                let updated = stage.sim.run(run)?.last_updated;
                format!(
                    r#"{{"id":"{run}","status":"active","created_at":"{updated}","last_updated":"{}"}}"#,
                    updated.strftime("%Y-%m-%dT%H:%M:%SZ")
                )
            } else {
                format!(r#"{{"event":"process.updated","process":{{"id":"{run}"}}}}"#)
            };
            post(&stage, &body).await?;
        }
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    let last = |events: &[ReceivedEvent], run: &String| names(events, run).last().is_some_and(|name| name == "15");
    let ends = stage
        .worker
        .wait_for_events(|events| runs.iter().all(|run| last(events, run)));
    tokio::time::timeout(Duration::from_secs(15), ends).await??;
    for run in &runs {
        let names = names(&stage.worker.events(), run);
        assert!(names.is_sorted(), "a state went back: {names:?}");
    }
    Ok(())
}

#[tokio::test]
async fn busy_runs_end_on_their_last_state_half_a_second_behind() -> anyhow::Result<()> {
    busy_runs_end_on_their_last_state(Duration::from_millis(500)).await
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
    let told = |events: &[ReceivedEvent], word: &str| {
        let is_told = |event: &&ReceivedEvent| event.json["type"].as_str().is_some_and(|it| it.contains(word));
        events.iter().filter(is_told).count()
    };
    stage
        .worker
        .wait_for_events(|events| told(events, ".completed.") == 1)
        .await?;
    stage.sim.set_lag(Lag::Versions(1));
    post(
        &stage,
        &format!(r#"{{"event":"task.comment_added","process":{{"id":"{run}"}}}}"#),
    )
    .await?;
    stage
        .worker
        .wait_for_log(|line| line.contains("older than the last state"))
        .await?;
    stage.sim.set_lag(Lag::None);
    stage
        .worker
        .wait_for_events(|events| told(events, ".notified.") == 1)
        .await?;
    let events = stage.worker.events();
    assert_eq!((told(&events, ".completed."), told(&events, ".reactivated.")), (1, 0));
    let last: Option<&Value> = events.last().map(|event| &event.json["data"]["run"]["completed_at"]);
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
        post(
            &stage,
            &format!(r#"{{"event":"process.updated","process":{{"id":"{run}"}}}}"#),
        )
        .await?;
        let shows = |events: &[ReceivedEvent]| names(events, &run).last().is_some_and(|last| last == name);
        let soon = stage.worker.wait_for_events(shows);
        tokio::time::timeout(Duration::from_secs(5), soon).await??;
    }
    Ok(())
}
