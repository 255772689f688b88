//! What PostgreSQL reports, by what the caller can do about it.

use std::error::Error;
use std::fmt;
use std::path::Path;

use tokio_postgres::error::SqlState;

use crate::error::StoreError;

/// Why a verb failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The lease is no longer the caller's.
    LeaseLost,
    /// The verb makes no sense for what it was called with.
    Refused(&'static str),
    /// What a person asked for makes no sense for what the store holds.
    Unfitting(String),
    /// Another worker changed the same at the same time: the same again would do.
    Conflict,
    /// A row holds what was never written.
    Damaged(String),
    /// It took longer than a verb may.
    TooLong,
    /// No connection was to be had.
    NoConnection(Box<dyn Error + Send + Sync>),
    /// PostgreSQL said no, or the connection broke.
    Postgres(tokio_postgres::Error),
    /// The server's disk is full, as another caller was told.
    Full(String),
    /// Another caller in the same transaction was told this.
    Together(String),
    /// The store was closed.
    Closed,
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeaseLost => formatter.write_str("the lease is lost"),
            Self::Refused(why) => formatter.write_str(why),
            Self::Unfitting(why) | Self::Damaged(why) | Self::Full(why) | Self::Together(why) => {
                formatter.write_str(why)
            }
            Self::Conflict => formatter.write_str("other workers changed the same again and again"),
            Self::TooLong => formatter.write_str("the database did not answer in time"),
            Self::NoConnection(error) => write!(formatter, "no connection: {}", chain(error.as_ref())),
            Self::Postgres(error) => match error.as_db_error() {
                // The detail of an error holds values of rows, the message does not.
                Some(error) => write!(formatter, "{} (SQLSTATE {})", error.message(), error.code().code()),
                None => formatter.write_str(&chain(error)),
            },
            Self::Closed => formatter.write_str("the store is closed"),
        }
    }
}

impl Error for Failure {}

/// An error with what caused it. The driver's own text does not name the cause.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let said = next.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        cause = next.source();
    }
    text
}

/// Whether the server, or whoever stands between, has ended the connection: whatever was not committed is undone. The
/// last words of a server come before its end is seen.
pub(super) fn connection_ended(error: &tokio_postgres::Error) -> bool {
    let last_words = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN];
    error.is_closed() || error.code().is_some_and(|state| last_words.contains(state))
}

impl Failure {
    pub(super) fn damaged(what: &str) -> Self {
        Self::Damaged(what.to_owned())
    }

    /// The same for another caller, who was in the same transaction.
    pub(super) fn for_another(&self) -> Self {
        match self {
            Self::Closed => Self::Closed,
            failure if failure.is_full() => Self::Full(failure.to_string()),
            failure => Self::Together(failure.to_string()),
        }
    }

    fn is_full(&self) -> bool {
        matches!(self, Self::Full(_)) || self.state() == Some(&SqlState::DISK_FULL)
    }

    fn state(&self) -> Option<&SqlState> {
        match self {
            Self::Postgres(error) => error.code(),
            _ => None,
        }
    }

    /// Whether nothing happened and the same may go well when it is tried again at once.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Conflict => true,
            Self::Postgres(error) => {
                let conflicts = [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED];
                connection_ended(error)
                    || error.code().is_some_and(|state| conflicts.contains(state))
                    || self.is_of_its_connection()
            }
            _ => false,
        }
    }

    /// Whether what was prepared on this connection is not there, or something else is.
    pub(super) fn is_of_another_session(&self) -> bool {
        let elsewhere = [SqlState::INVALID_SQL_STATEMENT_NAME, SqlState::DUPLICATE_PSTATEMENT];
        self.state().is_some_and(|state| elsewhere.contains(state))
    }

    /// Whether it would not have happened on another connection: on this one, what was prepared is of no use any more.
    pub(super) fn is_of_its_connection(&self) -> bool {
        self.is_of_another_session() || self.is_outdated_plan()
    }

    /// Whether what was prepared on this connection no longer fits the tables: somebody has migrated them.
    fn is_outdated_plan(&self) -> bool {
        let Self::Postgres(error) = self else { return false };
        // The message comes in the server's language, the routine's name does not.
        error
            .as_db_error()
            .is_some_and(|error| error.routine() == Some("RevalidateCachedQuery"))
    }

    /// Whether it may be something in what was to be stored, rather than the state of the store.
    pub(super) fn is_about_one(&self) -> bool {
        match self.state() {
            // Data that does not fit, constraints, and limits of the program, such as the length of an index entry.
            Some(state) => ["22", "23", "54"].iter().any(|class| state.code().starts_with(class)),
            None => matches!(self, Self::Refused(_) | Self::Unfitting(_)),
        }
    }

    /// The error for the caller, who was `doing` something with the store at this place.
    pub(super) fn into_store_error(self, place: &Path, doing: &str) -> StoreError {
        match self {
            Self::LeaseLost => StoreError::LeaseLost,
            Self::Closed => StoreError::Closed,
            Self::Unfitting(why) => StoreError::Refused(why),
            Self::Damaged(detail) => StoreError::Corrupt {
                path: place.to_owned(),
                detail: format!("{doing} failed: {detail}"),
            },
            failure if failure.is_full() => StoreError::Full(failure.into()),
            failure => StoreError::Unavailable {
                context: doing.to_owned(),
                source: failure.into(),
            },
        }
    }
}
