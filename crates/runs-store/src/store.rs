//! The store as its users see it: one trait, whose verbs are those of the domain.

use async_trait::async_trait;
use jiff::Timestamp;
use tallyfy_model::{OrgId, RunId};
use tokio::sync::watch;

use crate::error::StoreError;
use crate::sweep::{Finding, ListedPage, Sweep, SweepOrder, SweepPhase, Sweeps};
use crate::types::{
    Appended, Claim, Claimed, Delivery, DueRefresh, HandlerName, Lane, Lanes, Lease, NewNotification, Postponement,
    Prune, Pruned, Refreshed, Settlement, Stats,
};

/// The durable state of the worker.
///
/// # What every implementation keeps
///
/// - Each verb is one transaction: it happens whole or not at all, and when it has returned `Ok`, it survives a power
///   cut. An `Err` other than [`StoreError::LeaseLost`] says that nothing is known to have happened.
/// - A notification that was appended stays until a committed refresh has covered it. Requests for a refresh are
///   counted per subject by *tickets*: a notification takes the next one, a claim notes the newest one, and the commit
///   covers the tickets up to the one that its claim noted. What arrives in between leaves the subject due.
/// - What waits goes on waiting until the same time when it is asked for again: a notification neither cuts short the
///   postponement of a run whose fetches fail, nor loses the place of those before it. It does bring the run into the
///   [live](Lane::Live) lane, ahead of sweeps.
/// - Work is handed out under a [`Lease`] that expires and carries a fencing number. A verb that takes a lease fails
///   with [`StoreError::LeaseLost`] and changes nothing once the work was settled or handed to somebody else. A lease
///   that has expired, but whose work nobody has claimed since, is still good.
/// - An attempt that ended with its lease counts: as one more failure in a row for a refresh, which then waits among
///   the retries, and as an attempt for a delivery. Work that brings the worker down each time can be told by that.
/// - For one handler and one run, deliveries are handed out one at a time, in the order in which their events were
///   committed; the next one only after the one before it was settled for good.
/// - Nothing depends on the memory of one process: several workers may share a store whose implementation allows it.
///
/// `now` is the scheduling time of the caller. It decides what is due and which leases have expired, and is passed in
/// so that neither the speed of a test nor a jump of the wall clock does. Times are kept in microseconds.
#[async_trait]
pub trait Store: Send + Sync {
    /// Stores a notification and makes its subject due, or notes a duplicate.
    ///
    /// A notification whose dedupe key is known for its organization is a duplicate. It is not stored again; if a
    /// fetch that covers its twin has already started, the subject becomes due once more, because the duplicate may
    /// announce something that this fetch did not see. A fetch that was postponed covers nothing.
    ///
    /// A notification whose id is known is the same one, appended again after an error that left open whether it was
    /// stored. It changes nothing and is reported as its own duplicate.
    ///
    /// A notification without a subject is kept for a person to look at.
    async fn append(&self, notification: NewNotification, now: Timestamp) -> Result<Appended, StoreError>;

    /// Makes a run due without a notification: a sweep found a difference, or a person asked.
    ///
    /// In the [live](Lane::Live) lane, which is for a person's wish, the run does not wait for the end of a
    /// postponement.
    async fn request_refresh(&self, org: &OrgId, run: &RunId, lane: Lane, now: Timestamp) -> Result<(), StoreError>;

    /// Leases subjects of one organization that are due, live ones before retries before sweeps, the longest due
    /// first; or from other lanes, if asked for. What is due next is told of these lanes.
    ///
    /// In a lane, runs that the API has [shown](crate::Standing::Present) and everything else take turns, from one claim
    /// to the next: runs that somebody makes up may delay a real one by as much again, and no more.
    ///
    /// Each comes with its last snapshot and with the notifications that a commit would cover.
    async fn claim_due(&self, org: &OrgId, lanes: Lanes, claim: Claim) -> Result<Claimed<DueRefresh>, StoreError>;

