//! One file, one owner.
//!
//! SQLite's own locks let two processes take turns. Ours may not: each would void the other's leases. The right to the
//! store is a kernel lock on a file beside it, so that it ends with the process, however that ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use crate::error::StoreError;
use crate::guard;
use crate::time::SchedulingTime;

/// A look at the lock by [`holder`] holds it for an instant, which must not make a worker's start fail.
const TRIES: u32 = 5;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// The right to a store.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Takes it, and says in the file who has it.
    pub(super) fn take(store: &Path, now: SchedulingTime) -> Result<Self, StoreError> {
        let path = beside(store);
        let unavailable = |error: io::Error| StoreError::Unavailable {
            context: format!("locking {}", path.display()),
            source: error.into(),
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        super::file::private(&mut options);
        let file = guard::open(&mut options, &path).map_err(unavailable)?;
        for attempt in 1..=TRIES {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if attempt < TRIES => sleep(BETWEEN_TRIES),
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::Held {
                        path: store.to_owned(),
                        holder: named_in(&path),
                    });
                }
                Err(TryLockError::Error(error)) => return Err(unavailable(error)),
            }
        }
        let lock = Self { file };
        lock.sign(now).map_err(unavailable)?;
        Ok(lock)
    }

    fn sign(&self, now: SchedulingTime) -> io::Result<()> {
        super::file::make_private(&self.file)?;
        self.file.set_len(0)?;
        let mut file = &self.file;
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let on = if host.trim().is_empty() { "" } else { " on " };
        writeln!(file, "process {}{on}{} since {now}", std::process::id(), host.trim())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Only for the eye: the lock itself goes with the file handle. The file stays, because deleting it would let
        // two processes lock two files of one name.
        if let Err(error) = self.file.set_len(0) {
            tracing::debug!(%error, "the lock file was left with its holder's name");
        }
    }
}

/// Who holds a store, without disturbing whoever does.
pub(super) fn holder(store: &Path) -> Option<String> {
    let path = beside(store);
    let file = guard::open(OpenOptions::new().read(true), &path).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(named_in(&path)),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

/// The lock file of a store.
fn beside(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn named_in(path: &Path) -> String {
    let mut text = String::new();
    if let Ok(file) = guard::open(OpenOptions::new().read(true), path) {
        // Somebody else may have written the file, with anything in it.
        let _: io::Result<usize> = file.take(256).read_to_string(&mut text);
    }
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() || line.chars().any(char::is_control) {
        "another process".to_owned()
    } else {
        line.to_owned()
    }
}
