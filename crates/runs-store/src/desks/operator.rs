//! The operator's desk: what waits, what is old, and what a person may look at and set right.
//!
//! A person works beside the worker, in the same file: SQLite lets another process write in transactions of its own, so that
//! the commands need no worker that answers them. They take no lock, since that is about two workers, and migrate nothing.
//! The stages look at the store every two seconds, whatever wakes them.

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use tallyfy_model::{OrgId, RunId};
use uuid::Uuid;

use super::handler_name::HandlerName;
use super::inbox::NewNotification;
use crate::error::StoreError;
use crate::time::SchedulingTime;

/// What the worker and a person do to keep the store in order.
///
/// Every verb is one transaction, or several of some hundred rows, so that a worker can write in between. What is done
/// beside a running worker is found by it when it looks for work next.
#[async_trait]
pub trait OperatorDesk: Send + Sync {
    /// Events, the newest first, at most so many.
    async fn events(&self, query: &Query, limit: usize) -> Result<Vec<EventSummary>, StoreError>;

    /// An event with its body.
    async fn event(&self, id: Uuid) -> Result<Option<Whole<EventSummary>>, StoreError>;

    /// Events with their bodies, the oldest first, at most so many, from the place on where the page before ended; 0 is
    /// the beginning.
    async fn events_after(&self, query: &Query, after: i64, limit: usize) -> Result<EventPage, StoreError>;

    /// Hands events out again to a handler, in their order and with their ids, and says how many. What waits for it comes
    /// after those of its run. [`StoreError::Refused`] if no handler was ever configured under this name.
    async fn replay(&self, events: &[Uuid], handler: &HandlerName, now: SchedulingTime) -> Result<u64, StoreError>;

    /// The ids between these two, both included, at most so many.
    async fn ids_between(&self, of: IdsOf, first: Uuid, last: Uuid, limit: usize) -> Result<Vec<Uuid>, StoreError>;

    /// Deliveries that are not settled, by handler and run in their order, at most so many.
    async fn deliveries(&self, query: &Query, limit: usize) -> Result<Vec<WaitingDelivery>, StoreError>;

    /// Makes deliveries due that wait for their next try, and says how many. Their attempts go on being counted.
    async fn retry_deliveries(&self, query: &Query, now: SchedulingTime) -> Result<u64, StoreError>;

    /// Notifications, the newest first, at most so many.
    async fn notifications(&self, query: &Query, limit: usize) -> Result<Vec<NotificationSummary>, StoreError>;

    /// A notification with its body, as it came.
    async fn notification(&self, id: Uuid) -> Result<Option<Whole<NotificationSummary>>, StoreError>;

    /// Files an unrecognized notification that can be read now: `read` is what was made of its body. Its subject is due
    /// then. Whether it was there and unrecognized.
    async fn recognize(&self, read: NewNotification, now: SchedulingTime) -> Result<bool, StoreError>;

    /// Deliveries that were given up, the latest first, at most so many.
    async fn dead_letters(&self, query: &Query, limit: usize) -> Result<Vec<DeadLetter>, StoreError>;

    /// Puts deliveries that were given up back into their lines, and says how many. Each is the next of its run for its
    /// handler, before what waits there: what is delivered after it was made later.
    async fn retry_dead_letters(&self, query: &Query, now: SchedulingTime) -> Result<u64, StoreError>;

    /// Deletes dead letters, and says how many. Their events stay.
    async fn drop_dead_letters(&self, query: &Query) -> Result<u64, StoreError>;

    /// Deletes what waits for a handler that is not configured any more, and says how many events that were. What was
    /// given up for it stays among the dead letters. [`StoreError::Refused`] for a handler that the worker has, or had
    /// when it last ran, and for a name that no handler ever had.
    async fn drop_waiting(&self, handler: &HandlerName) -> Result<u64, StoreError>;

    /// Removes what is old and needed by nobody, at most a few rows: events that every handler has settled and that are
    /// no dead letters, with the attempts to hand them over, fetches and entries of the journal, notifications that a refresh
    /// has covered or nobody could read, snapshots of runs that are not due.
    async fn prune(&self, prune: Prune) -> Result<Pruned, StoreError>;

