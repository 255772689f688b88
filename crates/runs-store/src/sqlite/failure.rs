//! What SQLite reports, by what the caller can do about it.

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rusqlite::ErrorCode;

use crate::error::StoreError;

/// Why a verb failed inside its transaction.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// The lease is no longer the caller's.
    LeaseLost,
    /// The verb makes no sense for what it was called with.
    Refused(&'static str),
    /// What a person asked for makes no sense for what the store holds.
    Unfitting(String),
    /// The verb panicked, with this message.
    Panicked(String),
    /// SQLite said no. Shared, because a commit that fails fails for every verb in it.
    Sqlite(Arc<rusqlite::Error>),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(Arc::new(error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeaseLost => formatter.write_str("the lease is lost"),
            Self::Refused(why) => formatter.write_str(why),
            Self::Unfitting(why) => formatter.write_str(why),
            Self::Panicked(message) => write!(formatter, "a bug: {message}"),
            Self::Sqlite(error) => match error.sqlite_error() {
                Some(code) => write!(formatter, "{error} (SQLite code {})", code.extended_code),
                None => error.fmt(formatter),
            },
        }
    }
}

impl Error for Failure {}

impl Failure {
    /// Whether there was no room.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull))
    }

    /// The error for the caller, who was `doing` something with the store at `path`.
    pub(super) fn into_store_error(self, path: &Path, doing: &str) -> StoreError {
        match &self {
            Self::LeaseLost => StoreError::LeaseLost,
            Self::Unfitting(why) => StoreError::Refused(why.clone()),
            Self::Sqlite(_) if self.is_full() => StoreError::Full(self.into()),
            Self::Sqlite(error) if is_damage(error) => StoreError::Corrupt {
                path: path.to_owned(),
                detail: format!("{doing} failed: {self}"),
            },
            Self::Sqlite(_) | Self::Refused(_) | Self::Panicked(_) => StoreError::Unavailable {
                context: doing.to_owned(),
                source: self.into(),
            },
        }
    }
}

/// Turns what SQLite said while `doing` something into the error for the caller.
pub(super) fn store_error(error: rusqlite::Error, path: &Path, doing: &str) -> StoreError {
    Failure::from(error).into_store_error(path, doing)
}

/// Whether what was read cannot have been written by us: damaged pages, or values of the wrong type.
fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    ) || matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..)
    )
}
