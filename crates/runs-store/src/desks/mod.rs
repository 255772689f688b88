//! The store as its users see it: seven desks, each with the verbs of one stage, or of those who look on.

mod handler_name;
mod inbox;
mod known;
mod lease;
mod operator;
mod outbox;
mod refreshes;
mod seats;
mod story;
mod sweeps;
mod turns;
mod version;
mod wanted;
mod words;

use async_trait::async_trait;
use tokio::sync::watch;

pub use handler_name::HandlerName;
pub use inbox::{Appended, InboxDesk, NewNotification, NotificationHead, Subject};
pub(crate) use known::{ABSENT, Known};
pub use lease::{Claim, Claimed, Lease, LeaseLost};
pub use operator::{
    After, DeadLetter, EventPage, EventSummary, Failing, HandlerStats, IdsOf, NotificationSummary, OperatorDesk, Prune,
    Pruned, Query, Stats, WaitingDelivery, Whole,
};
pub use outbox::{
    Delivery, EndedDelivery, MAX_CLAIMED_EVENT_BYTES, NewEvent, OutboxDesk, Recipients, Settlement, Turn, Verdict,
};
pub(crate) use refreshes::LONGEST_PAUSE;
pub use refreshes::{
    DueRefresh, EndedRefresh, Lane, Lanes, MAX_CLAIMED_BODY_BYTES, PendingNotification, PostponeCause, Postponement,
    Recorded, RefreshDesk, RefreshEnd, RefreshTurn, Refreshed, Snapshot, Standing,
};
pub use seats::{SeatDesk, Seats, WorkerIdentity, WorkerSummary};
pub(crate) use story::bounded;
pub use story::{
    AttemptEnd, AttemptReport, Beat, FetchCause, FetchReport, Head, HeadsPage, Journal, JournalEntry, JournalQuery,
    MAX_ATTEMPTS_KEPT, MAX_FETCHES_KEPT, MAX_REASON_KEPT, PULSE_KEPT, Pulse, RunLabel, RunPlace, RunSummary, RunsOnly,
    RunsPage, RunsQuery, Story, StoryDesk, ToldAttempt, ToldFetch, WorkerSeen,
};
pub use sweeps::{
    Finding, Listed, ListedPage, Sweep, SweepDesk, SweepFound, SweepKind, SweepOrder, SweepPhase, SweepScope, Sweeps,
};
pub(crate) use turns::{InTurn, Waiting, in_turn, lanes, lines};
pub use version::Version;
pub(crate) use wanted::{Candidate, LOOKED_AT, Wanted};
pub(crate) use words::Word;

/// The durable state of the worker.
///
/// # What every implementation keeps
///
/// - Each verb is one transaction: it happens whole or not at all, and when it has returned `Ok`, it survives a power
///   cut. An `Err` other than [`StoreError::LeaseLost`](crate::StoreError::LeaseLost) says that nothing is known to have happened.
/// - A notification that was appended stays until a committed refresh has covered it. Requests for a refresh are
///   counted per subject by *tickets*: a notification takes the next one, a claim notes the newest one, and the commit
///   covers the tickets up to the one that its claim noted. What arrives in between leaves the subject due.
/// - What waits goes on waiting until the same time when it is asked for again: a notification neither cuts short the
///   postponement of a run whose fetches fail, nor loses the place of those before it. It does bring the run into the
///   [live](Lane::Live) lane, ahead of sweeps.
/// - Work is handed out under a [`Lease`] that expires and carries a fencing number. A verb that takes a lease fails
///   with [`StoreError::LeaseLost`](crate::StoreError::LeaseLost) and changes nothing once the work was settled or handed to somebody else. A lease
///   that has expired, but whose work nobody has claimed since, is still good.
/// - An attempt that ended with its lease counts: as one more failure in a row for a refresh, which then waits among
///   the retries, and as an attempt for a delivery. Work that brings the worker down each time can be told by that.
/// - For one handler and one run, deliveries are handed out one at a time, in the order in which their events were
///   committed; the next one only after the one before it was settled for good.
/// - Nothing depends on the memory of one process: several workers may share a store whose implementation allows it. What a
///   worker had leased when it ended is due again when the same one opens the store anew; other workers get it when the
///   lease ends.
///
/// `now` is the scheduling time of the caller. It decides what is due and which leases have expired, and is passed in
/// so that neither the speed of a test nor a jump of the wall clock does. Times are kept in microseconds.
#[async_trait]
pub trait Store: InboxDesk + RefreshDesk + OutboxDesk + SweepDesk + SeatDesk + OperatorDesk + StoryDesk {
    /// Wake-ups for the stages. A hint only: what is due is found by claiming.
    fn wakeups(&self) -> Wakeups;

    /// Finishes what was asked of the store and lets go of it. What is asked later is refused with
    /// [`StoreError::Closed`](crate::StoreError::Closed). Closing again does nothing.
    async fn close(&self);
}

/// Channels whose value changes when there may be something to claim.
///
/// Mark a channel as seen *before* claiming, and wait for its next change after a claim came back empty: in the other
/// order, what arrives in between is noticed only at the next poll.
#[derive(Clone, Debug)]
pub struct Wakeups {
    /// Changes when a subject may have become due.
    pub due: watch::Receiver<u64>,
    /// Changes when a delivery may have become due.
    pub deliverable: watch::Receiver<u64>,
}
