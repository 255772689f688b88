//! The operator's desk: what waits, what is old, and what a person may look at and set right.

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use tallyfy_model::{OrgId, RunId};
use uuid::Uuid;

use super::outbox::HandlerName;
use crate::error::StoreError;

/// What the worker and a person do to keep the store in order.
#[async_trait]
pub trait OperatorDesk: Send + Sync {
    /// Removes what is old and needed by nobody, at most a few rows: events that every handler has settled and that are
    /// no dead letters, notifications that a refresh has covered or nobody could read, snapshots of runs that are not due.
    async fn prune(&self, prune: Prune) -> Result<Pruned, StoreError>;

    /// Counts what is waiting.
    async fn stats(&self, now: Timestamp) -> Result<Stats, StoreError>;

    /// Shows that the store can be written, by writing.
    async fn probe(&self) -> Result<(), StoreError>;
}

/// What is waiting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Subjects that wait for a refresh or are being refreshed.
    pub due: u64,
    /// Since when the longest waiting one could have been claimed.
    pub oldest_due: Option<Timestamp>,
    /// Bodies that nobody could read.
    pub unrecognized: u64,
    /// The handlers that are active or have something left, by name.
    pub handlers: Vec<HandlerStats>,
}

/// What waits for one handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerStats {
    /// The handler.
    pub handler: HandlerName,
    /// Whether it is in the configuration.
    pub active: bool,
    /// Events that it has not been given yet.
    pub waiting: u64,
    /// Since when the longest waiting head of a run could have been claimed.
    pub oldest_due: Option<Timestamp>,
    /// Deliveries that were given up.
    pub dead_letters: u64,
}

/// What is to be removed: what is older than these times and needed by nobody, from these places on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prune {
    /// Events made before this time; `None` keeps them all.
    pub events_before: Option<Timestamp>,
    /// Notifications received before this time; `None` keeps them all. They are also the memory for duplicates.
    pub notifications_before: Option<Timestamp>,
    /// Snapshots fetched before this time; `None` keeps them all.
    pub snapshots_before: Option<Timestamp>,
    /// The most rows of each kind that are looked at.
    pub limit: usize,
    /// Where to go on; what [`Pruned::next`] said, or the default for a new pass.
    pub after_event: i64,
    /// Likewise.
    pub after_notification: i64,
    /// Likewise.
    pub after_snapshot: i64,
}

/// What was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// What goes on from here.
    pub next: Prune,
    /// How many events.
    pub events: u64,
    /// How many notifications.
    pub notifications: u64,
    /// How many snapshots.
    pub snapshots: u64,
    /// Whether the pass is over.
    pub is_done: bool,
    /// How much room the store takes up, before this, without what was freed in it.
    pub used_bytes: u64,
}

/// Which events, notifications or dead letters are meant. What is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Query {
    /// Of this run.
    pub run: Option<RunId>,
    /// Of or for this handler; means nothing to notifications.
    pub handler: Option<HandlerName>,
    /// With one of these ids of events or notifications; any, if there are none.
    pub ids: Vec<Uuid>,
    /// Made or received at this time or later.
    pub since: Option<Timestamp>,
    /// Made or received before this time.
    pub until: Option<Timestamp>,
    /// Notifications that nobody could read.
    pub unrecognized: bool,
}

/// An event, without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventSummary {
    /// Its id.
    pub id: Uuid,
    /// The organization of the run.
    pub org: OrgId,
    /// The run.
    pub run: RunId,
    /// Its number within the run.
    pub number: u64,
    /// Its CloudEvents type.
    pub event_type: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// The handlers that have not been given it yet.
    pub waiting: Vec<HandlerName>,
    /// The handlers for which it was given up.
    pub dead: Vec<HandlerName>,
}

/// A notification, without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotificationSummary {
    /// Its id.
    pub id: Uuid,
    /// The organization that it was accepted for.
    pub org: OrgId,
    /// Which of the documented bodies it is, or `unrecognized`.
    pub kind: String,
    /// What happened.
    pub event: Option<String>,
    /// The run that it names.
    pub run: Option<String>,
    /// The task that it names.
    pub task: Option<String>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// How many duplicates of it arrived.
    pub duplicates: u32,
    /// Whether a committed refresh has covered it.
    pub covered: bool,
}

/// A delivery that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The handler.
    pub handler: HandlerName,
    /// The event.
    pub event: EventSummary,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it was given up.
    pub reason: String,
    /// What the other side said last, if it said anything.
    pub answer: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// Something with its body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Whole<T> {
    /// What it is.
    pub summary: T,
    /// The body.
    pub body: Bytes,
}

impl<T> Whole<T> {
    pub(crate) fn new(summary: T, body: Bytes) -> Self {
        Self { summary, body }
    }
}
