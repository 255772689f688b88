//! The sweeps: the run list, held against what is known.

use async_trait::async_trait;
use jiff::Timestamp;
use tallyfy_model::{OrgId, RunId};

use super::refreshes::Recorded;
use super::version::Version;
use crate::error::StoreError;
use crate::time::SchedulingTime;

/// The run list is compared with what is known.
#[async_trait]
pub trait SweepDesk: Send + Sync {
    /// How an organization stands with its sweeps.
    async fn sweeps(&self, org: &OrgId) -> Result<Sweeps, StoreError>;

    /// A person asks for a sweep, which begins when the one that is under way has ended. Its number.
    async fn ask_for_sweep(&self, org: &OrgId, order: SweepOrder) -> Result<u64, StoreError>;

    /// Begins a sweep, or gives the one that is under way. What a person asked for is thereby begun.
    async fn start_sweep(&self, org: &OrgId, order: SweepOrder, at: Timestamp) -> Result<Sweep, StoreError>;

    /// Compares a page of the run list with what is known. Runs that differ become due in the [sweep](crate::Lane::Sweep)
    /// lane, unless it is an audit. [`StoreError::LeaseLost`] if the sweep does not expect this page next: somebody else
    /// went on with it.
    async fn record_page(&self, org: &OrgId, page: ListedPage, now: SchedulingTime) -> Result<Sweep, StoreError>;

    /// Brings a sweep from the phase that it is in to another one.
    async fn move_sweep(&self, org: &OrgId, sweep: &Sweep, phase: SweepPhase) -> Result<Sweep, StoreError>;

    /// Looks at some of the runs that a [closing](SweepPhase::Closing) sweep did not see in the list, and makes those due
    /// that should have been there. Whether there may be more of them.
    async fn close_sweep(
        &self,
        org: &OrgId,
        sweep: u64,
        limit: usize,
        now: SchedulingTime,
    ) -> Result<(Sweep, bool), StoreError>;

    /// What the latest sweep found, at most so many, by run.
    async fn findings(&self, org: &OrgId, limit: usize) -> Result<Vec<(RunId, Finding)>, StoreError>;
}

/// A run as the list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The run.
    pub run: RunId,
    /// Its state.
    pub version: Version,
    /// Whether it is complete or archived.
    pub shows: Recorded,
    /// When it was launched, if that can be told.
    pub created_at: Option<Timestamp>,
}

/// What a sweep is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SweepKind {
    /// To make due what differs.
    Sync,
    /// To count what differs, and to change nothing.
    Audit,
}

/// Which runs a sweep walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SweepScope {
    /// Those that are active.
    Active,
    /// Every run, archived ones too.
    All,
}

/// Which sweep is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SweepOrder {
    /// What for.
    pub kind: SweepKind,
    /// Which runs.
    pub scope: SweepScope,
    /// Whether runs that nobody has fetched yet are made due, however old they are. Otherwise the first sweep only takes
    /// down that they are there.
    pub backfill: bool,
}

/// How far a sweep is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SweepPhase {
    /// It walks the list. A pass whose pages moved while it read them may have to be followed by another one.
    Listing {
        /// Which pass, from 1.
        pass: u32,
        /// The next page, from 1.
        page: u32,
    },
    /// It looks at the runs that it did not see in the list.
    Closing,
    /// It is over, since this time.
    Finished(Timestamp),
}

/// A sweep of the run list of one organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// Counts the sweeps of the organization, from 1.
    pub number: u64,
    /// What was wanted.
    pub order: SweepOrder,
    /// Whether it is the first of its scope: runs that are new to it are old runs.
    pub baseline: bool,
    /// When it began.
    pub started_at: Timestamp,
    /// How far it is.
    pub phase: SweepPhase,
    /// How many of the known runs it should find in the list.
    pub expected: u64,
    /// How many runs there are, as the API said last.
    pub total: Option<u64>,
    /// What it has found so far.
    pub found: SweepFound,
}

impl Sweep {
    /// Whether it is over.
    pub fn is_finished(&self) -> bool {
        matches!(self.phase, SweepPhase::Finished(_))
    }
}

/// What a sweep has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepFound {
    /// How many different runs were listed.
    pub listed: u64,
    /// Of these, how many nobody had told of.
    pub new: u64,
    /// How many were known, and are different.
    pub changed: u64,
    /// How many were known, and are not in the list.
    pub vanished: u64,
    /// How many differ, but were waiting to be fetched already.
    pub pending: u64,
}

impl SweepFound {
    /// Counts a run that differs.
    pub(crate) fn count(&mut self, finding: Finding) {
        *match finding {
            Finding::New => &mut self.new,
            Finding::Changed => &mut self.changed,
            Finding::Vanished => &mut self.vanished,
            Finding::Pending => &mut self.pending,
        } += 1;
    }

    /// How many runs differ from what the store has, without anything being on its way.
    pub fn missing(&self) -> u64 {
        self.new + self.changed + self.vanished
    }
}

/// A page of the run list.
#[derive(Clone, Debug)]
pub struct ListedPage {
    /// Which sweep read it.
    pub sweep: u64,
    /// In which pass.
    pub pass: u32,
    /// Which page it is.
    pub page: u32,
    /// The runs on it.
    pub runs: Vec<Listed>,
    /// How many runs there are on all pages, if the API said so.
    pub total: Option<u64>,
}

/// How an organization stands with its sweeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sweeps {
    /// The one that is under way, or else the last one.
    pub latest: Option<Sweep>,
    /// One that a person asked for, and that has not begun.
    pub asked: Option<SweepOrder>,
}

/// What a sweep found of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Finding {
    /// Nobody had told of it.
    New,
    /// It is different.
    Changed,
    /// It is not in the list.
    Vanished,
    /// It differs, but is waiting to be fetched already.
    Pending,
}
