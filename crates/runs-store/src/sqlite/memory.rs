//! The store without a file, for tests and for what may be lost.
//!
//! It is the same code on a database that SQLite keeps in memory, and not a second implementation: the contract suite holds
//! for it, and what a test sees here is what happens on disk. There is one connection, so the writing thread answers
//! questions, too. Nothing of it outlives the process.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::failure::store_error;
use super::writer::{Left, Place};
use super::{SqliteStore, connect, takeover};
use crate::desks::Store as _;
use crate::error::StoreError;
use crate::time::SchedulingTime;

/// What stands in messages where a file's path would.
const NAME: &str = "memory";

impl SqliteStore {
    /// An empty store in memory.
    ///
    /// # Errors
    /// [`StoreError`], if there is not enough memory.
    pub fn in_memory(now: SchedulingTime) -> Result<Self, StoreError> {
        Self::on(connect::in_memory().map_err(opening)?, now)
    }

    /// Closes a store in memory, and opens what it held as the next worker would find it: leases are void, and what was
    /// worked on is due again. This is how a test restarts a worker.
    ///
    /// # Errors
    /// [`StoreError::Closed`] if it has a successor already, or is in a file, which is opened again by its path.
    pub async fn successor(&self, now: SchedulingTime) -> Result<Self, StoreError> {
        self.close().await;
        Self::on(self.left.take().ok_or(StoreError::Closed)?, now)
    }

    fn on(mut connection: Connection, now: SchedulingTime) -> Result<Self, StoreError> {
        takeover::take_over(&mut connection, now).map_err(opening)?;
        Self::start(PathBuf::from(NAME), connection, None, Place::Memory(Left::default()))
    }
}

fn opening(error: rusqlite::Error) -> StoreError {
    store_error(error, Path::new(NAME), "opening a store in memory")
}
