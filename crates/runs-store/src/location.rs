//! Where a store is, and the one place that chooses what keeps it.
//!
//! A command names a [`StoreLocation`] and gets a [`Store`]; which database is behind it is decided here only.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::desks::Store;
use crate::error::StoreError;
use crate::sqlite::{self, SqliteStore};
use crate::time::SchedulingTime;

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreLocation {
    /// In this file.
    File(PathBuf),
}

/// What is found at a location.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Inspection {
    /// Nothing; opening it creates it.
    Absent,
    /// A store.
    #[non_exhaustive]
    Present {
        /// The version of its schema; 0 for an empty file.
        schema: i64,
        /// The version that opening it brings it to.
        supported: i64,
        /// Who has it open, if another process has.
        held_by: Option<String>,
        /// What is wrong with it, the first few findings; empty if it is sound.
        damage: Vec<String>,
    },
}

/// What a store holds, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// Who has it open, if another process has.
    pub held_by: Option<String>,
    /// What is wrong, a line each, of each kind the first few; empty if it is sound.
    pub findings: Vec<String>,
    /// Runs, and tasks whose run was not known when something was announced of them.
    pub subjects: u64,
    /// Notifications that are kept.
    pub notifications: u64,
    /// Those of them that are in no event yet, and in none of those that are to come unless they are fetched for.
    pub pending: u64,
    /// Events that are kept.
    pub events: u64,
    /// Deliveries that are not settled.
    pub deliveries: u64,
    /// Deliveries that were given up.
    pub dead_letters: u64,
}

impl StoreLocation {
    /// Opens the store as its worker, and makes it if it is not there.
    pub async fn open(&self, now: SchedulingTime) -> Result<Arc<dyn Store>, StoreError> {
        let Self::File(file) = self.clone();
        off_the_runtime(move || Ok(Arc::new(SqliteStore::open(file, now)?) as Arc<dyn Store>)).await
    }

    /// Opens the store beside its worker, or while none runs, for a person's commands. It is neither made nor brought up
    /// to date: [`StoreError::Missing`], [`StoreError::OlderSchema`].
    pub async fn open_beside(&self) -> Result<Arc<dyn Store>, StoreError> {
        let Self::File(file) = self.clone();
        off_the_runtime(move || Ok(Arc::new(SqliteStore::open_beside(file)?) as Arc<dyn Store>)).await
    }

    /// Looks at the store and reads all of it to find damage. Changes nothing, and disturbs no worker.
    pub async fn inspect(&self) -> Result<Inspection, StoreError> {
        let Self::File(file) = self.clone();
        off_the_runtime(move || sqlite::inspect(file)).await
    }

    /// Writes a whole copy of the store to a file that is not there yet. A worker may have it open, and goes on.
    pub async fn copy_to(&self, to: PathBuf) -> Result<(), StoreError> {
        let Self::File(file) = self.clone();
        off_the_runtime(move || sqlite::copy(file, to, false)).await
    }

    /// Puts a copy in the place of a store that is not there. An incomplete copy is refused unless it is accepted.
    pub async fn restore(&self, from: PathBuf, accept_incomplete: bool, now: SchedulingTime) -> Result<(), StoreError> {
        let Self::File(file) = self.clone();
        off_the_runtime(move || sqlite::restore(from, file, accept_incomplete, now)).await
    }

    /// Examines the store from end to end, and changes nothing; in a large store this takes minutes. `None` if there is
    /// no store.
    pub async fn verify(&self) -> Result<Option<Verification>, StoreError> {
        let Self::File(file) = self.clone();
        off_the_runtime(move || sqlite::verify(file)).await
    }
}

/// Where it is, for a person.
impl fmt::Display for StoreLocation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::File(file) = self;
        file.display().fmt(formatter)
    }
}

/// Opening and examining block: no other task waits for that.
async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| {
        Err(StoreError::Unavailable {
            context: "opening it".to_owned(),
            source: error.into(),
        })
    })
}
