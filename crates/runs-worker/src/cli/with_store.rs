//! A command beside the worker: opens the store, does its work, and says how it ended.

use std::io;
use std::process::ExitCode;

use jiff::Timestamp;
use runs_store::{HandlerName, JournalEntry, Query, Store, StoreError};

use super::{FAILED, MISUSED, NOTHING, Settings, fail};
use crate::config::StoreConfig;
use crate::shared::visible::visible_line;
use crate::telemetry;

/// How a command ends that did not fail.
pub(super) enum End {
    Well,
    /// There was nothing to show or to change.
    Nothing,
}

/// Why a command failed.
pub(super) enum Trouble {
    /// The command line, or the configuration, is wrong.
    Misused(String),
    /// What was named is not there.
    NotFound(String),
    /// It was done, and did not go well.
    Failed(String),
    /// The store did not do it.
    Store(StoreError),
    /// What was found could not be printed.
    Output(io::Error),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

pub(super) type Outcome = Result<End, Trouble>;

/// The command line is wrong.
pub(super) fn misused(message: impl Into<String>) -> Trouble {
    Trouble::Misused(message.into())
}

/// Opens the store, does it, and says how it ended.
pub(super) async fn with_store(settings: &Settings, work: impl AsyncFnOnce(&dyn Store) -> Outcome) -> ExitCode {
    match settings.kept() {
        Ok(kept) => with_store_of(&kept.store, work).await,
        Err(error) => fail(MISUSED, &error.to_string()),
    }
}

/// The same with this store.
pub(super) async fn with_store_of(store: &StoreConfig, work: impl AsyncFnOnce(&dyn Store) -> Outcome) -> ExitCode {
    let opened = async { store.location()?.open_beside().await };
    let outcome = match opened.await {
        Ok(store) => {
            let outcome = work(store.as_ref()).await;
            store.close().await;
            outcome
        }
        Err(error) => Err(error.into()),
    };
    outcome.map_or_else(Trouble::end, End::code)
}

impl End {
    pub(super) fn code(self) -> ExitCode {
        match self {
            Self::Well => ExitCode::SUCCESS,
            Self::Nothing => fail(NOTHING, "nothing found"),
        }
    }
}

impl Trouble {
    pub(super) fn end(self) -> ExitCode {
        match self {
            Self::Misused(message) => fail(MISUSED, &message),
            Self::NotFound(message) => fail(NOTHING, &message),
            Self::Failed(message) => fail(FAILED, &message),
            Self::Store(error) if error.is_misconfiguration() => fail(MISUSED, &error.to_string()),
            // It names something that is not there, or asks for what must not be.
            Self::Store(StoreError::Refused(message)) => fail(MISUSED, &message),
            Self::Store(error) => fail(FAILED, &telemetry::chain(&error)),
            // The reader of a pipe has seen enough, as `head` has.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::Output(error) => fail(FAILED, &format!("standard output: {error}")),
        }
    }
}

/// Writes into the journal what a person did by a command. Only what was done counts: the journal is no reason to fail.
pub(super) async fn note(store: &dyn Store, about: &Query, text: String) {
    let name = ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok());
    let who = name.map_or_else(
        || "the command line".to_owned(),
        |name| format!("{name} on the command line"),
    );
    let mut entry = JournalEntry::new(Timestamp::now(), visible_line(&who), "person", text);
    entry.org.clone_from(&about.org);
    entry.run.clone_from(&about.run);
    entry.handler.clone_from(&about.handler);
    let _: Result<(), StoreError> = store.note(entry).await;
}

/// What a query is about, for one handler.
pub(super) fn about(handler: &HandlerName) -> Query {
    let mut query = Query::default();
    query.handler = Some(handler.clone());
    query
}
