//! The seats: which worker fetches for an organization, so that its request budget stays in one hand.
//!
//! A seat is a lease with a term, by the clock of whoever keeps the store. Its holder renews it at a third of the term, and
//! trusts it for less than the whole of it, counted from before it asked: so it has stopped before another worker can take
//! the seat. What is written for an organization by a worker whose seat was taken is refused.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tallyfy_model::OrgId;
use uuid::Uuid;

use crate::error::StoreError;
use crate::time::SchedulingTime;

/// The workers of a store share out the organizations. What is not said otherwise is that of a store that has one worker.
#[async_trait]
pub trait SeatDesk: Send + Sync {
    /// Says that this worker is there, renews the seats that it holds, and takes those of these organizations that are free,
    /// as long as it has no more than its share. Where one worker has the store to itself it holds every seat.
    ///
    /// What an earlier holder had claimed of an organization is due at `now`.
    async fn hold_seats(&self, orgs: &[OrgId], term: Duration, now: SchedulingTime) -> Result<Seats, StoreError> {
        let _ = (term, now);
        Ok(Seats::all(orgs))
    }

    /// Gives seats up, once nothing is fetched for them any more: another worker may take them at once.
    async fn give_up_seats(&self, orgs: &[OrgId]) -> Result<(), StoreError> {
        let _ = orgs;
        Ok(())
    }

    /// What the clock shows by which the workers of this store schedule; `None` where the only worker's own will do.
    async fn time(&self) -> Result<Option<SchedulingTime>, StoreError> {
        Ok(None)
    }

    /// How long the oldest transaction of the server is open that keeps the store, of whatever program, as far as it may be
    /// seen: what was changed since cannot be cleaned up. `None` if none is open, or where no server keeps it.
    async fn oldest_transaction(&self) -> Result<Option<Duration>, StoreError> {
        Ok(None)
    }

    /// The workers that are there or were lately, the longest running first. None where one has the store to itself.
    async fn workers(&self) -> Result<Vec<WorkerSummary>, StoreError> {
        Ok(Vec::new())
    }
}

/// What a worker holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seats {
    /// The organizations that it fetches for.
    pub held: Vec<OrgId>,
    /// Those among them that are more than its share: it should stop fetching for them and give them up.
    pub surplus: Vec<OrgId>,
    /// Whether others can take a seat when its term is over.
    pub is_shared: bool,
}

impl Seats {
    /// Every seat, for the only worker.
    pub fn all(orgs: &[OrgId]) -> Self {
        Self {
            held: orgs.to_vec(),
            surplus: Vec::new(),
            is_shared: false,
        }
    }
}

/// Which worker opens a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerIdentity {
    /// Kept for as long as its data folder, which one process holds at a time: what a worker of this id had leased when it
    /// ended is not being worked on any more.
    pub id: Uuid,
    /// What it is called.
    pub name: String,
    /// The machine that it runs on.
    pub host: String,
    /// The version of its software.
    pub version: String,
}

impl WorkerIdentity {
    /// A worker with this id, called by its host.
    pub fn new(id: Uuid, host: impl Into<String>, version: impl Into<String>) -> Self {
        let host = host.into();
        Self {
            id,
            name: host.clone(),
            host,
            version: version.into(),
        }
    }
}

/// A worker, as a person looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerSummary {
    /// Its id.
    pub id: Uuid,
    /// What it is called.
    pub name: String,
    /// The machine that it runs on.
    pub host: String,
    /// The version of its software.
    pub version: String,
    /// When it started.
    pub started_at: Timestamp,
    /// When it was seen last.
    pub seen_at: Timestamp,
    /// When it ended in an orderly way, if it has.
    pub ended_at: Option<Timestamp>,
    /// How long it was not seen, by the store's clock.
    pub silent_for: Duration,
    /// The organizations that it fetches for.
    pub seats: Vec<OrgId>,
}
