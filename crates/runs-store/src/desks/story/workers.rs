//! The workers, and what they do in each minute.

use std::time::Duration;

use jiff::Timestamp;

/// How long it is kept what was done in a minute, and which workers there were.
pub const PULSE_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What a worker says now and then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Its name, the same after a restart.
    pub worker: String,
    /// Its version.
    pub version: String,
    /// When it started.
    pub started_at: Timestamp,
    /// What time it is.
    pub at: Timestamp,
    /// How it stands, as JSON. The store only keeps it.
    pub report: String,
    /// What it has done since it said so last: words of the worker's, each with a number.
    pub done: Vec<(String, u64)>,
}

/// A worker as it was seen last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerSeen {
    /// Its name.
    pub worker: String,
    /// Its version.
    pub version: String,
    /// When it started.
    pub started_at: Timestamp,
    /// When it was there last.
    pub seen_at: Timestamp,
    /// How it stood, as JSON.
    pub report: String,
}

/// What all workers did in one minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// When the minute began.
    pub minute: Timestamp,
    /// What was done.
    pub what: String,
    /// How often.
    pub count: u64,
}
