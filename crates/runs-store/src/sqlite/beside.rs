//! The store, opened beside the worker that holds it, or while none runs.
//!
//! SQLite lets another process read and write in transactions of its own, so this takes no lock: that one is about two
//! *workers*. It moves no write-ahead log either, which is the worker's. The worker finds what was changed here when it
//! looks for work next.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::connect::{self, identify};
use super::failure::store_error;
use super::writer::Place;
use super::{SqliteStore, file, schema, trust};
use crate::error::StoreError;

impl SqliteStore {
    /// Opens the store in this file for a person's commands. It is neither made nor migrated, and its wake-ups tell of
    /// what is done here only. Blocks.
    ///
    /// Fails as [`open`](Self::open) does, but that a worker holds it is no failure.
    pub fn open_beside(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        if path
            .parent()
            .is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        {
            return Err(StoreError::Missing { path: path.to_owned() });
        }
        let path = file::resolve(path)?;
        let file::Found::File(size) = file::look(&path)? else {
            return Err(StoreError::Missing { path });
        };
        let opening = |error| store_error(error, &path, &format!("opening {}", path.display()));
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let writing = Connection::open_with_flags(&path, flags).map_err(opening)?;
        if identify(&writing, &path, size)? != schema::VERSION {
            return Err(StoreError::OlderSchema { path });
        }
        trust::distrust(&writing).map_err(opening)?;
        trust::check(&writing, &path)?;
        for (pragma, value) in [
            ("busy_timeout", "10000"),
            ("synchronous", "FULL"),
            ("foreign_keys", "ON"),
        ] {
            writing.pragma_update(None, pragma, value).map_err(opening)?;
        }
        connect::flush_to_the_medium(&writing).map_err(opening)?;
        let reading = connect::reading(&path).map_err(opening)?;
        // A worker that was killed finds its log where it left it.
        for connection in [&writing, &reading] {
            let kept = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
            kept.map_err(opening)?;
        }
        Self::start(path, writing, Some(reading), Place::Beside)
    }
}
