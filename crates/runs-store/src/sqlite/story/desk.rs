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
use crate::sqlite::SqliteStore;

#[async_trait]
impl StoryDesk for SqliteStore {
    async fn runs(&self, query: &RunsQuery, after: Option<RunPlace>, limit: usize) -> Result<RunsPage, StoreError> {
        let query = query.clone();
        self.read("listing runs", move |view| runs::page(view, &query, after, limit))
            .await
    }

    async fn story(
        &self,
        org: &OrgId,
        run: &RunId,
        before: Option<Timestamp>,
        limit: usize,
    ) -> Result<Option<Story>, StoreError> {
        let (org, run) = (org.clone(), run.clone());
        self.read("looking up what happened to a run", move |view| {
            told::story(view, &org, &run, before, limit)
        })
        .await
    }

    async fn heads(
        &self,
        handler: &HandlerName,
        after: Option<RunPlace>,
        limit: usize,
    ) -> Result<HeadsPage, StoreError> {
        let handler = handler.clone();
        self.read("listing what holds a handler up", move |view| {
            heads::page(view, &handler, after, limit)
        })
        .await
    }

    async fn note(&self, entry: JournalEntry) -> Result<(), StoreError> {
        self.write("writing into the journal", move |transaction| {
            journal::note(transaction, &entry)
        })
        .await
    }

    async fn journal(
        &self,
        query: &JournalQuery,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Journal>, StoreError> {
        let query = query.clone();
        self.read("reading the journal", move |view| {
            journal::entries(view, &query, before, limit)
        })
        .await
    }

    async fn beat(&self, beat: Beat) -> Result<(), StoreError> {
        self.write("noting how the worker stands", move |transaction| {
            workers::beat(transaction, &beat)
        })
        .await
    }

    async fn beats(&self, since: Timestamp) -> Result<Vec<WorkerSeen>, StoreError> {
        self.read("listing workers", move |view| workers::workers(view, since))
            .await
    }

    async fn pulse(&self, since: Timestamp) -> Result<Vec<Pulse>, StoreError> {
        self.read("looking what was done", move |view| workers::pulse(view, since))
            .await
    }
}
