//! A worker without sockets and files, to test a handler with: give it runs and webhooks, get events.

mod api;
mod watched;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use runs_store::{EventSummary, HandlerName, Query, SchedulingTime, SqliteStore, Store, StoreError};
use tallyfy_model::{OrgId, Run, RunId};
use thiserror::Error;
use uuid::Uuid;

use crate::config::{Config, ConfigError, Loaded, Organization, ReconcileScope};
use crate::filter::EventFilter;
use crate::handler::{Event, Handler, HandlerError};
use crate::receive::read_notification;
use crate::start::StartError;
use crate::worker::Worker;

use api::Api;
use watched::Watched;

/// The organization of a bench.
const ORG: &str = "acme";
/// What the handler is called.
const NAME: &str = "handler";
/// How long a webhook may take to come out as an event.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often is looked whether it has.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A worker without sockets and files, to test a handler with: give it runs and webhooks, get events.
///
/// It is the real worker, on a store in memory and an API that knows the runs that it was told. Events are made, filtered,
/// put in order and handed over as they are anywhere else. It runs on tokio.
///
/// ```
/// use runs_worker::{Event, EventType, Handler, HandlerError, TestBench};
/// use tallyfy_model::Run;
///
/// struct Invoices;
///
/// #[async_trait::async_trait]
/// impl Handler for Invoices {
///     async fn handle(&self, event: &Event) -> Result<(), HandlerError> {
///         match event.event_type() {
///             EventType::Completed => Err(HandlerError::reject("no invoice for this one")),
///             _ => Ok(()),
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bench = TestBench::start(Invoices).await?;
/// bench.set_run(&Run::from_json(r#"{"id":"r1","status":"active"}"#)?);
/// let handled = bench.webhook(r#"{"event":"process.launched","process":{"id":"r1"}}"#).await?;
/// assert_eq!(handled[0].event.event_type(), EventType::Seen);
///
/// bench.set_run(&Run::from_json(r#"{"id":"r1","status":"complete"}"#)?);
/// let handled = bench.webhook(r#"{"event":"process.completed","process":{"id":"r1"}}"#).await?;
/// assert_eq!(handled[0].event.event_type(), EventType::Completed);
/// assert!(handled[0].outcome.is_err());
/// bench.stop().await;
/// # Ok(())
/// # }
/// ```
pub struct TestBench {
    worker: Worker,
    store: Arc<dyn Store>,
    api: Arc<Api>,
    handled: watched::Handled,
    org: OrgId,
}

/// An event that the handler was given, and what it made of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Handled {
    /// The event.
    pub event: Event,
    /// What the handler said. After a panic, this is an error that says so.
    pub outcome: Result<(), HandlerError>,
}

