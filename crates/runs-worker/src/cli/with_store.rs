//! A command beside the worker: opens the store, does its work, and says how it ended.

use std::process::ExitCode;

use runs_store::{Store, StoreError};

use super::{FAILED, MISUSED, NOTHING, Settings, fail};
use crate::{data_folder, telemetry};

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
    /// The store did not do it.
    Store(StoreError),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

pub(super) type Outcome = Result<End, Trouble>;

/// The command line is wrong.
pub(super) fn misused(message: impl Into<String>) -> Trouble {
    Trouble::Misused(message.into())
}

/// Opens the store, does it, and says how it ended.
pub(super) async fn with_store(settings: &Settings, work: impl AsyncFnOnce(&dyn Store) -> Outcome) -> ExitCode {
    let folder = match settings.kept() {
        Ok(kept) => kept.store.folder(),
        Err(error) => return fail(MISUSED, &error.to_string()),
    };
    let outcome = match data_folder::location(&folder).open_beside().await {
        Ok(store) => {
            let outcome = work(store.as_ref()).await;
            store.close().await;
            outcome
        }
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(End::Well) => ExitCode::SUCCESS,
        Ok(End::Nothing) => fail(NOTHING, "nothing found"),
        Err(Trouble::Misused(message)) => fail(MISUSED, &message),
        Err(Trouble::Store(error)) => fail(FAILED, &telemetry::chain(&error)),
    }
}
