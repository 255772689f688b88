//! Copies of a store that are whole, and how one is told that is not.
//!
//! What was written last is in the write-ahead log beside the file, so a copy of the file alone lacks it, and looks sound.
//! The file therefore says of itself that a worker has it open: a file that says so, without a log, is incomplete.

use std::fs::File;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::connect::identify;
use super::failure::store_error;
use super::inspect::{connect, has_log};
use super::open_mark::{INCOMPLETE, is_open, mark_closed};
use super::{file, lock, trust};
use crate::error::StoreError;
use crate::time::SchedulingTime;

/// Writes a copy of a store to a file that is not there yet, all of one moment. A worker may have it open, and goes on.
///
/// # Errors
/// [`StoreError::Missing`]; [`StoreError::Refused`] for an incomplete one, unless that is accepted.
pub fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>, accept_incomplete: bool) -> Result<(), StoreError> {
    let (from, to) = (file::resolve(from.as_ref())?, file::resolve(to.as_ref())?);
    let file::Found::File(size) = file::look(&from)? else {
        return Err(StoreError::Missing { path: from });
    };
    let copying = |error| store_error(error, &from, &format!("copying {} to {}", from.display(), to.display()));
    let is_held = lock::holder(&from).is_some();
    let lacks_log = !is_held && !has_log(&from);
    let connection = connect(&from, !is_held).map_err(copying)?;
    identify(&connection, &from, size)?;
    trust::check(&connection, &from)?;
    if lacks_log && !accept_incomplete && is_open(&connection).map_err(copying)? {
        return Err(StoreError::Refused(format!("{}: {INCOMPLETE}", from.display())));
    }
    let Some(name) = to.to_str() else {
        return Err(StoreError::Refused(format!(
            "{} is no Unicode, which SQLite needs",
            to.display()
        )));
    };
    // SQLite takes an empty file, and would make one that others can read.
    file::create(&to)?;
    connection.execute("VACUUM INTO ?1", [name]).map_err(copying)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let closed = Connection::open_with_flags(&to, flags).and_then(|copy| {
        mark_closed(&copy)?;
        copy.close().map_err(|(_, error)| error)
    });
    closed.map_err(copying)?;
    let synced = File::open(&to).and_then(|file| file.sync_all());
    synced.map_err(|error| file::opening(&to, error))
}

/// Puts a whole copy in the place of a store that is not there.
///
/// # Errors
/// [`StoreError::Refused`] if there is a store; those of [`copy`].
pub fn restore(
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
    accept_incomplete: bool,
    now: SchedulingTime,
) -> Result<(), StoreError> {
    let to = file::resolve(to.as_ref())?;
    let _lock = lock::Lock::take(&to, now)?;
    if let file::Found::File(_) = file::look(&to)? {
        let message = format!(
            "there is a store at {}; move its folder away first, with all that is in it",
            to.display()
        );
        return Err(StoreError::Refused(message));
    }
    let unfinished = file::beside(&to, ".restoring");
    // Of a restore that was interrupted.
    drop(std::fs::remove_file(&unfinished));
    copy(from, &unfinished, accept_incomplete)?;
    let renamed = std::fs::rename(&unfinished, &to).map_err(|error| file::opening(&to, error));
    renamed.and_then(|()| file::sync_folder(&to).map_err(|error| file::opening(&to, error)))
}
