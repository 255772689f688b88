//! The overflow journal: where notifications go while the store cannot take them.
//!
//! The sender tries once, so whatever is turned away is lost. The journal asks for as little as can be asked for: a file
//! whose room is reserved ahead, that is only ever written to in one direction, and that needs no lock, no index and no
//! memory of what was before. It may be on another disk than the store.
//!
//! # Invariants
//!
//! - What [`append`](Journal::append) has returned `Ok` for is on the disk. What arrives together shares one `fsync`.
//! - A record is whole or none. A torn end and flipped bits are found by checksums; every other record is kept.
//! - What is in the journal goes to the store under its own id, so that to bring it there twice stores it once.

mod file;
mod record;

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use thiserror::Error;
use tokio::sync::{oneshot, watch};

pub use file::JournalDamage;

use crate::desks::NewNotification;
use crate::thread::ConnectionThread;
use file::{JournalFile, Place};

/// What the file is called in its folder.
const FILE_NAME: &str = "overflow.journal";

/// Why the journal does not do what it was asked to.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Another worker has it open.
    #[error("the overflow journal {} is in use by another worker", path.display())]
    Held {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else, and is left as it is.
    #[error("{} is no overflow journal", path.display())]
    NotAJournal {
        /// The file.
        path: PathBuf,
    },
    /// The disk does not do it.
    #[error("the overflow journal {} cannot be used: {message}", path.display())]
    Unavailable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        message: String,
    },
    /// It was closed.
    #[error("the overflow journal is closed")]
    Closed,
}

impl JournalError {
    #[expect(clippy::needless_pass_by_value, reason = "the error ends here")]
    fn opening(path: &Path, error: io::Error) -> Self {
        Self::Unavailable {
            path: path.to_owned(),
            message: error.to_string(),
        }
    }
}

/// How a journal stands, seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalInspection {
    /// The file.
    pub path: PathBuf,
    /// How many notifications are in it.
    pub waiting: u64,
    /// What is damaged. While a worker writes, what it writes may look torn.
    pub damage: JournalDamage,
}

/// Looks at the journal in a folder, changing nothing; `None` if there is none.
///
/// # Errors
/// [`JournalError`].
pub fn inspect(folder: &Path) -> Result<Option<JournalInspection>, JournalError> {
    let path = folder.join(FILE_NAME);
    let found = JournalFile::look(&path)?;
    Ok(found.map(|(places, damage)| JournalInspection {
        path,
        waiting: places.len() as u64,
        damage,
    }))
}

/// The journal. Dropping it waits until what was asked of it is done.
pub struct Journal {
    thread: ConnectionThread<Request>,
    waiting: watch::Receiver<u64>,
    damage: JournalDamage,
    path: PathBuf,
}

type Answer<T> = oneshot::Sender<Result<T, JournalError>>;

enum Request {
    Append(Box<NewNotification>, Answer<()>),
    Oldest {
        after: Option<u64>,
        limit: usize,
        answer: Answer<Vec<(u64, NewNotification)>>,
    },
    Forget(Vec<u64>, Answer<()>),
}

impl Journal {
    /// Opens the journal in this folder, which is made if it is not there. So many bytes of room are reserved for it;
    /// when they are used up, the journal grows as long as the disk has room.
    ///
    /// # Errors
    /// [`JournalError`]. Damage is none: see [`damage`](Self::damage).
    pub fn open(folder: &Path, reserve: u64) -> Result<Self, JournalError> {
        let path = folder.join(FILE_NAME);
        let failed = |error: io::Error| JournalError::opening(&path, error);
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let (file, places, damage) = JournalFile::open(&path, reserve)?;
        let (waiting, seen) = watch::channel(places.len() as u64);
        let state = Writer {
            file,
            path: path.clone(),
            left: places.into(),
            waiting,
        };
        let thread = ConnectionThread::start("overflow-journal", state, Writer::serve, drop).map_err(failed)?;
        Ok(Self {
            thread,
            waiting: seen,
            damage,
            path,
        })
    }

