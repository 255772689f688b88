//! The intake log: the way in for notifications.
//!
//! The sender tries once, so whatever is turned away is lost. The log asks for as little as can be asked for: files whose
//! room is reserved ahead, that are written in one direction, and that need no lock and no index. What is in it is brought
//! into the store later; a store that is busy, locked or full delays that, and nothing else.
//!
//! A log is a row of segments, which may lie in several folders. One thread writes, one reads, and one keeps
//! room ready. A segment that is not needed any more is used again.
//!
//! # Invariants
//!
//! - What [`append`](IntakeLog::append) has returned `Ok` for is on the disk. What arrives together shares one `fsync`.
//! - A [`Position`] is given out once in the life of a log, whatever happens to its segments, and in the order in which
//!   the records are read. Where it is not certain which numbers were given out, they leap.
//! - A record is whole or none. A torn end and flipped bits are found by checksums; every other record is kept, what is
//!   damaged is reported, and a copy of its segment is put aside. A segment with a damaged end is not written to again.
//! - Records of an earlier use of a file are never taken for records of the present one: each use has a generation, and
//!   each record names it.
//! - A segment that could not be written or synced is not written to again before the log is opened anew: it ends with
//!   the last record that was known to be on the disk, and what was not answered goes to the next segment.
//! - What is in a folder that was away is read when the folder is back, after all that was read without it. What was
//!   read of it before it went is read again, under the same id of the notification and another position.
//! - A segment is let go only when everything in it is released and another one was begun, which is on the disk and
//!   knows the number to go on with.

mod append;
mod damage;
mod error;
mod folder;
mod index;
mod inspect;
mod keep;
mod open;
mod read;
mod record;
#[cfg(feature = "torture")]
mod sabotage;
mod segment;
mod walk;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use uuid::Uuid;

pub use damage::LogDamage;
pub use error::IntakeLogError;
pub use inspect::{LogInspection, inspect};
pub use read::LogBatch;

use crate::desks::NewNotification;
use crate::thread::ConnectionThread;
use append::{Append, Appender};
use folder::Folder;
use index::Index;
use keep::{Chore, Keeper};
use read::{Read, Reader};

/// Where the log is, and how large.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IntakeLogSettings {
    /// The folders. The first is preferred; the next ones are used when one takes no bytes.
    pub folders: Vec<PathBuf>,
    /// How many bytes a segment has.
    pub segment_bytes: u64,
    /// How much room is reserved ahead in each folder, in whole segments, at least one.
    pub reserve_bytes: u64,
    /// How long the segments may be together that hold something which is not released; beyond that, nothing is appended.
    pub max_bytes: u64,
    /// How long a folder that took no bytes is left alone.
    pub retry_folder_after: Duration,
}

impl IntakeLogSettings {
    /// A log in these folders: segments of 16 MiB, four of them reserved ahead, and as many as the disk has room for.
    pub fn new(folders: Vec<PathBuf>) -> Self {
        Self {
            folders,
            segment_bytes: 16 * 1024 * 1024,
            reserve_bytes: 64 * 1024 * 1024,
            max_bytes: u64::MAX,
            retry_folder_after: Duration::from_secs(30),
        }
    }
}

/// Which log it is: made when the log is new, and the same for as long as it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogId(pub(crate) Uuid);

impl LogId {
    /// The id as a UUID.
    pub fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for LogId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The number of a record in its log. A later record has a higher one, over restarts and all folders; numbers may be
/// left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub(crate) u64);

impl Position {
    /// Before the first record.
    pub const START: Self = Self(0);

