//! The store in one SQLite file, for one worker.
//!
//! # Invariants
//!
//! - The file has exactly one owner, who holds the lock beside it from before the file is opened until after it is
//!   closed. A second one is refused.
//! - One thread writes. What arrives while it commits is committed together next, with one fsync for all; nobody is
//!   answered before.
//! - Every path to work that is due goes through a partial index, and every count is kept by a trigger: no verb gets
//!   slower because much is waiting, or because much was done.

mod backup;
mod beside;
mod checkpoint;
mod claim;
mod column;
mod connect;
mod desks;
mod failure;
mod file;
mod import;
mod inbox;
mod inspect;
#[cfg(any(test, feature = "contract"))]
mod large;
mod lock;
mod memory;
#[cfg(feature = "postgres")]
pub(crate) mod moving;
mod open_mark;
mod operator;
mod outbox;
mod refresh;
mod retention;
mod schema;
mod stats;
mod story;
mod sweep;
mod takeover;
#[cfg(test)]
mod tests;
mod trust;
mod verify;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::{oneshot, watch};

pub use self::backup::{copy, restore};
pub use self::inspect::inspect;
#[cfg(any(test, feature = "contract"))]
pub use self::large::{Large, fill};
pub use self::verify::verify;

use self::checkpoint::Checkpointer;
use self::failure::{Failure, store_error};
use self::lock::Lock;
use self::writer::{Left, Owned, Place, Request, Transaction, Writer};
use crate::desks::Wakeups;
use crate::error::StoreError;
use crate::thread::ConnectionThread;
use crate::time::SchedulingTime;
use crate::torture;

/// A question to the reading thread.
type Question = Box<dyn FnOnce(&rusqlite::Connection) + Send>;

/// The store in one SQLite file, or [in memory](Self::in_memory), for one worker.
///
/// Dropping it finishes what was asked of it, moves the write-ahead log into the file and lets go of the file; it
/// blocks until that is done. [`close`](crate::Store::close) does the same without blocking.
pub struct SqliteStore {
    path: PathBuf,
    // First in, last out: who closes the file last empties the write-ahead log.
    /// None in memory, where there is one connection: the writer answers, too.
    reader: Option<ConnectionThread<Question>>,
    writer: ConnectionThread<Box<dyn Request>>,
    /// Where the connection of a store in memory is left when it is closed.
    left: Left,
    commits: Arc<AtomicU64>,
    /// Whether the last thing that was to be written was not.
    troubled: AtomicBool,
    wakeups: Wakeups,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SqliteStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the store in this file, which is created if it is not there; its folder is not.
    ///
    /// Leases of an earlier owner are void, and what it worked on is due at `now`, as after an attempt that failed.
    /// Blocks while a small file is checked for damage.
    pub fn open(path: impl AsRef<Path>, now: SchedulingTime) -> Result<Self, StoreError> {
        let path = file::resolve(path.as_ref())?;
        file::look(&path)?;
        let lock = Arc::new(Lock::take(&path, now)?);
        torture::point("open.locked");
        let has_log = inspect::has_log(&path);
        let mut connection = connect::writing(&path)?;
        let opening = format!("opening {}", path.display());
        takeover::take_over(&mut connection, now).map_err(|error| store_error(error, &path, &opening))?;
        torture::point("open.taken-over");
        let was_open = open_mark::is_open(&connection).map_err(|error| store_error(error, &path, &opening))?;
        if was_open && !has_log {
            tracing::error!(path = %path.display(), reason = open_mark::INCOMPLETE, "the store may be incomplete");
        }
        open_mark::mark_open(&connection).map_err(|error| store_error(error, &path, &opening))?;
        let following = connect::following(&path).map_err(|error| store_error(error, &path, &opening))?;
        let unusable = |error| file::opening(&path, error);
        let database = Arc::new(File::open(&path).map_err(unusable)?);
        let checkpointer = Checkpointer::start(&mut connection, following, Arc::clone(&database)).map_err(unusable)?;
        let reading = connect::reading(&path).map_err(|error| store_error(error, &path, &opening))?;

        let owned = Owned {
            checkpointer,
            database,
            lock,
        };
        Self::start(path, connection, Some(reading), Place::File(owned))
    }

    /// Starts the threads of these connections.
    fn start(
        path: PathBuf,
        writing: rusqlite::Connection,
        reading: Option<rusqlite::Connection>,
        place: Place,
    ) -> Result<Self, StoreError> {
        let (due, due_changed) = watch::channel(0);
        let (deliverable, deliverable_changed) = watch::channel(0);
        let commits = Arc::new(AtomicU64::new(0));
        let (lock, left) = match &place {
            Place::File(owned) => (Some(Arc::clone(&owned.lock)), Left::default()),
            Place::Beside => (None, Left::default()),
            Place::Memory(left) => (None, left.clone()),
        };
        let writer = Writer {
            connection: writing,
            path: path.clone(),
            due,
            deliverable,
            commits: Arc::clone(&commits),
            place,
        };
        let threads = || {
            let reader = reading
                .map(|reading| ConnectionThread::start("store-reader", (reading, lock), serve_reader, drop))
                .transpose()?;
            let writer = ConnectionThread::start("store-writer", writer, Writer::serve, Writer::end)?;
            Ok((reader, writer))
        };
        let (reader, writer) = threads().map_err(|error| file::opening(&path, error))?;
        Ok(Self {
            path,
            reader,
            writer,
            left,
            commits,
            troubled: AtomicBool::new(false),
            wakeups: Wakeups {
                due: due_changed,
                deliverable: deliverable_changed,
            },
        })
    }

    /// How many transactions were committed since the store was opened. Under load, fewer than verbs.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Runs a verb in the next transaction of the writing thread.
    async fn write<T, F>(&self, doing: &str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    {
        let (request, answer) = writer::verb(work);
        self.writer.request(request).await?;
        let outcome = writer::outcome(answer).await?;
        let outcome = outcome.map_err(|failure| failure.into_store_error(&self.path, doing));
        let is_trouble = matches!(&outcome, Err(StoreError::Full(_) | StoreError::Unavailable { .. }));
        self.troubled.store(is_trouble, Ordering::Relaxed);
        outcome
    }

    /// Answers a question from the reading thread, from one moment's view of the store.
    async fn read<T, F>(&self, doing: &str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    {
        let Some(reader) = &self.reader else {
            return self.write(doing, work).await;
        };
        let (sender, answer) = oneshot::channel();
        let question = move |connection: &rusqlite::Connection| {
            let looked = || {
                let view = connection.unchecked_transaction()?;
                let seen = work(&Transaction::on(&view))?;
                view.finish()?;
                Ok(seen)
            };
            // The caller may have gone.
            let _: Result<(), _> = sender.send(looked());
        };
        reader.request(Box::new(question)).await?;
        let seen: Result<T, Failure> = answer.await.map_err(|_| StoreError::Closed)?;
        seen.map_err(|failure| failure.into_store_error(&self.path, doing))
    }
}

fn serve_reader(state: &mut (rusqlite::Connection, Option<Arc<Lock>>), questions: Vec<Question>) {
    for question in questions {
        question(&state.0);
    }
}
