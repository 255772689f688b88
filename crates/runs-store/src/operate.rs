//! What a person sees of a store, and what a person may do with it.

use bytes::Bytes;
use jiff::Timestamp;
use tallyfy_model::{OrgId, RunId};
use uuid::Uuid;

use crate::types::HandlerName;

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
