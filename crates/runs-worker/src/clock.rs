//! What time it is, from one place that a test can move.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// The two times that the worker needs.
///
/// Leases and retries are scheduled by [`now`](Self::now), which starts at the wall clock and then goes on by the
/// monotonic clock: setting the wall clock neither expires a lease nor postpones a retry. What is written down for
/// people, when a notification arrived or an event was made, is the [`wall`](Self::wall) clock's time.
#[derive(Clone, Debug)]
pub struct Clock {
    origin: Timestamp,
    started: Instant,
    wall: Wall,
}

#[derive(Clone, Copy, Debug)]
enum Wall {
    System,
    FollowsNow,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self {
            origin: Timestamp::now(),
            started: Instant::now(),
            wall: Wall::System,
        }
    }

    /// A clock that shows this time now, and goes on by tokio's clock, which a test can pause and move.
    pub fn starting_at(origin: Timestamp) -> Self {
        Self {
            origin,
            started: Instant::now(),
            wall: Wall::FollowsNow,
        }
    }

    /// The time for scheduling; never goes back.
    pub fn now(&self) -> Timestamp {
        later(self.origin, self.started.elapsed())
    }

    /// The time for people, to the millisecond.
    pub fn wall(&self) -> Timestamp {
        let exact = match self.wall {
            Wall::System => Timestamp::now(),
            Wall::FollowsNow => self.now(),
        };
        Timestamp::from_millisecond(exact.as_millisecond()).unwrap_or(exact)
    }
}

/// The time that is `by` after `at`, or the end of time.
pub(crate) fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
