//! The refreshes: which runs are due, who works on them, and what came of it.
//!
//! Known runs and others take turns. Whoever has learnt the webhook's address can announce runs that do not exist, faster
//! than the budget pays for them. In each lane, what the API has shown before and what it may not have go alternately, so
//! that such a flood doubles the wait of a known run, and no more.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use tallyfy_model::{OrgId, RunId};
use uuid::Uuid;

use super::inbox::{NotificationHead, Subject};
use super::lease::{Claim, Claimed, Lease, LeaseLost};
use super::outbox::NewEvent;
use super::story::{FetchReport, RunLabel};
use super::version::Version;
use crate::error::StoreError;
use crate::time::SchedulingTime;

/// Runs that are due are claimed, and come back fetched or postponed.
#[async_trait]
pub trait RefreshDesk: Send + Sync {
    /// Notes since when an organization is watched: since the first time that this was said.
    async fn watch(&self, org: &OrgId, since: Timestamp) -> Result<(), StoreError>;

    /// What of an organization's request budget is used, as it was written down last.
    async fn budget(&self, org: &OrgId) -> Result<Option<String>, StoreError>;

    /// Writes down what of an organization's request budget is used. The store only keeps it.
    async fn keep_budget(&self, org: &OrgId, budget: String) -> Result<(), StoreError>;

    /// Makes a run due without a notification: a sweep found a difference, or a person asked.
    ///
    /// In the [live](Lane::Live) lane, which is for a person's wish, the run does not wait for the end of a
    /// postponement.
    async fn request_refresh(
        &self,
        org: &OrgId,
        run: &RunId,
        lane: Lane,
        now: SchedulingTime,
    ) -> Result<(), StoreError>;

    /// Leases subjects of one organization that are due; while nothing is, this only reads. Live ones go before
    /// retries before sweeps, the longest due first; or from other lanes, if asked for. What is due next is told of these lanes.
    ///
    /// In a lane, runs that the API has [shown](crate::Standing::Present) and everything else take turns, from one claim
    /// to the next: runs that somebody makes up may delay a real one by as much again, and no more.
    ///
    /// Each comes with its last snapshot and with the notifications that a commit would cover.
    async fn claim_due(&self, org: &OrgId, lanes: Lanes, claim: Claim) -> Result<Claimed<DueRefresh>, StoreError>;

    /// When something of these lanes is due next. This only reads.
    async fn next_due(&self, org: &OrgId, lanes: Lanes) -> Result<Option<SchedulingTime>, StoreError>;

    /// Ends attempts, all in one transaction; says of each, in their order, whether it still had its lease.
    async fn end_refreshes(
        &self,
        ended: Vec<EndedRefresh>,
        now: SchedulingTime,
    ) -> Result<Vec<Result<(), LeaseLost>>, StoreError>;

    /// Ends attempts, and then claims, in one transaction.
    async fn end_and_claim(
        &self,
        ended: Vec<EndedRefresh>,
        org: &OrgId,
        lanes: Lanes,
        claim: Claim,
    ) -> Result<RefreshTurn, StoreError>;
}

/// What came of ending and claiming together.
#[derive(Clone, Debug)]
pub struct RefreshTurn {
    /// For each attempt that ended, whether it still had its lease.
    pub ended: Vec<Result<(), LeaseLost>>,
    /// What was handed out.
    pub claimed: Claimed<DueRefresh>,
}

/// An attempt to refresh a subject that has ended.
#[derive(Clone, Debug)]
pub struct EndedRefresh {
    /// The right to end it.
    pub lease: Lease,
    /// How it ended.
    pub end: RefreshEnd,
    /// What is told of it, if it is to be told.
    pub report: Option<FetchReport>,
}

impl From<(Lease, RefreshEnd)> for EndedRefresh {
    fn from((lease, end): (Lease, RefreshEnd)) -> Self {
        Self {
            lease,
            end,
            report: None,
        }
    }
}

/// How an attempt to refresh a subject ended.
#[derive(Clone, Debug)]
pub enum RefreshEnd {
    /// Commit it: the snapshot, the events, their deliveries to every active handler, and the notifications covered, all
    /// at once. What was asked for since the claim leaves the subject due, from [`Refreshed::not_before`] on. A task has
    /// no events: an event for one is an error.
    Commit(Refreshed),
    /// Give it back to be fetched later, with everything that it was due for and what was asked for since.
    Postpone(Postponement),
    /// Record which run a task belongs to: the task's notifications become the run's, the run becomes due, and later
    /// notifications of this task go to the run at once.
    Resolve(RunId),
}

/// A pause after a fetch that ends later than this from now was noted before the clock was set back, and has ended.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// Which work goes first when the budget is short. The order of the variants is the order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// A webhook announced it, or a person asked.
    Live,
    /// It was tried before.
    Retry,
    /// A sweep found it.
    Sweep,
}

/// Which lanes a claim looks into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lanes {
    /// All, in the order of precedence.
    #[default]
    All,
    /// All but the sweeps, whose share of the budget is used up.
    WithoutSweeps,
    /// The sweeps before the others: they have waited for long.
    SweepsFirst,
}

