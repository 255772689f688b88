//! Scheduling time, which is not the wall clock's.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The time that decides what is due and which leases have expired.
///
/// It is near the wall clock's time, but goes on by a monotonic clock, so that setting the wall clock neither expires a
/// lease nor postpones a retry. What is written down for people, when a webhook arrived or an event was made, is a
/// [`Timestamp`] of the wall clock; the two cannot be mixed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SchedulingTime(Timestamp);

impl SchedulingTime {
    /// The end of time: what is due then is never due.
    pub const NEVER: Self = Self(Timestamp::MAX);

    /// The scheduling time whose clock shows this.
    pub const fn new(shown: Timestamp) -> Self {
        Self(shown)
    }

    /// The scheduling time by the wall clock, for whoever begins now: a worker at its start, a person beside it.
    pub fn by_wall_clock() -> Self {
        Self(Timestamp::now())
    }

    /// What its clock shows, for people.
    pub const fn shown(self) -> Timestamp {
        self.0
    }

    /// The time that is `by` later, or [`NEVER`](Self::NEVER).
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        self.0.checked_add(by).map_or(Self::NEVER, Self)
    }

    /// The time that is `by` earlier.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        self.0.checked_sub(by).map_or(self, Self)
    }

    /// How long it is after `earlier`; nothing if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::try_from(self.0.duration_since(earlier.0)).unwrap_or_default()
    }

    /// How far apart the two are, whichever is later: a clock that was set back between two lives of a worker makes what
    /// was written down appear to lie ahead.
    pub fn apart(self, other: Self) -> Duration {
        self.0.duration_since(other.0).unsigned_abs()
    }
}

impl From<SchedulingTime> for Timestamp {
    fn from(time: SchedulingTime) -> Self {
        time.0
    }
}

impl Display for SchedulingTime {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
