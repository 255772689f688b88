//! What somebody who has the worker inside their own program wants to write, as it is written. That it compiles is the test.

use std::sync::Arc;
use std::time::Duration;

use runs_store::{SchedulingTime, SqliteStore};
use runs_worker::config::{Config, Flags, Loaded, Organization, load};
use runs_worker::{BenchError, Event, EventDraft, EventFilter, EventType, Handler, HandlerError, TestBench, Worker};
use tallyfy_model::{Run, WebhookBody};
use tallyfy_runs::Change;

type Outcome = Result<(), Box<dyn std::error::Error>>;

struct Mine;

#[async_trait::async_trait]
impl Handler for Mine {
    async fn handle(&self, event: &Event) -> Result<(), HandlerError> {
        match event.event_type() {
            EventType::Completed => {}
            EventType::Unknown => return Err(HandlerError::reject(event.kind())),
            _ => return Ok(()),
        }
        let _run: Option<Run> = event.run().map_err(HandlerError::reject)?;
        let changes: Vec<Change> = event.changes().map_err(HandlerError::reject)?;
        if changes.iter().any(|change| matches!(change, Change::Completed { .. })) {
            for webhook in event.notifications().map_err(HandlerError::reject)? {
                let _body = webhook.body.map(|body| WebhookBody::parse(body.get().as_bytes()));
            }
        }
        match event.is_stale().map_err(HandlerError::reject)? {
            true => Err(HandlerError::retry_after("not new enough", Duration::from_secs(60))),
            false => Ok(()),
        }
    }
}

fn configured() -> Result<Loaded, runs_worker::config::ConfigError> {
    let mut config = Config::default();
    config.store.data_dir = Some("/var/lib/mine".into());
    config.api.timeout = Duration::from_secs(20);
    let _text = load(
        &Flags::of_text("[log]\nfilter = \"info\""),
        &std::env::vars().collect(),
        true,
    );
    Loaded::new(config, [Organization::new("ORG_ID", "token", ["secret"])])
}

async fn in_a_server_of_my_own() -> Outcome {
    let worker = Worker::builder(configured()?)
        .store(Arc::new(SqliteStore::in_memory(SchedulingTime::by_wall_clock())?))
        .filtered_handler("mine", EventFilter::default(), Mine)
        .without_receive_listener()
        .without_admin_listener()
        .start()
        .await?;
    let app = axum::Router::<()>::new()
        .merge(worker.router())
        .nest("/ops", worker.admin_router());
    drop(app);
    worker.stop().await;
    Ok(())
}

async fn on_the_bench(run: &Run) -> Result<(), BenchError> {
    let bench = TestBench::start(Mine).await?;
    bench.set_run(run);
    for handled in bench.webhook(r#"{"process":{"id":"r1"}}"#).await? {
        let _: (&Event, &Result<(), HandlerError>) = (&handled.event, &handled.outcome);
    }
    bench.stop().await;
    Ok(())
}

#[test]
fn the_wishes_compile() {
    let run = Run::from_json(r#"{"id":"r1"}"#).unwrap();
    let event = EventDraft::new(EventType::Completed, "r1")
        .with_run(&run)
        .with_webhook("{}")
        .build();
    assert_eq!(event.unwrap().kind(), "completed");
    drop(in_a_server_of_my_own());
    drop(on_the_bench(&run));
}
