//! A store in which much has gathered, for tests and benchmarks of what must not depend on that.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, params};

/// How much has gathered.
#[derive(Clone, Copy, Debug)]
pub struct Large {
    /// How many runs are known; `run1` to this one, of the organization `northwind`.
    pub runs: u32,
    /// How many notifications each of them has had; three led to events.
    pub notifications: u32,
    /// What the clock said then.
    pub now: Timestamp,
}

/// Fills a store that was opened once, and is closed and empty. Of each ten runs one has an event that the handler `erp`
/// failed to take, and one an event that was given up for it; the handler `archive` gets none.
///
/// # Errors
/// If it is not such a store.
pub fn fill(path: impl AsRef<Path>, large: Large) -> rusqlite::Result<()> {
    let connection = Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;
         CREATE TEMP TABLE wanted (runs INTEGER, each_notified INTEGER, now INTEGER);",
    )?;
    let now = large.now.as_microsecond();
    connection.execute(
        "INSERT INTO wanted VALUES (?, ?, ?)",
        params![large.runs, large.notifications, now],
    )?;
    connection.execute_batch("BEGIN")?;
    connection.execute_batch(include_str!("large.sql"))?;
    connection.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE);")
}