    /// Commits a refresh: the snapshot, the event if there is one, its deliveries to every active handler, and the
    /// notifications covered, all at once. What was asked for since the claim leaves the subject due, from
    /// [`Refreshed::not_before`] on. A task has no events: an event for one is an error.
    async fn commit_refresh(&self, lease: &Lease, refreshed: Refreshed, now: Timestamp) -> Result<(), StoreError>;

    /// Gives a due subject back to be fetched later, with everything that it was due for and what was asked for since.
    async fn postpone(&self, lease: &Lease, postponement: Postponement, now: Timestamp) -> Result<(), StoreError>;

    /// Records which run a claimed task belongs to: the task's notifications become the run's, the run becomes due,
    /// and later notifications of this task go to the run at once.
    async fn resolve_task(&self, lease: &Lease, run: &RunId, now: Timestamp) -> Result<(), StoreError>;

    /// Declares which handlers are active. Events that are committed from now on go to these.
    ///
    /// A handler that is new starts with the next event. One that is no longer named keeps what it has not been
    /// given yet, and gets it when it is named again; until then nothing of it can be claimed. Events that are
    /// committed while it is not named are not for it.
    async fn set_handlers(&self, handlers: &[HandlerName], now: Timestamp) -> Result<(), StoreError>;

    /// Leases deliveries of one handler that are due, at most one for each run, the longest due first.
    async fn claim_deliveries(&self, handler: &HandlerName, claim: Claim) -> Result<Claimed<Delivery>, StoreError>;

    /// Ends an attempt of a delivery: delivered, to be tried again, or given up.
    async fn settle(&self, lease: &Lease, settlement: Settlement, now: Timestamp) -> Result<(), StoreError>;

    /// Gives a delivery back untried, because the worker stops.
    async fn release_delivery(&self, lease: &Lease, now: Timestamp) -> Result<(), StoreError>;

    /// How an organization stands with its sweeps.
    async fn sweeps(&self, org: &OrgId) -> Result<Sweeps, StoreError>;

    /// A person asks for a sweep, which begins when the one that is under way has ended. Its number.
    async fn ask_for_sweep(&self, org: &OrgId, order: SweepOrder) -> Result<u64, StoreError>;

    /// Begins a sweep, or gives the one that is under way. What a person asked for is thereby begun.
    async fn start_sweep(&self, org: &OrgId, order: SweepOrder, now: Timestamp) -> Result<Sweep, StoreError>;

    /// Compares a page of the run list with what is known. Runs that differ become due in the [sweep](Lane::Sweep)
    /// lane, unless it is an audit. [`StoreError::LeaseLost`] if the sweep does not expect this page next: somebody else
    /// went on with it.
    async fn record_page(&self, org: &OrgId, page: ListedPage, now: Timestamp) -> Result<Sweep, StoreError>;

    /// Brings a sweep from the phase that it is in to another one.
    async fn move_sweep(&self, org: &OrgId, sweep: &Sweep, phase: SweepPhase) -> Result<Sweep, StoreError>;

    /// Looks at some of the runs that a [closing](SweepPhase::Closing) sweep did not see in the list, and makes those due
    /// that should have been there. Whether there may be more of them.
    async fn close_sweep(
        &self,
        org: &OrgId,
        sweep: u64,
        limit: usize,
        now: Timestamp,
    ) -> Result<(Sweep, bool), StoreError>;

    /// What the latest sweep found, at most so many, by run.
    async fn findings(&self, org: &OrgId, limit: usize) -> Result<Vec<(RunId, Finding)>, StoreError>;

    /// Removes what is old and needed by nobody, at most a few rows: events that every handler has settled and that are
    /// no dead letters, notifications that a refresh has covered or nobody could read, snapshots of runs that are not due.
    async fn prune(&self, prune: Prune) -> Result<Pruned, StoreError>;

    /// Counts what is waiting.
    async fn stats(&self, now: Timestamp) -> Result<Stats, StoreError>;

    /// Shows that the store can be written, by writing.
    async fn probe(&self) -> Result<(), StoreError>;

    /// Wake-ups for the stages. A hint only: what is due is found by claiming.
    fn wakeups(&self) -> Wakeups;

    /// Finishes what was asked of the store and lets go of it. What is asked later is refused with
    /// [`StoreError::Closed`]. Closing again does nothing.
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
