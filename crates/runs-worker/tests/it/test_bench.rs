//! A handler on the bench: what it is given, and what it is seen to do.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use runs_worker::{BenchError, Event, EventFilter, EventType, Handled, Handler, HandlerError, TestBench};
use tallyfy_model::Run;

use crate::world::task_completed;

/// A handler that answers by a function.
struct Answers<F>(F);

#[async_trait]
impl<F: Fn(&Event) -> Result<(), HandlerError> + Send + Sync> Handler for Answers<F> {
    async fn handle(&self, event: &Event) -> Result<(), HandlerError> {
        (self.0)(event)
    }
}

fn run(members: &str) -> Run {
    Run::from_json(&format!(r#"{{"id":"r1",{members}}}"#)).unwrap()
}

fn types(handled: &[Handled]) -> Vec<EventType> {
    handled.iter().map(|handled| handled.event.event_type()).collect()
}

#[tokio::test]
async fn what_comes_of_a_webhook_is_what_the_run_shows() {
    let bench = TestBench::start(Answers(|_: &Event| Ok(()))).await.unwrap();
    bench.set_run(&run(r#""status":"active","tasks":[{"id":"t1","title":"Call"}]"#));
    let launched = r#"{"event":"process.launched","process":{"id":"r1"}}"#;
    assert_eq!(types(&bench.webhook(launched).await.unwrap()), [EventType::Seen]);
    assert_eq!(
        types(&bench.webhook(launched).await.unwrap()),
        [EventType::Notified],
        "the same again"
    );
    // Names a task alone, whose run is looked up.
    let comment = r#"{"event":"task.comment_added","task":{"id":"t1"}}"#;
    let handled = bench.webhook(comment).await.unwrap();
    assert_eq!(types(&handled), [EventType::Notified]);
    assert_eq!(
        (handled[0].event.org(), handled[0].event.run_id().as_str()),
        (bench.org(), "r1")
    );
    bench.set_run(&run(
        r#""status":"active","tasks":[{"id":"t1","title":"Call","status":"completed"}]"#,
    ));
    let handled = bench
        .webhook(task_completed("r1", "t1", "2026-01-31T09:00:00Z"))
        .await
        .unwrap();
    assert_eq!(types(&handled), [EventType::Changed]);
    assert_eq!(
        handled[0].event.changes().unwrap()[0].to_string(),
        "task completed: Call (t1)"
    );
    bench.remove_run("r1");
    assert_eq!(types(&bench.webhook(launched).await.unwrap()), [EventType::Gone]);
    bench.stop().await;
}

#[tokio::test]
async fn an_announcement_that_the_run_does_not_show_is_marked_and_not_waited_for() {
    let bench = TestBench::start(Answers(|_: &Event| Ok(()))).await.unwrap();
    bench.set_run(&run(r#""tasks":[{"id":"t1","title":"Call","status":"active"}]"#));
    let handled = bench
        .webhook(task_completed("r1", "t1", "2026-01-31T09:00:00Z"))
        .await
        .unwrap();
    assert!(handled[0].event.is_stale().unwrap());
    bench.stop().await;
}

#[tokio::test]
async fn a_filter_keeps_back_what_it_keeps_back_elsewhere() {
    let mut filter = EventFilter::default();
    filter.events = vec![EventType::Completed];
    let bench = TestBench::filtered(filter, Answers(|_: &Event| Ok(()))).await.unwrap();
    bench.set_run(&run(r#""status":"active""#));
    let launched = r#"{"event":"process.launched","process":{"id":"r1"}}"#;
    assert!(bench.webhook(launched).await.unwrap().is_empty());
    bench.set_run(&run(r#""status":"complete""#));
    assert_eq!(types(&bench.webhook(launched).await.unwrap()), [EventType::Completed]);
    bench.stop().await;
}

#[tokio::test]
async fn every_outcome_is_seen_and_every_attempt() {
    let calls = AtomicU32::new(0);
    let bench = TestBench::start(Answers(move |event: &Event| {
        match (event.number(), calls.fetch_add(1, Ordering::Relaxed)) {
            (1, 0) => Err(HandlerError::retry("busy")),
            (1, 1) => panic!("a defect"),
            (2, _) => Err(HandlerError::reject("no such customer")),
            _ => Ok(()),
        }
    }))
    .await
    .unwrap();
    bench.set_run(&run(r#""status":"active""#));
    let webhook = r#"{"process":{"id":"r1"},"event":"process.updated"}"#;
    let first = bench.webhook(webhook).await.unwrap();
    assert_eq!(first[0].outcome, Err(HandlerError::retry("busy")));
    // The first event is tried until it is handled, and then comes the second.
    let handled = bench.webhook(webhook).await.unwrap();
    let told: Vec<_> = first
        .iter()
        .chain(&handled)
        .map(|handled| (handled.event.number(), handled.event.attempt(), handled.outcome.is_ok()))
        .collect();
    assert_eq!(told, [(1, 1, false), (1, 2, false), (1, 3, true), (2, 1, false)]);
    bench.stop().await;
}

#[tokio::test]
async fn a_body_that_is_no_webhook_is_an_error() {
    let bench = TestBench::start(Answers(|_: &Event| Ok(()))).await.unwrap();
    assert!(matches!(bench.webhook("not JSON").await, Err(BenchError::Unrecognized)));
    bench.stop().await;
}
