//! Attempts that have ended, until the store has noted it.

use std::time::Duration;

use metrics::counter;
use runs_store::{DueRefresh, EndedRefresh, Lane, LeaseLost, RefreshEnd, StoreError, Subject, torture};
use tallyfy_model::OrgId;
use tokio::task::JoinError;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use crate::event::EventType;
use crate::telemetry;

use super::attempt::Attempted;
use super::decide::Decision;

/// What has ended and is not noted yet. While the store cannot be written it is kept, because it would otherwise be
/// fetched once more when its lease has run out; after that, another worker may have the lease.
pub(super) struct Ended {
    org: OrgId,
    attempts: Vec<Attempted>,
    /// How many are noted at a time: one, after several could not be noted together.
    most: usize,
}

impl Ended {
    pub(super) fn new(org: OrgId) -> Self {
        Self {
            org,
            attempts: Vec::new(),
            most: usize::MAX,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.attempts.is_empty()
    }

    pub(super) fn add(&mut self, ended: Result<Attempted, JoinError>) {
        match ended {
            Ok(attempted) => self.attempts.push(attempted),
            Err(error) => {
                error!(org = %self.org, %error, "an attempt ended by a panic; what was due is due again later");
            }
        }
    }

    /// As the store is to be told next.
    pub(super) fn next(&self) -> Vec<EndedRefresh> {
        let of = |attempted: &Attempted| EndedRefresh {
            lease: attempted.due.lease.clone(),
            end: attempted.decision.end.clone(),
            report: Some(attempted.report.clone()),
        };
        self.attempts.iter().take(self.most).map(of).collect()
    }

    /// Takes note of what the store said of these.
    pub(super) fn note(&mut self, noted: Result<Vec<Result<(), LeaseLost>>, StoreError>) -> Result<(), StoreError> {
        match noted {
            Ok(outcomes) => {
                for (attempted, outcome) in self.attempts.drain(..outcomes.len()).zip(outcomes) {
                    match outcome {
                        Ok(()) => report(&attempted.due, &attempted.decision),
                        Err(LeaseLost) => {
                            let DueRefresh { org, subject, .. } = &attempted.due;
                            debug!(%org, %subject, "refresh was handed out again meanwhile");
                        }
                    }
                }
                if self.attempts.is_empty() {
                    self.most = usize::MAX;
                }
                torture::point("refresh.ended");
                Ok(())
            }
            Err(error) => {
                self.drop_hopeless(&error);
                Err(error)
            }
        }
    }

    fn drop_hopeless(&mut self, error: &StoreError) {
        let now = Instant::now();
        let is_later = matches!(error, StoreError::Full(_) | StoreError::Unavailable { .. });
        let tried = self.most.min(self.attempts.len());
        let mut place = 0;
        let is_hopeless = |attempted: &mut Attempted| {
            place += 1;
            attempted.until <= now || (!is_later && tried == 1 && place == 1)
        };
        for attempted in self.attempts.extract_if(.., is_hopeless) {
            let DueRefresh { org, subject, .. } = &attempted.due;
            error!(%org, %subject, error = telemetry::chain(error), "cannot note the end of a refresh; it stays due");
        }
        // One of them may be what the store does not take.
        self.most = 1;
    }

    /// How long the store has, at most, for what is left.
    pub(super) fn patience(&self) -> Duration {
        let last = self.attempts.iter().map(|attempted| attempted.until).max();
        last.map_or(Duration::ZERO, |last| last.saturating_duration_since(Instant::now()))
    }
}

/// Several words as one value; none, if there are none.
fn said<'w>(words: impl Iterator<Item = &'w str>) -> Option<String> {
    let said = words.collect::<Vec<_>>().join(" ");
    (!said.is_empty()).then_some(said)
}

fn report(due: &DueRefresh, decision: &Decision) {
    let DueRefresh { org, lane, .. } = due;
    let (run, task) = match &due.subject {
        Subject::Run(run) => (Some(run.as_str()), None),
        Subject::Task(task) => (None, Some(task.as_str())),
    };
    let (outcome, notifications) = (decision.outcome, due.notifications.len());
    counter!("runs_worker_refreshes_total", "org" => org.to_string(), "outcome" => outcome).increment(1);
    match &decision.end {
        RefreshEnd::Commit(refreshed) => {
            let types = decision
                .event_types
                .iter()
                .map(|event_type| EventType::as_str(*event_type));
            let event_type = said(types);
            let ids: Vec<String> = refreshed.events.iter().map(|event| event.id.to_string()).collect();
            let event_id = said(ids.iter().map(String::as_str));
            let changes = decision.changes;
            info!(%org, run, task, outcome, event_id, event_type, changes, notifications, "run fetched");
            if *lane == Lane::Sweep && notifications == 0 && !refreshed.events.is_empty() {
                counter!("runs_worker_missed_webhooks_total", "org" => org.to_string()).increment(1);
                warn!(%org, run, event_id, event_type, "no webhook told of this, a sweep found it");
            }
        }
        RefreshEnd::Postpone(postponement) => {
            let (again_at, reason, failures) = (postponement.until, postponement.reason.as_str(), due.failures);
            warn!(%org, run, task, outcome, reason, failures, notifications, %again_at, "run not fetched, it is tried again");
        }
        RefreshEnd::Resolve(run) => info!(%org, %run, task, outcome, "the run of a task was found"),
    }
}
