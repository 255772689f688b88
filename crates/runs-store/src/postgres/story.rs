//! The story's desk, of which nothing is kept on a server yet: `story_contract!` says what is to be kept.

use async_trait::async_trait;
use jiff::Timestamp;
use tallyfy_model::{OrgId, RunId};

use super::PostgresStore;
use crate::desks::{
    Beat, HandlerName, HeadsPage, Journal, JournalEntry, JournalQuery, Pulse, RunPlace, RunsPage, RunsQuery, Story,
    StoryDesk, WorkerSeen,
};
use crate::error::StoreError;

#[async_trait]
impl StoryDesk for PostgresStore {
    async fn runs(&self, _: &RunsQuery, _: Option<RunPlace>, _: usize) -> Result<RunsPage, StoreError> {
        Ok(RunsPage::default())
    }

    async fn story(&self, _: &OrgId, _: &RunId, _: Option<Timestamp>, _: usize) -> Result<Option<Story>, StoreError> {
        Ok(None)
    }

    async fn heads(&self, _: &HandlerName, _: Option<RunPlace>, _: usize) -> Result<HeadsPage, StoreError> {
        Ok(HeadsPage::default())
    }

    async fn note(&self, _: JournalEntry) -> Result<(), StoreError> {
        Ok(())
    }

    async fn journal(&self, _: &JournalQuery, _: Option<i64>, _: usize) -> Result<Vec<Journal>, StoreError> {
        Ok(Vec::new())
    }

    async fn beat(&self, _: Beat) -> Result<(), StoreError> {
        Ok(())
    }

    async fn beats(&self, _: Timestamp) -> Result<Vec<WorkerSeen>, StoreError> {
        Ok(Vec::new())
    }

    async fn pulse(&self, _: Timestamp) -> Result<Vec<Pulse>, StoreError> {
        Ok(Vec::new())
    }
}