/// Why no events came of a webhook.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BenchError {
    /// The body is none that the worker can read: it would be kept for a person to look at.
    #[error("the webhook cannot be read as one")]
    Unrecognized,
    /// What came of it was not handed over in time: the handler takes long, or an event before it fails again and again.
    #[error("the handler was not given what came of the webhook within {0:?}")]
    TimedOut(Duration),
    /// The store does not work, or the bench was stopped.
    #[error("the store of the bench does not work")]
    Store(#[from] StoreError),
    /// The settings are refused.
    #[error("the settings of the bench are refused")]
    Config(#[from] ConfigError),
    /// The worker cannot be started.
    #[error("the worker cannot be started")]
    Start(#[from] StartError),
}

impl TestBench {
    /// Starts one, with a handler that gets every event.
    ///
    /// # Errors
    /// [`BenchError`].
    pub async fn start(handler: impl Handler + 'static) -> Result<Self, BenchError> {
        Self::filtered(EventFilter::default(), handler).await
    }

    /// Starts one, with a handler that gets what the filter lets through.
    ///
    /// # Errors
    /// [`BenchError`].
    pub async fn filtered(filter: EventFilter, handler: impl Handler + 'static) -> Result<Self, BenchError> {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::in_memory(SchedulingTime::by_wall_clock())?);
        let api = Arc::new(Api::default());
        let handled = watched::Handled::default();
        let organization = Organization::new(ORG, "token", ["secret"]);
        let worker = Worker::builder(Loaded::new(at_once(), [organization])?)
            .store(Arc::clone(&store))
            .transport(Arc::clone(&api) as _)
            .filtered_handler(NAME, filter, Watched::new(handler, &handled))
            .without_receive_listener()
            .without_admin_listener()
            .start()
            .await?;
        Ok(Self {
            worker,
            store,
            api,
            handled,
            org: OrgId::new(ORG),
        })
    }

    /// The organization of its runs.
    pub fn org(&self) -> &OrgId {
        &self.org
    }

    /// Lets the API answer with this run from now on. Nobody is told before there is a [`webhook`](Self::webhook).
    pub fn set_run(&self, run: &Run) {
        self.api.set(run);
    }

    /// Lets the API know a run no longer.
    pub fn remove_run(&self, run: impl Into<RunId>) {
        self.api.remove(&run.into());
    }

    /// Receives a webhook with this body, and waits until the handler was given what came of it. Returns what it was given
    /// since the last call, in that order, every attempt.
    ///
    /// Each webhook counts, even one that repeats another.
    ///
    /// # Errors
    /// [`BenchError`].
    pub async fn webhook(&self, body: impl Into<Bytes>) -> Result<Vec<Handled>, BenchError> {
        let mut notification = read_notification(&self.org, body.into(), Timestamp::now());
        if notification.subject.is_none() {
            return Err(BenchError::Unrecognized);
        }
        notification.dedupe_key = None;
        let id = notification.id;
        self.store.append(notification, SchedulingTime::by_wall_clock()).await?;
        let handed_over = async {
            while !self.is_handed_over(id).await? {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Ok::<_, BenchError>(())
        };
        tokio::time::timeout(PATIENCE, handed_over)
            .await
            .map_err(|_| BenchError::TimedOut(PATIENCE))??;
        Ok(self.handled.take())
    }

    /// Stops it.
    pub async fn stop(self) {
        self.worker.stop().await;
    }

    /// Whether the run was fetched for a notification, and each event that it led to was tried.
    async fn is_handed_over(&self, notification: Uuid) -> Result<bool, StoreError> {
        let Some(notification) = self.store.notification(notification).await? else {
            return Ok(false);
        };
        for id in &notification.summary.led_to {
            let Some(event) = self.store.event(*id).await? else {
                continue;
            };
            if !self.is_tried(&event.summary).await? {
                return Ok(false);
            }
        }
        Ok(notification.summary.covered)
    }

    async fn is_tried(&self, event: &EventSummary) -> Result<bool, StoreError> {
        let name = HandlerName::new(NAME);
        if !event.waiting.contains(&name) {
            return Ok(true);
        }
        let mut query = Query::default();
        query.ids.push(event.id);
        let waiting = self.store.deliveries(&query, 1).await?;
        Ok(waiting.iter().all(|delivery| delivery.attempts > 0 && !delivery.is_out))
    }
}

/// Settings with which nothing waits.
fn at_once() -> Config {
    let mut config = Config::default();
    config.reconcile.scope = ReconcileScope::Off;
    config.reconcile.registrations_interval = Duration::ZERO;
    config.refresh.window = Duration::ZERO;
    config.refresh.missing_tries = std::num::NonZeroU32::MIN;
    config.refresh.stale_retries = 0;
    config.refresh.second_look = Duration::ZERO;
    config.refresh.retry_initial = Duration::from_millis(1);
    // What is not there any more is believed at once.
    config.refresh.retry_max = Duration::from_millis(10);
    config.deliver.retry_initial = Duration::from_millis(10);
    config.api.requests_per_five_seconds = 0;
    config.api.requests_per_minute = 0;
    config.api.requests_per_hour = 0;
    config
}
