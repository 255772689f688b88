//! Why a worker does not start.

use std::path::PathBuf;

use runs_store::intake_log::IntakeLogError;
use runs_store::{HandlerName, StoreError};
use tallyfy_transport::BuildError;
use thiserror::Error;
use tokio::task::JoinError;

/// Why a worker did not start. Nothing was changed but the data folder.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}, configured as {key}")]
    Listen {
        /// The address, or what was handed over.
        address: String,
        /// The key that sets it.
        key: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A socket for the health checks and metrics that was handed over can be reached from elsewhere.
    #[error(
        "the socket that was handed over as `admin` listens on {0}, which others can reach; set admin.allow_remote if they may read the metrics"
    )]
    PublicAdmin(String),
    /// The data folder cannot be made or used.
    #[error("cannot use the data folder {}", path.display())]
    DataFolder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The intake log cannot be used.
    #[error(transparent)]
    IntakeLog(#[from] IntakeLogError),
    /// The API client cannot be made.
    #[error("cannot set up the API client")]
    Client(#[from] BuildError),
    /// Opening the store panicked, or the runtime is shutting down.
    #[error("the start was interrupted")]
    Interrupted(#[source] JoinError),
    /// A handler cannot be set up.
    #[error("cannot set up the handler `{0}`")]
    Handler(String, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// Two handlers have one name.
    #[error("two handlers are called `{0}`")]
    HandlerTwice(HandlerName),
}
