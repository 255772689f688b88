//! Where a store is, and the one place that chooses what keeps it.
//!
//! A command names a [`StoreLocation`] and gets a [`Store`]; which database is behind it is decided here only.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::desks::{Store, WorkerIdentity};
use crate::error::StoreError;
#[cfg(feature = "postgres")]
use crate::postgres::{self, PostgresSettings, PostgresStore};
use crate::sqlite::{self, SqliteStore};
use crate::time::SchedulingTime;

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreLocation {
    /// In this file.
    File(PathBuf),
    /// In this database.
    #[cfg(feature = "postgres")]
    Postgres(PostgresSettings),
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

/// How a database server stands, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerReport {
    /// Its version.
    pub version: String,
    /// What a commit waits for, as the server is set.
    pub synchronous_commit: String,
    /// Whether it makes anything durable at all.
    pub syncs: bool,
    /// Whether a commit waits for a second server.
    pub has_synchronous_standby: bool,
    /// Whether workers hear each other through it.
    pub hears_notifications: bool,
    /// How long the oldest transaction is open, of whatever program: what was changed since cannot be cleaned up.
    pub oldest_transaction: Option<Duration>,
    /// Rows of the store that were changed or removed, and not cleaned up yet.
    pub dead_rows: u64,
    /// Its other rows.
    pub live_rows: u64,
}

impl StoreLocation {
    /// Opens the store as one of its workers, and makes it if it is not there.
    pub async fn open(&self, worker: &WorkerIdentity, now: SchedulingTime) -> Result<Arc<dyn Store>, StoreError> {
        // A file has one worker, whichever it is.
        let _ = worker;
        match self.clone() {
            Self::File(file) => off_the_runtime(move || Ok(Arc::new(SqliteStore::open(file, now)?) as _)).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(settings) => Ok(Arc::new(PostgresStore::open(&settings, worker, now).await?)),
        }
    }

    /// Opens the store beside its workers, or while none runs, for a person's commands. It is neither made nor brought up
    /// to date: [`StoreError::Missing`], [`StoreError::OlderSchema`].
    pub async fn open_beside(&self) -> Result<Arc<dyn Store>, StoreError> {
        match self.clone() {
            Self::File(file) => off_the_runtime(move || Ok(Arc::new(SqliteStore::open_beside(file)?) as _)).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(settings) => Ok(Arc::new(PostgresStore::open_beside(&settings).await?)),
        }
    }

    /// Looks at the store, and in a file reads all of it to find damage. Changes nothing, and disturbs no worker.
    pub async fn inspect(&self) -> Result<Inspection, StoreError> {
        match self.clone() {
            Self::File(file) => off_the_runtime(move || sqlite::inspect(file)).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(settings) => postgres::inspect(&settings).await,
        }
    }

    /// Writes a whole copy of the store to a file that is not there yet. A worker may have it open, and goes on.
    pub async fn copy_to(&self, to: PathBuf) -> Result<(), StoreError> {
        match self.clone() {
            Self::File(file) => off_the_runtime(move || sqlite::copy(file, to, false)).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Err(by_its_own_tools()),
        }
    }

    /// Puts a copy in the place of a store that is not there. An incomplete copy is refused unless it is accepted.
    pub async fn restore(&self, from: PathBuf, accept_incomplete: bool, now: SchedulingTime) -> Result<(), StoreError> {
        match self.clone() {
            Self::File(file) => off_the_runtime(move || sqlite::restore(from, file, accept_incomplete, now)).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Err(by_its_own_tools()),
        }
    }

    /// Examines the store from end to end, and changes nothing; in a large store this takes minutes. `None` if there is
    /// no store.
    pub async fn verify(&self) -> Result<Option<Verification>, StoreError> {
        match self.clone() {
            Self::File(file) => off_the_runtime(move || sqlite::verify(file)).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(settings) => postgres::verify(&settings).await,
        }
    }

    /// How the server stands that keeps it; `None` where none does. Changes nothing.
    pub async fn server(&self) -> Result<Option<ServerReport>, StoreError> {
        match self {
            Self::File(_) => Ok(None),
            #[cfg(feature = "postgres")]
            Self::Postgres(settings) => postgres::report(settings).await.map(Some),
        }
    }

    /// Whether one worker has the store to itself.
    pub fn has_one_worker(&self) -> bool {
        matches!(self, Self::File(_))
    }
}

#[cfg(feature = "postgres")]
fn by_its_own_tools() -> StoreError {
    StoreError::Refused("a PostgreSQL database is copied and restored by its own tools, such as pg_dump".to_owned())
}

/// Where it is, for a person.
impl fmt::Display for StoreLocation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => file.display().fmt(formatter),
            #[cfg(feature = "postgres")]
            Self::Postgres(settings) => formatter.write_str(&settings.place()),
        }
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
