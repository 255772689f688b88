//! The story's desk: what happened to a run, and to the worker, in the words of those who did it.
//!
//! What the stages report of their attempts is written where they end them, in the same transaction. What a person does, and
//! what the worker notices of itself, goes into a journal. All of it is bounded: by number for each run, by age with
//! [`prune`](crate::OperatorDesk::prune).

mod journal;
mod reports;
mod runs;
mod told;
mod workers;

use async_trait::async_trait;
use jiff::Timestamp;
use tallyfy_model::{OrgId, RunId};

pub use journal::{Journal, JournalEntry, JournalQuery};
pub(crate) use reports::bounded;
pub use reports::{AttemptReport, FetchCause, FetchReport, MAX_ATTEMPTS_KEPT, MAX_FETCHES_KEPT, MAX_REASON_KEPT};
pub use runs::{RunLabel, RunPlace, RunSummary, RunsOnly, RunsPage, RunsQuery};
pub use told::{AttemptEnd, Head, HeadsPage, Story, ToldAttempt, ToldFetch};
pub use workers::{Beat, PULSE_KEPT, Pulse, WorkerSeen};

use super::handler_name::HandlerName;
use crate::error::StoreError;

/// Where it is told what happened.
///
/// Every list goes on from a place, and looks at a bounded number of rows, so that it is as fast in a large store as in a
/// small one.
#[async_trait]
pub trait StoryDesk: Send + Sync {
    /// Runs, at most so many, after this place. All of them come by their last fetch, the latest first, those that were never
    /// fetched last; those of a [kind](RunsQuery::only) come by when they became known, the latest first.
    ///
    /// A page may hold fewer runs than there are: it ends, with a place to go on from, after a bounded number of rows.
    async fn runs(&self, query: &RunsQuery, after: Option<RunPlace>, limit: usize) -> Result<RunsPage, StoreError>;

    /// What is known of a run: the newest entries of each kind from before this time, at most so many of each. `None` for a run
    /// that nothing is known of.
    async fn story(
        &self,
        org: &OrgId,
        run: &RunId,
        before: Option<Timestamp>,
        limit: usize,
    ) -> Result<Option<Story>, StoreError>;

    /// The lines of a handler whose head failed and is tried again, the latest failure first, after this place, at most so
    /// many.
    async fn heads(
        &self,
        handler: &HandlerName,
        after: Option<RunPlace>,
        limit: usize,
    ) -> Result<HeadsPage, StoreError>;

    /// Adds an entry to the journal. The oldest entries leave it when there are many.
    async fn note(&self, entry: JournalEntry) -> Result<(), StoreError>;

    /// Entries of the journal, the newest first, at most so many, from before this one.
    async fn journal(
        &self,
        query: &JournalQuery,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Journal>, StoreError>;

    /// A worker says that it is there, how it stands, and what it has done since it said so last.
    async fn beat(&self, beat: Beat) -> Result<(), StoreError>;

    /// The workers that were there at this time or later, by name.
    async fn beats(&self, since: Timestamp) -> Result<Vec<WorkerSeen>, StoreError>;

    /// What the workers did, added up for each minute, from this time on, the oldest first.
    async fn pulse(&self, since: Timestamp) -> Result<Vec<Pulse>, StoreError>;
}
