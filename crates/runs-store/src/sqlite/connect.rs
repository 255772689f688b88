//! Opening the file: what it is, whether it is whole, and how SQLite is to treat it.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use super::failure::{Failure, store_error};
use super::file::{self, not_a_store};
use super::{schema, trust};
use crate::error::StoreError;
use crate::torture;

/// Up to this size, every page is checked at each start. A larger store is looked over where each table begins; the
/// rest is for a person to have checked.
const CHECKED_WHOLE: u64 = 64 * 1024 * 1024;

/// How many statements stay prepared; there are fewer.
const STATEMENTS: usize = 128;

/// The size of the file's pages.
pub(super) const PAGE_BYTES: u64 = 4_096;

/// What the log's file is cut back to after a burst.
const LOG_BYTES: i64 = 256 * 1024 * 1024;

const NO_DATABASE: &str = "it is no SQLite database, or its first page is destroyed";

/// Opens the store for its owner, who holds the lock: creates it, checks it, migrates it.
pub(super) fn writing(path: &Path) -> Result<Connection, StoreError> {
    let size = match file::look(path)? {
        file::Found::Nothing => {
            file::create(path)?;
            torture::point("open.created");
            0
        }
        file::Found::File(size) => size,
    };
    let opening = |error| store_error(error, path, &format!("opening {}", path.display()));
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(opening)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    trust::distrust(&connection).map_err(opening)?;
    identify(&connection, path, size)?;
    check(&connection, path, size)?;
    torture::point("open.checked");
    configure(&connection).map_err(opening)?;
    torture::point("open.configured");
    verify(&connection, path)?;
    schema::migrate(&mut connection).map_err(opening)?;
    trust::check(&connection, path)?;
    Ok(connection)
}

/// Makes an empty store in memory.
pub(super) fn in_memory() -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    configure(&connection)?;
    schema::migrate(&mut connection)?;
    Ok(connection)
}

/// Opens a store that is open for writing already, for reading beside that.
pub(super) fn reading(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    trust::distrust(&connection)?;
    connection.pragma_update(None, "busy_timeout", 5_000)?;
    plan_once(&connection)?;
    Ok(connection)
}

/// Opens a store that is open for writing already, to move its log into its file.
pub(super) fn following(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    trust::distrust(&connection)?;
    // What the log still holds must be in the file for good before the log is written over.
    connection.pragma_update(None, "synchronous", "FULL")?;
    flush_to_the_medium(&connection)?;
    Ok(connection)
}

/// Refuses what is not ours, or newer than we are. Reads only. Returns the schema version, 0 for an empty file.
pub(super) fn identify(connection: &Connection, path: &Path, size: u64) -> Result<i64, StoreError> {
    let identity = || {
        let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
        Ok((application, schema::version(connection)?, tables, pages))
    };
    match identity() {
        Ok((schema::APPLICATION_ID, version, ..)) if version > schema::VERSION => Err(StoreError::NewerSchema {
            path: path.to_owned(),
            found: version,
            supported: schema::VERSION,
        }),
        Ok((schema::APPLICATION_ID, version, ..)) => Ok(version),
        // SQLite takes a file for an empty database if a few bytes of it are zero, or missing.
        Ok((0, 0, 0, pages)) if pages > 0 || size == 0 => Ok(0),
        Ok((0, 0, 0, _)) => Err(not_a_store(path, NO_DATABASE)),
        Ok(_) => Err(not_a_store(path, "it is an SQLite database of some other program")),
        Err(rusqlite::Error::SqliteFailure(error, _)) if error.code == ErrorCode::NotADatabase => {
            Err(not_a_store(path, NO_DATABASE))
        }
        Err(error) => Err(store_error(error, path, "reading the schema")),
    }
}

fn check(connection: &Connection, path: &Path, size: u64) -> Result<(), StoreError> {
    let findings = if size <= CHECKED_WHOLE {
        damage(connection)
    } else {
        read_first_pages(connection).map(|()| Vec::new())
    };
    match findings {
        Ok(findings) if findings.is_empty() => Ok(()),
        Ok(findings) => Err(StoreError::Corrupt {
            path: path.to_owned(),
            detail: findings.join("; "),
        }),
        Err(error) => Err(store_error(error, path, "checking the pages")),
    }
}

/// What SQLite finds wrong, the first few findings.
pub(super) fn damage(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let findings = || {
        let mut statement = connection.prepare("PRAGMA quick_check(5)")?;
        let findings = statement.query_map([], |row| row.get::<_, String>(0))?;
        findings.collect::<rusqlite::Result<Vec<_>>>()
    };
    match findings() {
        Ok(findings) => Ok(findings.into_iter().filter(|finding| finding != "ok").collect()),
        // Too damaged to be checked.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
            Ok(vec![Failure::from(error).to_string()])
        }
        Err(error) => Err(error),
    }
}

pub(super) fn read_first_pages(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
    let tables = statement.query_map([], |row| row.get::<_, String>(0))?;
    for table in tables {
        let name = table?.replace('"', "\"\"");
        connection
            .query_row(&format!("SELECT 1 FROM \"{name}\" LIMIT 1"), [], |_| Ok(()))
            .optional()?;
    }
    Ok(())
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    // The page size counts only while the file is empty, and before the log is switched on.
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    for (pragma, value) in [("busy_timeout", 5_000), ("cache_size", -65_536), ("foreign_keys", 1)] {
        connection.pragma_update(None, pragma, value)?;
    }
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    for (pragma, value) in [("journal_mode", "WAL"), ("synchronous", "FULL")] {
        connection.pragma_update(None, pragma, value)?;
    }
    flush_to_the_medium(connection)?;
    plan_once(connection)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES)
}

/// A statement is planned when it is prepared, and not again for each value that is bound to a column that the condition of an
/// index names.
fn plan_once(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// On macOS, `fsync` leaves the last pages in the cache of the drive, which a power cut empties: SQLite asks for more there, as
/// the standard library does for the intake log. Elsewhere these change nothing.
pub(super) fn flush_to_the_medium(connection: &Connection) -> rusqlite::Result<()> {
    for pragma in ["fullfsync", "checkpoint_fullfsync"] {
        connection.pragma_update(None, pragma, 1)?;
    }
    Ok(())
}

/// A pragma that SQLite cannot follow is ignored by it. These two carry the promise that what was answered survives a
/// power cut, so they are read back.
fn verify(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let read = || {
        let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
        Ok((journal, synchronous))
    };
    let doing = format!("switching on the write-ahead log of {}", path.display());
    let (journal, synchronous) = read().map_err(|error| store_error(error, path, &doing))?;
    if journal == "wal" && synchronous == 2 {
        return Ok(());
    }
    Err(StoreError::Unavailable {
        context: doing,
        source: format!(
            "SQLite answers with journal mode {journal} and synchronous level {synchronous}; \
             the file system may lack shared memory, as network file systems do"
        )
        .into(),
    })
}

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    #[test]
    fn what_is_bound_plans_no_statement_anew() {
        let connection = in_memory().unwrap();
        // The conditions of two indexes name the kind.
        let find = "SELECT key FROM subjects WHERE org = ? AND kind = ? AND id = ?";
        let mut statement = connection.prepare(find).unwrap();
        for id in ["one", "two", "three"] {
            assert!(!statement.exists((1, "run", id)).unwrap());
        }
        assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    }
}
