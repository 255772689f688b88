//! Bodies of webhooks as relays, older versions and odd moments write them: what each is taken for.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use system_tests::{ReceivedEvent, Stage, of_run, words};
use tallyfy_sim::SimConfig;
use tallyfy_sim::clock::ManualClock;
use tallyfy_sim::quirks::{DateForm, QuirkMode, Quirks};

const WEBHOOKS_ONLY: (&str, &str) = ("RUNS_WORKER__RECONCILE__SCOPE", "off");

/// What a body that was put into a wrapping says of a run.
fn completed(run: &str) -> String {
    format!(r#"{{"this_task":{{"id":"t1","completed_at":"2026-01-31T09:00:00Z"}},"process":{{"id":"{run}"}}}}"#)
}

/// The text in UTF-16.
fn utf16(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(order).collect()
}

/// As a form writes it.
fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn zlib(text: &str) -> anyhow::Result<Vec<u8>> {
    use std::io::Write as _;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes())?;
    Ok(encoder.finish()?)
}

/// One body in every wrapping that is opened.
fn wrapped(body: &str) -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
    let text = |text: String| text.into_bytes();
    let (string, encoded) = (serde_json::to_string(body)?, percent(body));
    Ok(vec![
        ("as it is", text(body.to_owned())),
        ("lines around it", text(format!("\r\n  {body}\n\n"))),
        ("a list of one", text(format!("[{body}]"))),
        ("JSON in a string", text(string.clone())),
        ("a form", text(format!("payload={encoded}"))),
        ("a form of another name", text(format!("id=7&data={encoded}&sig=abc"))),
        ("a form without a name", text(encoded)),
        ("a form with plain braces", text(format!("json={body}"))),
        (
            "a relay",
            text(format!(r#"{{"method":"POST","body":{body},"query":{{}}}}"#)),
        ),
        (
            "a relay with a string",
            text(format!(r#"{{"headers":{{"a":"b"}},"body":{string}}}"#)),
        ),
        (
            "a relay's payload",
            text(format!(r#"{{"payload":{body},"attempt":1}}"#)),
        ),
        (
            "a topic's message",
            text(format!(r#"{{"Type":"Notification","Message":{string}}}"#)),
        ),
        (
            "an event bus",
            text(format!(r#"{{"version":"0","detail-type":"x","detail":{body}}}"#)),
        ),
        ("an envelope", text(format!(r#"{{"data":{body}}}"#))),
        ("UTF-8 with a mark", text(format!("\u{feff}{body}"))),
        ("UTF-16", utf16(body, u16::to_le_bytes)),
        ("UTF-16, big end first", utf16(body, u16::to_be_bytes)),
        (
            "UTF-16 with a mark",
            utf16(&format!("\u{feff}{body}"), u16::to_le_bytes),
        ),
        ("zlib", zlib(body)?),
    ])
}

#[tokio::test]
async fn a_body_in_one_wrapping_is_read_and_what_is_not_opened_is_kept_with_its_headers() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[WEBHOOKS_ONLY]).await?;
    let org = ("x-tallyfy-orgid", stage.sim.org());
    let mut sent = Vec::new();
    for number in 0..wrapped("")?.len() {
        let run = stage.sim.launch(&format!("Order {number}"))?;
        let (what, body) = wrapped(&completed(&run))?.swap_remove(number);
        let answer = stage.post(&[org], &body).await?;
        ensure!(answer.contains(r#""status":"stored""#), "{what}: {answer}");
        sent.push((what, run));
    }
    let events = stage
        .worker
        .wait_for_events(|events| sent.iter().all(|(_, run)| !of_run(events, run).is_empty()))
        .await?;
    for (what, run) in &sent {
        let told = of_run(&events, run)[0].notifications();
        ensure!(
            told.len() == 1 && told[0]["event"] == "task.completed",
            "{what}: {told:?}"
        );
    }

    let body = completed("r1");
    let form = format!("--b\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n{body}\r\n--b--\r\n");
    for (content_type, body) in [
        ("multipart/form-data; boundary=b", form.into_bytes()),
        ("application/json; depth=2", format!("[[{body}]]").into_bytes()),
        ("application/json; batch=2", format!("[{body},{body}]").into_bytes()),
        (
            "application/json; charset=utf-32",
            body.chars()
                .flat_map(|letter| u32::from(letter).to_le_bytes())
                .collect(),
        ),
    ] {
        let answer = stage.post(&[org, ("content-type", content_type)], &body).await?;
        ensure!(
            answer.contains(r#""status":"unrecognized""#),
            "{content_type}: {answer}"
        );
        let listed = stage.command(&["notifications", "list", "--unrecognized"]).await?;
        let told = listed.stdout.iter().any(|line| line.contains(content_type));
        ensure!(told, "{content_type}: {listed:?}");
    }
    Ok(())
}

/// The last event of a run, and its notifications.
fn last<'a>(events: &'a [ReceivedEvent], run: &str) -> Option<&'a ReceivedEvent> {
    of_run(events, run).last().copied()
}

/// A body that tells of a run with this id, what is odd about it, and which event it is taken for.
type Told = (&'static str, fn(&str) -> Value, &'static str);

/// What a completed run or a task alone is told by.
fn told_without_a_time() -> Vec<Told> {
    vec![
        (
            "no time",
            |run| json!({"id": run, "status": "completed", "completed_at": null, "name": "x"}),
            "process.completed",
        ),
        (
            "another word",
            |run| json!({"id": run, "status": "complete", "name": "x"}),
            "process.completed",
        ),
        (
            "capitals",
            |run| json!({"id": run, "status": "COMPLETED", "completed_at": "", "checklist_id": "c"}),
            "process.completed",
        ),
        (
            "in an envelope",
            |run| json!({"data": {"id": run, "status": "completed", "completed_at": "0000-00-00 00:00:00"}}),
            "process.completed",
        ),
        (
            "an event",
            |run| json!({"event": "process.completed", "process": {"id": run, "status": "complete"}}),
            "process.completed",
        ),
        (
            "a task alone",
            |run| json!({"id": "t1", "run_id": run, "step_id": "s1"}),
            "",
        ),
        (
            "a task and its run's id",
            |run| json!({"id": "t1", "run_id": run, "title": "Sign", "status": "completed"}),
            "task.completed",
        ),
        (
            "a task with another id of its run",
            |run| json!({"id": "t1", "process_id": run, "title": "Sign", "completed_at": "2026-01-31T09:00:00Z"}),
            "task.completed",
        ),
        (
            "a task in its run",
            |run| json!({"id": "t1", "run": {"data": {"id": run}}, "task_type": "approval"}),
            "",
        ),
        ("named", |run| json!({"task": {"id": "t1", "run_id": run}}), ""),
        ("ids", |run| json!({"task_id": "t1", "run_id": run}), ""),
        (
            "a task with an answer",
            |run| json!({"data": {"id": "t1", "run_id": run, "taskdata": {}, "status": "complete"}}),
            "task.completed",
        ),
        (
            "a one-off task in a run",
            |run| json!({"id": "t1", "run_id": run, "is_oneoff_task": true, "owners": {}, "status": "not-started"}),
            "",
        ),
    ]
}

#[tokio::test]
async fn a_completion_needs_no_time_and_a_task_alone_is_about_its_run() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[WEBHOOKS_ONLY]).await?;
    let mut sent = Vec::new();
    for (what, body, event) in told_without_a_time() {
        let run = stage.sim.launch(what)?;
        stage.sim.change(|world| world.complete_overdue(&run))?;
        stage.tell(&body(&run).to_string()).await?;
        sent.push((what, run, event));
    }
    let events = stage
        .worker
        .wait_for_events(|events| sent.iter().all(|(_, run, _)| words(events, run).contains(&"completed")))
        .await?;
    for (what, run, event) in &sent {
        let told = of_run(&events, run)[0].notifications();
        ensure!(told.len() == 1, "{what}: {told:?}");
        let found = told[0]["event"].as_str().unwrap_or_default();
        ensure!(found == *event, "{what}: {}", told[0]);
        let task = told[0]["task_id"].as_str();
        ensure!(
            task == (!event.starts_with("process")).then_some("t1"),
            "{what}: {}",
            told[0]
        );
    }
    ensure!(
        events.iter().all(|event| event.run() != "t1"),
        "a task was taken for a run"
    );
    Ok(())
}

/// The same second, written as finely as databases, programs and people do.
const OF_ONE_SECOND: [&str; 8] = [
    "2026-01-05T09:00:05.123456Z",
    "2026-01-05T09:00:05.999Z",
    "2026-01-05T09:00:05Z",
    "2026-01-05 09:00:05",
    "2026-01-05T11:00:05.123456+02:00",
    "2026-01-05T09:00:05.000000Z",
    "2026-01-05T04:00:05-05:00",
    "05/01/2026 09:00 AM UTC",
];

#[tokio::test]
async fn the_same_moment_in_another_fineness_is_one_fetch_and_not_stale() -> anyhow::Result<()> {
    for dates in [DateForm::Seconds, DateForm::Millis, DateForm::Spaced] {
        let sim = SimConfig {
            clock: std::sync::Arc::new(ManualClock::at("2026-01-05T09:00:05Z".parse()?)),
            quirks: QuirkMode::Fixed(Quirks {
                dates,
                ..Quirks::default()
            }),
            ..SimConfig::default()
        };
        let stage = Stage::set(sim, &[WEBHOOKS_ONLY]).await?;
        let mut runs = Vec::new();
        for written in OF_ONE_SECOND {
            let run = stage.sim.launch(written)?;
            let body = json!({"id": run, "name": "x", "status": "active", "last_updated": written});
            stage.tell(&body.to_string()).await?;
            runs.push(run);
        }
        let events = stage
            .worker
            .wait_for_events(|events| runs.iter().all(|run| last(events, run).is_some()))
            .await?;
        for (run, written) in runs.iter().zip(OF_ONE_SECOND) {
            let event = last(&events, run).context("an event")?;
            ensure!(
                event.json["data"]["stale"].is_null(),
                "{written}, {dates:?}: {}",
                event.line
            );
        }
        stage.sim.requests().wait_until_idle().await;
        let calls = stage.sim.requests().total();
        ensure!(calls == runs.len() as u64, "{calls} calls with {dates:?}");
    }
    Ok(())
}

/// What stands where a time belongs and says that there is none.
const NO_TIMES: [&str; 10] = [
    r#""0000-00-00 00:00:00""#,
    r#""-0001-11-30T00:00:00.000000Z""#,
    r#""0001-01-01T00:00:00Z""#,
    r#""1970-01-01T00:00:00Z""#,
    r#""1899-12-30""#,
    r#""00/00/0000 12:00 AM UTC""#,
    r#""never""#,
    r#""""#,
    "0",
    "false",
];

#[tokio::test]
async fn a_time_that_is_none_completes_and_archives_nothing() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[WEBHOOKS_ONLY]).await?;
    let mut runs = Vec::new();
    for none in NO_TIMES {
        let run = stage.sim.launch(none)?;
        let body = format!(
            r#"{{"id":"{run}","name":"x","status":"active","completed_at":{none},"archived_at":{none},"last_updated":{none}}}"#
        );
        stage.tell(&body).await?;
        let task = format!(r#"{{"this_task":{{"id":"t1","completed_at":{none}}},"process":{{"id":"{run}"}}}}"#);
        stage.tell(&task).await?;
        runs.push(run);
    }
    let told = |events: &[ReceivedEvent], run: &str| -> usize {
        of_run(events, run)
            .iter()
            .map(|event| event.notifications().len())
            .sum()
    };
    let events = stage
        .worker
        .wait_for_events(|events| runs.iter().all(|run| told(events, run) >= 2))
        .await?;
    for (run, none) in runs.iter().zip(NO_TIMES) {
        let told = words(&events, run);
        ensure!(
            told.iter().all(|word| ["seen", "notified"].contains(word)),
            "{none}: {told:?}"
        );
        let stale = of_run(&events, run)
            .iter()
            .any(|event| !event.json["data"]["stale"].is_null());
        ensure!(!stale, "{none}");
        let first = &of_run(&events, run)[0].notifications()[0];
        ensure!(first["event"] == "process.launched", "{none}: {first}");
    }
    Ok(())
}