    /// What was damaged in the file when it was opened.
    pub fn damage(&self) -> &JournalDamage {
        &self.damage
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many notifications are in it, and a wake-up when that changes.
    pub fn waiting(&self) -> watch::Receiver<u64> {
        self.waiting.clone()
    }

    /// Keeps a notification. When this returns `Ok`, it survives a power cut.
    ///
    /// # Errors
    /// [`JournalError`]: it is not known to be kept.
    pub async fn append(&self, notification: NewNotification) -> Result<(), JournalError> {
        self.ask(|answer| Request::Append(Box::new(notification), answer)).await
    }

    /// The notifications that have been in it for longest, in the order in which they came, each with its number; only
    /// those after a number, if one is given.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn oldest(&self, after: Option<u64>, limit: usize) -> Result<Vec<(u64, NewNotification)>, JournalError> {
        self.ask(|answer| Request::Oldest { after, limit, answer }).await
    }

    /// Forgets notifications by their numbers: they are in the store. After a crash, some may be there again.
    ///
    /// # Errors
    /// [`JournalError`].
    pub async fn forget(&self, numbers: Vec<u64>) -> Result<(), JournalError> {
        self.ask(|answer| Request::Forget(numbers, answer)).await
    }

    /// Finishes what was asked of it, and lets go of the file.
    pub async fn close(&self) {
        self.thread.close().await;
    }

    async fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Result<T, JournalError> {
        let (sender, answer) = oneshot::channel();
        let asked = self.thread.request(request(sender)).await;
        asked.map_err(|_| JournalError::Closed)?;
        answer.await.map_err(|_| JournalError::Closed)?
    }
}

/// What the journal's thread owns.
struct Writer {
    file: JournalFile,
    path: PathBuf,
    /// What is not in the store yet, in the order in which it came.
    left: VecDeque<Place>,
    waiting: watch::Sender<u64>,
}

impl Writer {
    fn serve(&mut self, requests: Vec<Request>) {
        let (mut appended, mut callers) = (Vec::new(), Vec::new());
        for request in requests {
            match request {
                Request::Append(notification, caller) => {
                    appended.push(*notification);
                    callers.push(caller);
                }
                // Whoever asked may have gone.
                Request::Oldest { after, limit, answer } => drop(answer.send(self.oldest(after, limit))),
                Request::Forget(numbers, answer) => drop(answer.send(self.forget(&numbers))),
            }
        }
        if appended.is_empty() {
            return;
        }
        let outcome = match self.file.append(&appended) {
            Ok(places) => {
                self.left.extend(places);
                self.tell();
                Ok(())
            }
            Err(error) => Err(self.failed(&error)),
        };
        for caller in callers {
            drop(caller.send(outcome.clone()));
        }
    }

    fn oldest(&self, after: Option<u64>, limit: usize) -> Result<Vec<(u64, NewNotification)>, JournalError> {
        let mut found = Vec::new();
        let is_after = |place: &&Place| after.is_none_or(|after| place.header.number > after);
        for place in self.left.iter().filter(is_after).take(limit) {
            match self.file.read(*place).map_err(|error| self.failed(&error))? {
                Some(notification) => found.push((place.header.number, notification)),
                None => {
                    let offset = place.offset;
                    tracing::error!(path = %self.path.display(), offset, "a record of the overflow journal cannot be read any more");
                }
            }
        }
        Ok(found)
    }

    fn forget(&mut self, numbers: &[u64]) -> Result<(), JournalError> {
        self.left.retain(|place| !numbers.contains(&place.header.number));
        let outcome = if self.left.is_empty() {
            self.file.begin_again().map_err(|error| self.failed(&error))
        } else {
            Ok(())
        };
        self.tell();
        outcome
    }

    fn tell(&self) {
        self.waiting.send_replace(self.left.len() as u64);
    }

    fn failed(&self, error: &io::Error) -> JournalError {
        JournalError::Unavailable {
            path: self.path.clone(),
            message: error.to_string(),
        }
    }
}
