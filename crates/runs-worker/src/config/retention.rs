//! `[retention]`: how long things are kept.

use jiff::SignedDuration;
use serde::Deserialize;

/// `[retention]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetentionConfig {
    /// For how many days an event is kept once every handler has settled it; 0 is for ever. Dead letters are kept until
    /// they are dropped.
    pub events_days: u32,
    /// For how many days a notification is kept once its run was fetched, or if nobody could read it; 0 is for ever. A
    /// duplicate is known as one for as long.
    pub notifications_days: u32,
    /// For how many days the last snapshot of a run is kept; 0 is for ever. Without it, the next event of the run cannot
    /// say what has changed.
    pub snapshots_days: u32,
    /// Above this, events and notifications that are done are removed from a day on; 0 is no limit.
    pub max_megabytes: u32,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            events_days: 30,
            notifications_days: 30,
            snapshots_days: 365,
            max_megabytes: 0,
        }
    }
}

impl RetentionConfig {
    pub(crate) fn events(&self) -> Option<SignedDuration> {
        days(self.events_days)
    }

    pub(crate) fn notifications(&self) -> Option<SignedDuration> {
        days(self.notifications_days)
    }

    pub(crate) fn snapshots(&self) -> Option<SignedDuration> {
        days(self.snapshots_days)
    }

    pub(crate) fn max_bytes(&self) -> Option<u64> {
        (self.max_megabytes > 0).then(|| u64::from(self.max_megabytes) * 1_000_000)
    }
}

fn days(days: u32) -> Option<SignedDuration> {
    (days > 0).then(|| SignedDuration::from_hours(24 * i64::from(days)))
}
