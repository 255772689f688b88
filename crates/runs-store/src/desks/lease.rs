//! The time-limited right to work on one thing.
//!
//! A lease that ran out counts as a failed attempt, so that a run that brings the worker down cannot do so in a loop without
//! a pause.

use std::num::NonZeroUsize;
use std::time::Duration;

use thiserror::Error;

use super::handler_name::HandlerName;
use crate::time::SchedulingTime;

/// How work is to be claimed.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// The scheduling time.
    pub now: SchedulingTime,
    /// How long the work is the claimer's.
    pub lease: Duration,
    /// The most pieces of work to hand out.
    pub limit: usize,
    /// The most deliveries of one handler that may be leased at a time, to all workers together; `None` is without limit.
    /// It does not matter for runs.
    pub in_flight: Option<NonZeroUsize>,
}

/// What a claim handed out.
#[derive(Clone, Debug)]
pub struct Claimed<T> {
    /// The work, possibly none.
    pub work: Vec<T>,
    /// When something will be due, if nothing changes until then; `None` if nothing waits. In the past if the limit
    /// left work behind. Leases that may expire count; while as much is in flight as may be, only they do.
    pub next_due: Option<SchedulingTime>,
}

/// The time-limited right to work on one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Which thing, in the store's own terms.
    pub(crate) key: i64,
    /// Which handler's, for deliveries.
    pub(crate) handler: Option<HandlerName>,
    /// Grows with every claim of this thing; an old number has lost its right.
    pub(crate) fence: i64,
}

impl Lease {
    /// A lease that no verb takes for one of its own: for work that came from no store.
    pub fn of_nothing() -> Self {
        Self {
            key: 0,
            handler: None,
            fence: -1,
        }
    }
}

/// The work was settled, or handed out again: whoever holds it now does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the lease is lost: the work was settled, or handed out again")]
pub struct LeaseLost;
