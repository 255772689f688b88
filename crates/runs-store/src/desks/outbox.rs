//! The outbox: events, and who has had them.

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use tallyfy_model::{OrgId, RunId};
use uuid::Uuid;

use super::handler_name::HandlerName;
use super::lease::{Claim, Claimed, Lease, LeaseLost};
use super::story::AttemptReport;
use crate::error::StoreError;
use crate::time::SchedulingTime;

/// Events go out to handlers, one at a time for each handler and run.
#[async_trait]
pub trait OutboxDesk: Send + Sync {
    /// Declares which handlers are active. Events that are committed from now on go to these.
    ///
    /// A handler that is new starts with the next event. One that is no longer named keeps what it has not been
    /// given yet, and gets it when it is named again; until then nothing of it can be claimed. Events that are
    /// committed while it is not named are not for it.
    async fn set_handlers(&self, handlers: &[HandlerName], now: SchedulingTime) -> Result<(), StoreError>;

    /// Pauses a handler, or lets it go on. While it is paused nothing of it is claimed; its events wait. Says whether the
    /// store knows a handler of this name.
    async fn set_paused(&self, handler: &HandlerName, paused: bool) -> Result<bool, StoreError>;

    /// Leases deliveries of one handler that are due, at most one for each run, the longest due first. While nothing is
    /// due, this only reads.
    ///
    /// The bodies of one claim have [`MAX_CLAIMED_EVENT_BYTES`] together; only the last one may exceed that.
    async fn claim_deliveries(&self, handler: &HandlerName, claim: Claim) -> Result<Claimed<Delivery>, StoreError>;

    /// Ends attempts, all in one transaction; says of each, in their order, whether it still had its lease.
    async fn settle(
        &self,
        ended: Vec<EndedDelivery>,
        now: SchedulingTime,
    ) -> Result<Vec<Result<(), LeaseLost>>, StoreError>;

    /// Ends attempts, and then claims, in one transaction. Wakes nobody: what it made due is in its own answer.
    async fn settle_and_claim(
        &self,
        ended: Vec<EndedDelivery>,
        handler: &HandlerName,
        claim: Claim,
    ) -> Result<Turn, StoreError>;
}

/// How many bytes of events one claim hands out, so that many large events do not fill the memory.
pub const MAX_CLAIMED_EVENT_BYTES: usize = 4 * 1024 * 1024;

/// What came of settling and claiming together.
#[derive(Clone, Debug)]
pub struct Turn {
    /// For each attempt that ended, whether it still had its lease.
    pub settled: Vec<Result<(), LeaseLost>>,
    /// What was handed out.
    pub claimed: Claimed<Delivery>,
}

/// An event, about to be put in the outbox.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Its id, the same at every attempt to deliver it.
    pub id: Uuid,
    /// Its CloudEvents type.
    pub event_type: String,
    /// When it was made, by the wall clock.
    pub created_at: Timestamp,
    /// The whole event as handlers get it.
    pub body: Bytes,
    /// Who gets it.
    pub recipients: Recipients,
}

/// Which handlers get an event; of those, only active ones do. An event that none gets is kept all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Recipients {
    /// Each of them.
    #[default]
    All,
    /// Those whose filter lets it pass. What each filter said is kept with the event.
    ByFilter(Vec<Verdict>),
}

/// What the filter of a handler said of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The handler.
    pub handler: HandlerName,
    /// The key of the filter that keeps the event back; `None` if the handler gets it.
    pub kept_back_by: Option<String>,
}

/// What keeps an event back from a handler whose filter was not asked, because another process has made it active.
const NOT_ASKED: &str = "not configured";

impl Recipients {
    /// What keeps the event back from an active handler, if something does.
    pub(crate) fn kept_back_from(&self, handler: &str) -> Option<&str> {
        let Self::ByFilter(verdicts) = self else {
            return None;
        };
        match verdicts.iter().find(|verdict| verdict.handler.as_str() == handler) {
            Some(verdict) => verdict.kept_back_by.as_deref(),
            None => Some(NOT_ASKED),
        }
    }

    /// Whether every filter keeps the event back.
    pub fn is_nobody(&self) -> bool {
        match self {
            Self::All => false,
            Self::ByFilter(verdicts) => verdicts.iter().all(|verdict| verdict.kept_back_by.is_some()),
        }
    }
}

/// One event for one handler, leased.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The right to work on it.
    pub lease: Lease,
    /// The handler.
    pub handler: HandlerName,
    /// The event's id.
    pub event_id: Uuid,
    /// The event's CloudEvents type.
    pub event_type: String,
    /// The organization of the run.
    pub org: OrgId,
    /// The run.
    pub run: RunId,
    /// The number of the event within its run, from 1.
    pub number: u64,
    /// Which try this is, from 1. A try that ended with its lease counts.
    pub attempt: u32,
    /// When the first try began, by the scheduling time.
    pub tried_since: SchedulingTime,
    /// When the event was made.
    pub created_at: Timestamp,
    /// The whole event.
    pub body: Bytes,
}

/// An attempt of a delivery that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedDelivery {
    /// The right to end it.
    pub lease: Lease,
    /// How it ended.
    pub settlement: Settlement,
    /// What is told of it, if it is to be told.
    pub report: Option<AttemptReport>,
}

impl From<(Lease, Settlement)> for EndedDelivery {
    fn from((lease, settlement): (Lease, Settlement)) -> Self {
        Self {
            lease,
            settlement,
            report: None,
        }
    }
}

/// How an attempt of a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The handler has it.
    Delivered,
    /// It failed and is tried again.
    Retry {
        /// When.
        at: SchedulingTime,
        /// What happened, for a person; holds no secret.
        reason: String,
    },
    /// It is given up and kept among the dead letters; the next event of the run goes on.
    DeadLetter {
        /// What happened, for a person; holds no secret.
        reason: String,
        /// What the other side said last, in more words; holds no secret.
        answer: Option<String>,
    },
    /// It is given back: due as before, and this was no attempt.
    Released,
}
