//! What can go wrong with a store, by what the caller can do about it.

use std::error::Error;
use std::path::PathBuf;

use thiserror::Error;

/// Why the store did not do what it was asked to.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The work was handed to somebody else, or settled already. Drop it: whoever holds it now does it.
    #[error("the lease is lost: the work was settled, or handed to somebody else")]
    LeaseLost,
    /// Another worker has the store open. The second one must not start.
    #[error("{} is in use by {holder}", path.display())]
    Held {
        /// The store.
        path: PathBuf,
        /// Who says to hold it: process id and host, as far as known.
        holder: String,
    },
    /// The store was written by a newer version of this software, and is left as it is.
    #[error("{} has schema version {found}, but this version knows only up to {supported}", path.display())]
    NewerSchema {
        /// The store.
        path: PathBuf,
        /// The version found.
        found: i64,
        /// The newest version known.
        supported: i64,
    },
    /// The store was written by an older version of this software, and is brought up to date when a worker opens it.
    #[error("{} was written by an older version; start the worker once, which brings it up to date", path.display())]
    OlderSchema {
        /// The store.
        path: PathBuf,
    },
    /// There is no store yet.
    #[error("there is no store at {} yet; the worker makes it when it first starts", path.display())]
    Missing {
        /// Where it would be.
        path: PathBuf,
    },
    /// What was asked for makes no sense for what the store holds. Nothing was changed.
    #[error("{0}")]
    Refused(String),
    /// The database cannot be used as it is configured: a person has to change something. Nothing was changed.
    #[error("{reason}")]
    Misconfigured {
        /// Where, and what is wrong; holds no secret.
        reason: String,
    },
    /// The file is something else.
    #[error("{} is not a store of the runs worker: {detail}", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
        /// What it is instead, as far as known.
        detail: String,
    },
    /// The store's file is damaged, and is left as it is.
    #[error("{} is damaged: {detail}", path.display())]
    Corrupt {
        /// The store.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The disk or the quota is full. Goes away when there is space.
    #[error("no space left for the store")]
    Full(#[source] Box<dyn Error + Send + Sync>),
    /// The store cannot be used right now: locked, unreadable, unreachable. May go away.
    #[error("the store is unavailable: {context} failed")]
    Unavailable {
        /// What was being done, such as `storing a notification`.
        context: String,
        /// Why it failed.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether the store cannot be used as it is configured: it is another one than was meant, or lacks something, and a
    /// person has to mend that. Nothing was changed.
    pub fn is_misconfiguration(&self) -> bool {
        matches!(
            self,
            Self::Misconfigured { .. } | Self::NotAStore { .. } | Self::NewerSchema { .. }
        )
    }
}