/// A subject that is due, leased.
#[derive(Clone, Debug)]
pub struct DueRefresh {
    /// The right to work on it.
    pub lease: Lease,
    /// Its organization.
    pub org: OrgId,
    /// The subject.
    pub subject: Subject,
    /// In which lane it waited.
    pub lane: Lane,
    /// How many attempts failed in a row.
    pub failures: u32,
    /// What the worker wrote down of it last; see [`Refreshed::memory`].
    pub memory: Option<String>,
    /// Since when its organization is watched.
    pub watched_since: Option<Timestamp>,
    /// How the run list showed it when it was only recorded; `None` if it never was.
    pub recorded: Option<Recorded>,
    /// What is known of the run.
    pub standing: Standing,
    /// The run as it was last fetched.
    pub snapshot: Option<Snapshot>,
    /// The version that the run list showed, if that made it due.
    pub listed: Option<String>,
    /// How many events of this run were committed; the next one has this number plus one.
    pub events: u64,
    /// The notifications that the commit will cover, the oldest first.
    pub notifications: Vec<PendingNotification>,
    /// How often it was asked for since the last commit: by each of these notifications, by the run list, and by whatever
    /// else asked.
    pub asked: u64,
}

impl DueRefresh {
    /// Whether something asked for it that left nothing here: a duplicate of a notification whose refresh had begun, or a
    /// person.
    pub fn is_asked_otherwise(&self) -> bool {
        self.asked > self.notifications.len() as u64 + u64::from(self.listed.is_some())
    }
}

/// How a run stood when a sweep recorded that it is there, and made no event of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Whether it was complete.
    pub complete: bool,
    /// Whether it was archived.
    pub archived: bool,
}

/// A notification that no committed refresh has covered.
#[derive(Clone, Debug)]
pub struct PendingNotification {
    /// Its id.
    pub id: Uuid,
    /// What the receiver read off the body.
    pub head: NotificationHead,
    /// When it arrived.
    pub received_at: Timestamp,
    /// How many duplicates of it arrived.
    pub duplicates: u32,
    /// The length of the body in bytes.
    pub body_len: u64,
    /// The body as it came; `None` for older ones where all together would be more than
    /// [`MAX_CLAIMED_BODY_BYTES`].
    pub body: Option<Bytes>,
}

/// The most bytes of notification bodies that come with one claimed subject. The newest are kept: bodies of one run
/// grow, and a later one repeats what an earlier one said.
pub const MAX_CLAIMED_BODY_BYTES: u64 = 8 * 1024 * 1024;

/// The run as it was fetched.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The JSON of the run, as the API sent it.
    pub body: Bytes,
    /// When the fetch that brought it began, by the wall clock.
    pub fetched_at: Timestamp,
}

/// What the API last said of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Never fetched.
    Unseen,
    /// It is there.
    Present,
    /// The API knows no such thing (404), after a bounded number of tries.
    Gone,
    /// The token may not see it (403), after a bounded number of tries.
    NoAccess,
}

/// The result of a refresh.
#[derive(Clone, Debug)]
pub struct Refreshed {
    /// What the API said.
    pub standing: Standing,
    /// The run as fetched; `None` leaves the last snapshot in place.
    pub snapshot: Option<Snapshot>,
    /// Which state of the run it was; `None` if the API sent no run.
    pub version: Option<Version>,
    /// What the run is called; `None` leaves what is known.
    pub label: Option<RunLabel>,
    /// What handlers are to get, in this order, each with the next number of the run.
    pub events: Vec<NewEvent>,
    /// What the worker wants to know at the next claim: what it has told, and what is owed. The store only keeps it.
    pub memory: Option<String>,
    /// When to fetch it again although nothing asks for it. What is asked for does not wait for that.
    pub look_again: Option<SchedulingTime>,
    /// The next fetch of this run starts no earlier: notifications that arrive until then share it.
    pub not_before: SchedulingTime,
}

impl Refreshed {
    /// What the API said, with nothing to tell and nothing to keep.
    pub fn new(standing: Standing, not_before: SchedulingTime) -> Self {
        Self {
            standing,
            snapshot: None,
            version: None,
            label: None,
            events: Vec::new(),
            memory: None,
            look_again: None,
            not_before,
        }
    }
}

/// Why a due subject is given back.
#[derive(Clone, Debug)]
pub struct Postponement {
    /// When it is due again.
    pub until: SchedulingTime,
    /// What the postponement counts as.
    pub cause: PostponeCause,
    /// What the worker wants to know at the next claim; `None` leaves what it knew.
    pub memory: Option<String>,
    /// What happened, for a person; holds no secret and no body.
    pub reason: String,
}

/// What a postponement counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PostponeCause {
    /// The attempt failed: one more failure in a row, and the subject waits among the retries.
    Failed,
    /// Nothing was tried, it was nobody's fault (a rate limit, a refused token, a stop), or the answer cannot be used yet:
    /// nothing is counted. The subject stays in its lane.
    NotTried,
    /// As [`NotTried`](Self::NotTried), but what is asked for meanwhile does not wait until then.
    LookAgain,
}
