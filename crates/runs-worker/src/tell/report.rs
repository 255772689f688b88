//! What a running worker says of itself, as it is kept in the store for whoever asks.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How a worker stands.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct WorkerReport {
    /// Why no webhook can be kept, if that is so.
    pub(crate) door: Option<String>,
    /// What is wrong with the store.
    pub(crate) store: Option<String>,
    /// What is wrong with the API as a whole.
    pub(crate) api: Option<String>,
    /// What is wrong with the import from the intake log.
    pub(crate) import: Option<String>,
    /// How many notifications wait in the intake log, and how many bytes of it they take up.
    pub(crate) intake_waiting: u64,
    pub(crate) intake_bytes: u64,
    pub(crate) orgs: Vec<OrgReport>,
    pub(crate) handlers: Vec<HandlerReport>,
}

/// How a worker stands with an organization.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct OrgReport {
    pub(crate) org: String,
    /// Why nothing is fetched, if that is so.
    pub(crate) trouble: Option<String>,
    /// When the last webhook came to this worker since it started.
    pub(crate) last_webhook: Option<Timestamp>,
    /// After how many seconds without a webhook there is a warning; 0 is never.
    pub(crate) silence_seconds: u64,
    pub(crate) budget: Vec<Budget>,
}

/// What is left of the requests of a stretch of time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Budget {
    pub(crate) seconds: u64,
    pub(crate) left: u64,
    pub(crate) most: u64,
}

/// How a worker stands with a handler.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct HandlerReport {
    pub(crate) handler: String,
    /// Why nothing is delivered, if that is so.
    pub(crate) trouble: Option<String>,
}
