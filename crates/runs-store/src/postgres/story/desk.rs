//! The story's desk.

use async_trait::async_trait;
use jiff::Timestamp;
use tallyfy_model::{OrgId, RunId};

use super::{heads, journal, runs, told, workers};
use crate::desks::{
    Beat, HandlerName, HeadsPage, Journal, JournalEntry, JournalQuery, Pulse, RunPlace, RunsPage, RunsQuery, Story,
    StoryDesk, WorkerSeen,
};
use crate::error::StoreError;
use crate::postgres::PostgresStore;
use crate::postgres::core::{read, write};

#[async_trait]
impl StoryDesk for PostgresStore {
    async fn runs(&self, query: &RunsQuery, after: Option<RunPlace>, limit: usize) -> Result<RunsPage, StoreError> {
        read!(self, "listing runs", view => runs::page(&view, query, after, limit))
    }

    async fn story(
        &self,
        org: &OrgId,
        run: &RunId,
        before: Option<Timestamp>,
        limit: usize,
    ) -> Result<Option<Story>, StoreError> {
        read!(self, "looking up what happened to a run", view => told::story(&view, org, run, before, limit))
    }

    async fn heads(
        &self,
        handler: &HandlerName,
        after: Option<RunPlace>,
        limit: usize,
    ) -> Result<HeadsPage, StoreError> {
        read!(self, "listing what holds a handler up", view => heads::page(&view, handler, after, limit))
    }

    async fn note(&self, entry: JournalEntry) -> Result<(), StoreError> {
        write!(self, "writing into the journal", transaction => journal::note(&transaction, &entry))
    }

    async fn journal(
        &self,
        query: &JournalQuery,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Journal>, StoreError> {
        read!(self, "reading the journal", view => journal::entries(&view, query, before, limit))
    }

    async fn beat(&self, beat: Beat) -> Result<(), StoreError> {
        write!(self, "noting how the worker stands", transaction => workers::beat(&transaction, &beat))
    }

    async fn beats(&self, since: Timestamp) -> Result<Vec<WorkerSeen>, StoreError> {
        read!(self, "listing workers", view => workers::workers(&view, since))
    }

    async fn pulse(&self, since: Timestamp) -> Result<Vec<Pulse>, StoreError> {
        read!(self, "looking what was done", view => workers::pulse(&view, since))
    }
}
