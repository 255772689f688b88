//! What time it is, from one place that a test can move.
//!
//! Leases and retries are scheduled by the monotonic clock on top of the wall clock at the start, so that setting the wall
//! clock does not touch them; events and notifications carry the wall clock's time. At a start, what is due in more than
//! five minutes is due at once: a clock that has been set back in between is likelier than a reason to wait for longer, and
//! to be wrong about that costs one early attempt.
//!
//! Several workers on one database schedule by its clock: each holds its own to that, again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use runs_store::SchedulingTime;
use tokio::time::Instant;

/// The two times that the worker needs.
///
/// Leases and retries are scheduled by [`now`](Self::now), which starts at the wall clock and then goes on by the
/// monotonic clock: setting the wall clock neither expires a lease nor postpones a retry. What is written down for
/// people, when a notification arrived or an event was made, is the [`wall`](Self::wall) clock's time.
#[derive(Clone, Debug)]
pub struct Clock {
    origin: SchedulingTime,
    started: Instant,
    wall: Wall,
    /// By how many microseconds the clock that it is held to is ahead of it.
    ahead: Arc<AtomicI64>,
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
            origin: SchedulingTime::by_wall_clock(),
            started: Instant::now(),
            wall: Wall::System,
            ahead: Arc::default(),
        }
    }

    /// A clock that shows this time now, and goes on by tokio's clock, which a test can pause and move.
    pub fn starting_at(origin: Timestamp) -> Self {
        Self {
            origin: SchedulingTime::new(origin),
            started: Instant::now(),
            wall: Wall::FollowsNow,
            ahead: Arc::default(),
        }
    }

    /// The time for scheduling; goes back only where it is held to another clock.
    pub fn now(&self) -> SchedulingTime {
        let own = self.origin.after(self.started.elapsed());
        let ahead = self.ahead.load(Ordering::Relaxed);
        let by = Duration::from_micros(ahead.unsigned_abs());
        if ahead < 0 { own.before(by) } else { own.after(by) }
    }

    /// Holds it to another clock, which shows this now; so are all clones of it.
    pub(crate) fn hold_to(&self, shown: SchedulingTime) {
        let own = self.origin.after(self.started.elapsed());
        let ahead = shown
            .shown()
            .as_microsecond()
            .saturating_sub(own.shown().as_microsecond());
        self.ahead.store(ahead, Ordering::Relaxed);
    }

    /// The time for people, to the millisecond.
    pub fn wall(&self) -> Timestamp {
        let exact = match self.wall {
            Wall::System => Timestamp::now(),
            Wall::FollowsNow => self.now().shown(),
        };
        Timestamp::from_millisecond(exact.as_millisecond()).unwrap_or(exact)
    }
}