    /// Counts what is waiting.
    async fn stats(&self, now: SchedulingTime) -> Result<Stats, StoreError>;

    /// Shows that the store can be written, by writing.
    async fn probe(&self) -> Result<(), StoreError>;
}

/// What is waiting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Subjects that wait for a refresh or are being refreshed.
    pub due: u64,
    /// Since when the longest waiting one could have been claimed.
    pub oldest_due: Option<SchedulingTime>,
    /// Bodies that nobody could read.
    pub unrecognized: u64,
    /// The handlers that are active or have something left, by name.
    pub handlers: Vec<HandlerStats>,
    /// How large the database's write-ahead log is; 0 where another server keeps it.
    pub log_bytes: u64,
}

/// What waits for one handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerStats {
    /// The handler.
    pub handler: HandlerName,
    /// Whether it is in the configuration.
    pub active: bool,
    /// Whether a person has paused it.
    pub paused: bool,
    /// Events that it has not been given yet.
    pub waiting: u64,
    /// Since when it should have had the oldest of them, failing or not.
    pub oldest: Option<SchedulingTime>,
    /// What failed last and is tried again.
    pub failing: Option<Failing>,
    /// Deliveries that were given up.
    pub dead_letters: u64,
}

/// A delivery that failed and is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// What happened; holds no secret.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried again.
    pub next_try: SchedulingTime,
}

/// What is to be removed: what is older than these times and needed by nobody, from these places on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prune {
    /// Events made, runs fetched and entries of the journal written before this time; `None` keeps them all.
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
    /// How many fetches, and entries of the journal.
    pub told: u64,
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
    /// Of this organization.
    pub org: Option<OrgId>,
    /// Waiting for this handler, delivered to it, given up for it or kept back by its filter; means nothing to
    /// notifications.
    pub handler: Option<HandlerName>,
    /// Of one of these CloudEvents types; of any, if there are none. Means nothing to notifications.
    pub types: Vec<String>,
    /// Only events that wait for a handler, and notifications that wait for a fetch.
    pub pending: bool,
    /// With one of these ids of events or notifications; any, if there are none.
    pub ids: Vec<Uuid>,
    /// Made or received at this time or later.
    pub since: Option<Timestamp>,
    /// Made or received before this time.
    pub until: Option<Timestamp>,
    /// Only deliveries whose last try failed.
    pub failing: bool,
    /// Only notifications with an unreadable body.
    pub unrecognized: bool,
    /// Only what a list shows after this one; nothing, if it is not there any more. Means nothing where something is changed.
    pub after: Option<After>,
}

/// The last entry of a page, which the next page comes after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After {
    /// The id of the event or the notification.
    pub id: Uuid,
    /// The handler, for a dead letter.
    pub handler: Option<HandlerName>,
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
    /// The handlers that have it, and since when.
    pub delivered: Vec<(HandlerName, Timestamp)>,
    /// The handlers whose filter kept it back, and the key of the filter that did.
    pub kept_back: Vec<(HandlerName, String)>,
}

/// What ids are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IdsOf {
    /// Of events.
    Events,
    /// Of notifications.
    Notifications,
}

/// A delivery that is not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitingDelivery {
    /// The handler.
    pub handler: HandlerName,
    /// The event.
    pub event: EventSummary,
    /// When it is due; `None` while it waits for the event of its run before it.
    pub due_at: Option<SchedulingTime>,
    /// Whether it is being delivered now.
    pub is_out: bool,
    /// How often it was tried.
    pub attempts: u32,
    /// Why the last try failed.
    pub reason: Option<String>,
}

/// Some events with their bodies, and where the next page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventPage {
    /// The events, the oldest first; none at the end.
    pub events: Vec<Whole<EventSummary>>,
    /// What the next page comes after.
    pub last: i64,
}

impl EventPage {
    pub(crate) fn new(events: Vec<Whole<EventSummary>>, last: i64) -> Self {
        Self { events, last }
    }
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
    /// The events that the refresh made, the first first; none if it had nothing to tell, or they were removed.
    pub led_to: Vec<Uuid>,
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
