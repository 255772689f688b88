//! Why the intake log does not do what it was asked to.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why the intake log does not do what it was asked to.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum IntakeLogError {
    /// Another worker has it open.
    #[error("the intake log in {} is in use by another worker", path.display())]
    Held {
        /// The folder.
        path: PathBuf,
    },
    /// A file of that name is something else, and is left as it is.
    #[error("{} is no segment of an intake log", path.display())]
    NotALog {
        /// The file.
        path: PathBuf,
    },
    /// The log has reached its bound. Goes away when a part of it is released.
    #[error("the intake log is full: it may have {max_bytes} bytes")]
    Full {
        /// The bound.
        max_bytes: u64,
    },
    /// The notification is larger than any record may be.
    #[error("a notification of {bytes} bytes is too large for the intake log")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// No folder takes it, or the disk does not give it back.
    #[error("the intake log in {} cannot be used: {message}", path.display())]
    Unavailable {
        /// The folder or the file.
        path: PathBuf,
        /// What the system says.
        message: String,
    },
    /// It was closed.
    #[error("the intake log is closed")]
    Closed,
}

impl IntakeLogError {
    pub(super) fn unavailable(path: &Path, error: &io::Error) -> Self {
        Self::Unavailable {
            path: path.to_owned(),
            message: error.to_string(),
        }
    }
}
