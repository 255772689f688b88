//! What the stages report of an attempt that has ended.

use std::time::Duration;

use jiff::Timestamp;

/// How many fetches of one run are kept: the newest.
pub const MAX_FETCHES_KEPT: u64 = 100;

/// How many attempts of one event for one handler are kept: the newest.
pub const MAX_ATTEMPTS_KEPT: u64 = 100;

/// The most characters of a reason that are kept.
pub const MAX_REASON_KEPT: usize = 500;

/// A reason, cut to what is kept of it.
pub(crate) fn bounded(reason: &str) -> &str {
    match reason.char_indices().nth(MAX_REASON_KEPT) {
        Some((end, _)) => &reason[..end],
        None => reason,
    }
}

/// What is told of a fetch beside what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchReport {
    /// When it began, by the wall clock.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What asked for it.
    pub cause: FetchCause,
    /// How it ended, in a word or two of the worker's.
    pub outcome: String,
    /// How many changes it showed.
    pub changes: u32,
    /// Whether it showed less than was announced.
    pub stale: bool,
    /// Which worker fetched.
    pub worker: String,
}

/// What asked for a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FetchCause {
    /// A webhook.
    Webhook,
    /// An attempt before it that failed.
    Retry,
    /// Nothing new: the worker looks once more, for what was announced and did not show.
    Look,
    /// A sweep of the run list.
    Sweep,
    /// A person, or a webhook that was sent twice.
    Person,
}

/// What is told of an attempt to hand an event over, beside how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptReport {
    /// When it ended, by the wall clock.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// Which worker called.
    pub worker: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_cut_between_characters() {
        assert_eq!(bounded("short"), "short");
        let long = "ä".repeat(MAX_REASON_KEPT + 1);
        assert_eq!(bounded(&long).chars().count(), MAX_REASON_KEPT);
    }
}
