//! One attempt to refresh one subject: fetch, and decide. The stage tells the store what came of it.

use std::time::Duration;

use jiff::Timestamp;
use metrics::histogram;
use runs_store::{
    DueRefresh, FetchCause, FetchReport, Lane, PostponeCause, RefreshEnd, SchedulingTime, Standing, Subject, torture,
};
use tallyfy_model::{RunId, TaskId};
use tallyfy_runs::{Error, GetTaskOptions};
use tokio::time::Instant;
use tracing::warn;

use crate::telemetry;
use crate::vitals::{EVENTS, FAILED_FETCHES, FETCHES};

use super::Refresher;
use super::decide::{Decider, Decision};

/// An attempt that has ended.
pub(super) struct Attempted {
    pub(super) due: DueRefresh,
    pub(super) decision: Decision,
    /// What is told of it.
    pub(super) report: FetchReport,
    /// Until when the lease is good for certain.
    pub(super) until: Instant,
}

/// What an attempt showed of the token.
#[derive(Clone, Debug, PartialEq, Eq)]
enum TokenVerdict {
    Accepted,
    Refused(String),
    Unknown,
}

impl Refresher {
    /// Fetches what is due and decides what comes of it.
    pub(super) async fn attempt(self, due: DueRefresh) -> Attempted {
        let until = Instant::now() + self.config.lease;
        let generation = self.gate.generation().await;
        let (started, at) = (self.clock.now(), self.clock.wall());
        let (decision, verdict) = match &due.subject {
            Subject::Run(run) => self.attempt_run(&due, run, started).await,
            Subject::Task(task) => self.attempt_task(&due, task, started).await,
        };
        let took = self.clock.now().since(started);
        histogram!("runs_worker_refresh_seconds", "org" => due.org.to_string()).record(took.as_secs_f64());
        match verdict {
            TokenVerdict::Accepted => self.gate.accepted(),
            TokenVerdict::Refused(reason) => self.gate.refused(generation, &reason, self.clock.wall()),
            TokenVerdict::Unknown => {}
        }
        let report = FetchReport {
            at,
            took,
            cause: cause(&due),
            outcome: decision.outcome.to_owned(),
            changes: u32::try_from(decision.changes).unwrap_or(u32::MAX),
            stale: decision.is_stale(),
            worker: self.vitals.name().to_owned(),
        };
        self.count(&decision);
        Attempted {
            due,
            decision,
            report,
            until,
        }
    }

    /// Adds an attempt to what the worker has done.
    fn count(&self, decision: &Decision) {
        match &decision.end {
            RefreshEnd::Postpone(_) => self.vitals.done(FAILED_FETCHES, 1),
            RefreshEnd::Commit(_) | RefreshEnd::Resolve(_) => self.vitals.done(FETCHES, 1),
        }
        self.vitals.done(EVENTS, decision.event_types.len() as u64);
    }

    async fn attempt_run(&self, due: &DueRefresh, run: &RunId, started: SchedulingTime) -> (Decision, TokenVerdict) {
        let fetched_at = self.clock.wall();
        let options = self.config.get_run_options();
        let fetch = self.client.get_run(run, &options);
        let fetched = self.give_back.run_until_cancelled(fetch).await;
        torture::point("refresh.fetched");
        let decider = self.decider(due, started, fetched_at);
        match fetched {
            None => (decider.given_back(), TokenVerdict::Unknown),
            Some(Ok(run)) => (decider.fetched(run), TokenVerdict::Accepted),
            Some(Err(error)) => self.failed(&decider, &error).await,
        }
    }

    /// Asks which run a task belongs to. The run becomes due with the task's notifications.
    async fn attempt_task(&self, due: &DueRefresh, task: &TaskId, started: SchedulingTime) -> (Decision, TokenVerdict) {
        let fetched_at = self.clock.wall();
        let options = GetTaskOptions::default();
        let fetch = self.client.get_task(task, &options);
        let fetched = self.give_back.run_until_cancelled(fetch).await;
        torture::point("refresh.task-fetched");
        let decider = self.decider(due, started, fetched_at);
        match fetched {
            None => (decider.given_back(), TokenVerdict::Unknown),
            Some(Ok(found)) => {
                let decision = found.run_id.get().map_or_else(
                    || {
                        warn!(org = %due.org, %task, "the task belongs to no run: its notifications lead to no event");
                        decider.without_event("task without run", Standing::Present)
                    },
                    |run| decider.resolved(run),
                );
                (decision, TokenVerdict::Accepted)
            }
            Some(Err(error)) => self.failed(&decider, &error).await,
        }
    }

    /// The API sent no run, or something on the road to it did not.
    async fn failed(&self, decider: &Decider<'_>, error: &Error) -> (Decision, TokenVerdict) {
        let (client, subject) = (&self.client, &decider.due.subject);
        if !self.doubt.believes(client, subject, error).await {
            let reason = format!("{}, which is not the API's own answer", telemetry::chain(error));
            return (decider.failed_for_now(reason), TokenVerdict::Unknown);
        }
        // The token was accepted for others since it was refused for this one: then it is not the token.
        if matches!(error, Error::TokenRefused(_)) && decider.was_refused() && self.gate.is_open() {
            return (decider.failed_for_now(telemetry::chain(error)), TokenVerdict::Unknown);
        }
        // For as long as the API is down, no run is to blame; and one run to blame is no API that is down.
        let given_up = match decider.may_be_the_runs(error) && self.doubt.api_answers(client).await {
            true => decider.given_up(error),
            false => None,
        };
        (given_up.unwrap_or_else(|| decider.failed(error)), verdict(error))
    }

    fn decider<'a>(&'a self, due: &'a DueRefresh, started: SchedulingTime, fetched_at: Timestamp) -> Decider<'a> {
        Decider {
            config: &self.config,
            due,
            events: &self.events,
            handlers: &self.handlers,
            started,
            now: self.clock.now(),
            fetched_at,
            random: rand::random(),
        }
    }
}

impl Decider<'_> {
    /// The worker stops before there was a request left.
    fn given_back(&self) -> Decision {
        let reason = "the worker stopped before the budget had a request left".to_owned();
        self.postpone("given back", PostponeCause::NotTried, Duration::ZERO, reason, None)
    }
}

/// What asked for a fetch.
fn cause(due: &DueRefresh) -> FetchCause {
    match due.lane {
        Lane::Sweep => FetchCause::Sweep,
        Lane::Retry if due.failures > 0 => FetchCause::Retry,
        Lane::Retry => FetchCause::Look,
        Lane::Live if due.notifications.is_empty() => FetchCause::Person,
        Lane::Live => FetchCause::Webhook,
    }
}

/// Any answer of the API about a subject says that the token is good; no answer says nothing.
fn verdict(error: &Error) -> TokenVerdict {
    match error {
        Error::NotFound { .. } | Error::NoAccess { .. } => TokenVerdict::Accepted,
        Error::TokenRefused { .. } | Error::Credentials { .. } => TokenVerdict::Refused(telemetry::chain(error)),
        _ => TokenVerdict::Unknown,
    }
}
