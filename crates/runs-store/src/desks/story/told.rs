//! The story of one run, part by part.

use std::time::Duration;

use jiff::Timestamp;
use tallyfy_model::{OrgId, RunId};
use uuid::Uuid;

use super::journal::Journal;
use super::reports::FetchCause;
use super::runs::{RunPlace, RunSummary};
use crate::desks::{DeadLetter, EventSummary, HandlerName, NotificationSummary};

/// What is known of one run, all of one moment. Each list has the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// How it stands.
    pub run: RunSummary,
    /// The notifications that named it; what they led to is told as far as those events are told here.
    pub notifications: Vec<NotificationSummary>,
    /// Its fetches.
    pub fetches: Vec<ToldFetch>,
    /// Its events.
    pub events: Vec<EventSummary>,
    /// The attempts to hand them over.
    pub attempts: Vec<ToldAttempt>,
    /// The event at the head of each line, for handlers that have one waiting; whatever the time.
    pub heads: Vec<Head>,
    /// Its dead letters, whatever the time.
    pub dead_letters: Vec<DeadLetter>,
    /// What the journal says of it.
    pub journal: Vec<Journal>,
}

/// A fetch that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldFetch {
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What asked for it.
    pub cause: FetchCause,
    /// How it ended.
    pub outcome: String,
    /// How many changes it showed.
    pub changes: u32,
    /// Whether it showed less than was announced.
    pub stale: bool,
    /// The number of its first event.
    pub first_event: u64,
    /// How many events it made.
    pub events: u32,
    /// Why nothing was committed, if nothing was.
    pub reason: Option<String>,
    /// When it is fetched again, as was decided then.
    pub again_at: Option<Timestamp>,
    /// Which worker fetched.
    pub worker: String,
}

/// An attempt to hand an event over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldAttempt {
    /// The number of the event within its run.
    pub number: u64,
    /// The handler.
    pub handler: HandlerName,
    /// When it ended.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// Which try it was, from 1. It begins again with each time that a person has it sent once more.
    pub attempt: u32,
    /// How it ended.
    pub end: AttemptEnd,
    /// Which worker called.
    pub worker: String,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The handler has the event.
    Delivered,
    /// It failed and is tried again.
    Failed {
        /// What happened: an HTTP status, an exit code, what the other side said.
        reason: String,
        /// When the next try is, as was decided then.
        again_at: Timestamp,
    },
    /// It was given up.
    GivenUp {
        /// Why.
        reason: String,
    },
}

/// The event at the head of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The handler.
    pub handler: HandlerName,
    /// The organization of the run.
    pub org: OrgId,
    /// The run.
    pub run: RunId,
    /// What the run is called.
    pub name: Option<String>,
    /// The event.
    pub event: Uuid,
    /// Its number within the run.
    pub number: u64,
    /// When it is due.
    pub due_at: Timestamp,
    /// Whether it is being delivered now.
    pub is_out: bool,
    /// How often it was tried.
    pub attempts: u32,
    /// Why the last try failed.
    pub reason: Option<String>,
    /// When that was.
    pub failed_at: Option<Timestamp>,
}

/// Some heads, and where the list goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadsPage {
    /// The heads.
    pub heads: Vec<Head>,
    /// What the next page comes after; `None` at the end.
    pub next: Option<RunPlace>,
}