    /// The position of this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What the log's threads share.
struct Shared {
    id: LogId,
    era: u64,
    settings: IntakeLogSettings,
    segment_length: u64,
    folders: Vec<Folder>,
    index: Mutex<Index>,
    damage: Mutex<LogDamage>,
    appended: watch::Sender<u64>,
}

impl Shared {
    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn damage(&self) -> MutexGuard<'_, LogDamage> {
        self.damage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The log. Dropping it waits until what was asked of it is done.
pub struct IntakeLog {
    // The appender asks the keeper, so it ends first.
    appender: ConnectionThread<Append>,
    reader: ConnectionThread<Read>,
    keeper: Arc<ConnectionThread<Chore>>,
    shared: Arc<Shared>,
}

impl IntakeLog {
    /// Opens the log in these folders, or makes it. It reads no more than the newest segment for that, however long
    /// the log is. A folder that cannot be used is no error if another one can.
    ///
    /// # Errors
    /// [`IntakeLogError`]. Damage is none: see [`damage`](Self::damage).
    pub fn open(settings: IntakeLogSettings) -> Result<Self, IntakeLogError> {
        let (shared, start) = open::find(settings)?;
        let shared = Arc::new(shared);
        let path = shared.settings.folders.first().cloned().unwrap_or_default();
        let failed = |error: io::Error| IntakeLogError::unavailable(&path, &error);
        let keeper = Keeper::new(Arc::clone(&shared)).start().map_err(failed)?;
        let keeper = Arc::new(keeper);
        let reader = Reader::new(Arc::clone(&shared)).start().map_err(failed)?;
        let mut appender = Appender::new(Arc::clone(&shared), Arc::clone(&keeper), start);
        appender.leave_what_is_damaged();
        let appender = appender.start().map_err(failed)?;
        keeper.try_request(Chore::Tidy);
        Ok(Self {
            appender,
            reader,
            keeper,
            shared,
        })
    }

    /// Which log it is.
    pub fn id(&self) -> LogId {
        self.shared.id
    }

    /// Keeps a notification. When this returns `Ok`, it survives a power cut.
    ///
    /// # Errors
    /// [`IntakeLogError`]: it is not known to be kept.
    pub async fn append(&self, notification: NewNotification) -> Result<Position, IntakeLogError> {
        let record = record::encode(&notification)?;
        let (caller, answer) = oneshot::channel();
        let asked = self.appender.request(Append { record, caller }).await;
        asked.map_err(|_| IntakeLogError::Closed)?;
        answer.await.map_err(|_| IntakeLogError::Closed)?
    }

    /// The number of the last record, and a wake-up when there is another one.
    pub fn appended(&self) -> watch::Receiver<u64> {
        self.shared.appended.subscribe()
    }

    /// The next notifications after a position, in order: at least one if there is any, and no more than so many, with no
    /// more than so many bytes.
    ///
    /// # Errors
    /// [`IntakeLogError`].
    pub async fn read(&self, after: Position, limit: usize, max_bytes: usize) -> Result<LogBatch, IntakeLogError> {
        let (caller, answer) = oneshot::channel();
        let read = Read {
            after: after.0,
            limit,
            max_bytes,
            caller,
        };
        let asked = self.reader.request(read).await;
        asked.map_err(|_| IntakeLogError::Closed)?;
        let batch = answer.await.map_err(|_| IntakeLogError::Closed)??;
        #[cfg(feature = "torture")]
        sabotage::recycle_before_durable(self, batch.through).await;
        Ok(batch)
    }

    /// Lets go of everything up to a position, whole segments at a time. The caller has it where no power cut can take it
    /// back. After a restart some of it may be there again. A position beyond the end tells the log that it has lost its
    /// end: what is appended from then on comes after that position.
    ///
    /// # Errors
    /// [`IntakeLogError`].
    pub async fn release(&self, through: Position) -> Result<(), IntakeLogError> {
        let (caller, answer) = oneshot::channel();
        let asked = self.keeper.request(Chore::Release(through.0, caller)).await;
        asked.map_err(|_| IntakeLogError::Closed)?;
        answer.await.map_err(|_| IntakeLogError::Closed)?
    }

    /// How many bytes of records are not released, counted by whole segments.
    pub fn waiting_bytes(&self) -> u64 {
        self.shared.index().waiting_bytes()
    }

    /// How many segments hold records.
    pub fn segments(&self) -> usize {
        self.shared.index().segments()
    }

    /// The position of the last record, or of where the next one is certain to come after.
    pub fn end(&self) -> Position {
        Position(self.shared.index().last)
    }

    /// What was found damaged so far: in the newest segment when the log was opened, in others when they are read.
    pub fn damage(&self) -> LogDamage {
        self.shared.damage().clone()
    }

    /// Finishes what was asked of it, and lets go of the folders.
    pub async fn close(&self) {
        self.appender.close().await;
        self.reader.close().await;
        self.keeper.close().await;
        for folder in &self.shared.folders {
            folder.unlock();
        }
    }
}
