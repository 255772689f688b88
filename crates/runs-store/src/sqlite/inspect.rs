//! A look at a store from outside, for a person who wonders about it.

use std::fs;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::connect::{damage, identify};
use super::failure::store_error;
use super::{file, lock, open_mark, schema, trust};
use crate::error::StoreError;
use crate::location::Inspection;

/// Looks at a store, changing nothing and disturbing nobody, and reads all of it to find damage.
///
/// Fails as [`SqliteStore::open`](super::SqliteStore::open) would for what is no store, or a newer one. That somebody
/// holds it is no failure here.
pub fn inspect(path: impl AsRef<Path>) -> Result<Inspection, StoreError> {
    let path = file::resolve(path.as_ref())?;
    let file::Found::File(size) = file::look(&path)? else {
        return Ok(Inspection::Absent);
    };
    let held_by = lock::holder(&path);
    let seen = look_inside(&path, size, held_by);
    let sound = matches!(&seen, Ok(Inspection::Present { damage, .. }) if damage.is_empty());
    // A worker that started meanwhile may have changed the file under our eyes.
    match lock::holder(&path) {
        Some(holder) if !sound => look_inside(&path, size, Some(holder)),
        Some(_) | None => seen,
    }
}

fn look_inside(path: &Path, size: u64, held_by: Option<String>) -> Result<Inspection, StoreError> {
    let reading = |error| store_error(error, path, &format!("reading {}", path.display()));
    let lacks_log = held_by.is_none() && !has_log(path);
    let connection = connect(path, held_by.is_none()).map_err(reading)?;
    let schema = identify(&connection, path, size)?;
    let mut damage = damage(&connection).map_err(reading)?;
    if damage.is_empty() {
        damage = trust::foreign(&connection, schema).map_err(reading)?;
    }
    if damage.is_empty() && lacks_log && open_mark::is_open(&connection).map_err(reading)? {
        damage.push(open_mark::INCOMPLETE.to_owned());
    }
    Ok(Inspection::Present {
        schema,
        supported: schema::VERSION,
        held_by,
        damage,
    })
}

/// Opens a file for reading, leaving nothing beside it where that can be helped.
pub(super) fn connect(path: &Path, quiet: bool) -> rusqlite::Result<Connection> {
    // To read a file with a log, SQLite makes files beside it. Nobody writes and the log is empty: then it need not.
    let mode = if quiet && !has_log(path) {
        "immutable=1"
    } else {
        "mode=ro"
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(format!("file:{}?{mode}", escaped(path)), flags)?;
    trust::distrust(&connection)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "busy_timeout", 5_000)?;
    Ok(connection)
}

/// Whether there is a write-ahead log with something in it.
pub(super) fn has_log(path: &Path) -> bool {
    fs::metadata(file::beside(path, "-wal")).is_ok_and(|log| log.len() > 0)
}

fn escaped(path: &Path) -> String {
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .map(|&byte| match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
