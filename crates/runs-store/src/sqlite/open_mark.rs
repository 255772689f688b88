//! A mark in the file that a worker has it open: then the file alone is not all of it.

use rusqlite::{Connection, OptionalExtension as _};

/// What is said of a file that is incomplete.
pub(super) const INCOMPLETE: &str = "it was in use, and its write-ahead log is not beside it: a copy of the file alone lacks what was written last; \
     copy with `runs-worker backup`";

/// Whether a worker has it open, or had when the file was copied.
pub(super) fn is_open(connection: &Connection) -> rusqlite::Result<bool> {
    let tables: i64 = connection.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE name = 'counters'",
        [],
        |row| row.get(0),
    )?;
    if tables == 0 {
        return Ok(false);
    }
    let open = connection.query_row("SELECT value FROM counters WHERE name = 'open'", [], |row| row.get(0));
    Ok(open.optional()?.unwrap_or(0) > 0)
}

/// Says in the file itself, and not only in its log, that a worker has it open.
pub(super) fn mark_open(connection: &Connection) -> rusqlite::Result<()> {
    if !is_open(connection)? {
        connection.execute("INSERT OR REPLACE INTO counters (name, value) VALUES ('open', 1)", [])?;
    }
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}

/// Says that all of it is in the file, or will be when this connection is closed.
pub(super) fn mark_closed(connection: &Connection) -> rusqlite::Result<()> {
    if is_open(connection)? {
        connection.execute("DELETE FROM counters WHERE name = 'open'", [])?;
    }
    Ok(())
}
