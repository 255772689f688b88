//! One attempt to refresh one subject: fetch, decide, commit.

use jiff::Timestamp;
use metrics::{counter, histogram};
use runs_store::{DueRefresh, Lane, PostponeCause, Postponement, Standing, StoreError, Subject, torture};
use tallyfy_model::{RunId, TaskId};
use tallyfy_runs::{Error, GetTaskOptions};
use tracing::{debug, error, info, warn};

use crate::event::EventType;
use crate::telemetry;
use crate::wait::insist;

use super::Refresher;
use super::decide::{Decider, Decision, Step};

/// What an attempt showed of the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenVerdict {
    Accepted,
    Refused(String),
    Unknown,
}

impl Refresher {
    /// Fetches what is due and brings it to its end. Errors end here: whatever is not committed stays due.
    pub(super) async fn attempt(&self, due: DueRefresh) -> TokenVerdict {
        let started = self.clock.now();
        let verdict = match &due.subject {
            Subject::Run(run) => self.attempt_run(&due, run, started).await,
            Subject::Task(task) => self.attempt_task(&due, task, started).await,
        };
        let seconds = self.clock.now().duration_since(started).as_secs_f64();
        histogram!("runs_worker_refresh_seconds", "org" => due.org.to_string()).record(seconds);
        verdict
    }

    async fn attempt_run(&self, due: &DueRefresh, run: &RunId, started: Timestamp) -> TokenVerdict {
        let fetched_at = self.clock.wall();
        let options = self.config.get_run_options();
        let Some(fetched) = self.unless_given_back(due, self.client.get_run(run, &options)).await else {
            return TokenVerdict::Unknown;
        };
        torture::point("refresh.fetched");
        let decider = self.decider(due, started, fetched_at);
        let decision = match &fetched {
            Ok(run) => decider.fetched(run),
            Err(error) => decider.failed(error),
        };
        self.carry_out(due, decision).await;
        torture::point("refresh.ended");
        verdict(fetched.as_ref().err())
    }

    /// Asks which run a task belongs to. The run becomes due with the task's notifications.
    async fn attempt_task(&self, due: &DueRefresh, task_id: &TaskId, started: Timestamp) -> TokenVerdict {
        let fetched_at = self.clock.wall();
        let Some(fetched) = self
            .unless_given_back(due, self.client.get_task(task_id, &GetTaskOptions::default()))
            .await
        else {
            return TokenVerdict::Unknown;
        };
        torture::point("refresh.task-fetched");
        let decider = self.decider(due, started, fetched_at);
        let org = &due.org;
        match &fetched {
            Ok(task) => match task.run_id.get() {
                Some(run) => {
                    let resolve = || self.store.resolve_task(&due.lease, run, self.clock.now());
                    match insist(self.config.lease, resolve).await {
                        Ok(()) => {
                            count(due, "task resolved");
                            info!(%org, %run, task = %task_id, outcome = "task resolved", "refresh");
                        }
                        Err(error) => log_store_trouble(due, &error),
                    }
                }
                None => {
                    warn!(%org, task = %task_id, "the task belongs to no run: its notifications lead to no event");
                    self.carry_out(due, decider.without_event("task without run", Standing::Present))
                        .await;
                }
            },
            Err(error) => self.carry_out(due, decider.failed(error)).await,
        }
        verdict(fetched.as_ref().err())
    }

    /// What is fetched; `None` if the worker stops first, and what was due is given back.
    async fn unless_given_back<T>(&self, due: &DueRefresh, fetch: impl Future<Output = T>) -> Option<T> {
        let fetched = self.give_back.run_until_cancelled(fetch).await;
        if fetched.is_none() {
            let now = self.clock.now();
            let untried = Postponement {
                until: now,
                cause: PostponeCause::NotTried,
                reason: "the worker stopped before the budget had a request left".to_owned(),
            };
            if let Err(error) = self.store.postpone(&due.lease, untried, now).await {
                log_store_trouble(due, &error);
            }
        }
        fetched
    }

    fn decider<'a>(&'a self, due: &'a DueRefresh, started: Timestamp, fetched_at: Timestamp) -> Decider<'a> {
        Decider {
            config: &self.config,
            due,
            guest_links: self.guest_links,
            handlers: &self.handlers,
            started,
            now: self.clock.now(),
            fetched_at,
            random: rand::random(),
        }
    }

    async fn carry_out(&self, due: &DueRefresh, decision: Decision) {
        let DueRefresh {
            org, subject, failures, ..
        } = due;
        let (run, task) = match subject {
            Subject::Run(run) => (run.as_str(), ""),
            Subject::Task(task) => ("", task.as_str()),
        };
        let notifications = due.notifications.len();
        let now = self.clock.now();
        let outcome = decision.outcome;
        count(due, outcome);
        match decision.step {
            Step::Commit {
                refreshed,
                event_type,
                changes,
            } => {
                let event = refreshed
                    .event
                    .as_ref()
                    .map(|event| event.id.to_string())
                    .unwrap_or_default();
                let event_type = event_type.map(EventType::as_str).unwrap_or_default();
                let commit = || self.store.commit_refresh(&due.lease, refreshed.clone(), now);
                match insist(self.config.lease, commit).await {
                    Ok(()) => {
                        self.look_again(due, decision.look_again).await;
                        info!(%org, run, task, outcome, event, event_type, changes, notifications, "refresh");
                        if due.lane == Lane::Sweep && notifications == 0 && !event.is_empty() {
                            counter!("runs_worker_missed_webhooks_total", "org" => org.to_string()).increment(1);
                            warn!(%org, run, event, event_type, "no webhook told of this, a sweep found it");
                        }
                    }
                    Err(error) => log_store_trouble(due, &error),
                }
            }
            Step::Postpone(postponement) => {
                torture::point("refresh.before-postpone");
                let again_at = postponement.until;
                let reason = postponement.reason.clone();
                let postpone = || self.store.postpone(&due.lease, postponement.clone(), now);
                match insist(self.config.lease, postpone).await {
                    Ok(()) => warn!(%org, run, task, outcome, reason, failures, notifications, %again_at, "refresh"),
                    Err(error) => log_store_trouble(due, &error),
                }
            }
        }
    }
}

impl Refresher {
    /// Makes a run due once more. If that is forgotten in a crash, the sweep at the next start does it.
    async fn look_again(&self, due: &DueRefresh, at: Option<Timestamp>) {
        let (Some(at), Subject::Run(run)) = (at, &due.subject) else {
            return;
        };
        let request = || self.store.request_refresh(&due.org, run, Lane::Retry, at);
        if let Err(error) = insist(self.config.lease, request).await {
            log_store_trouble(due, &error);
        }
    }
}

/// Any answer of the API about a subject says that the token is good; no answer says nothing.
fn verdict(error: Option<&Error>) -> TokenVerdict {
    match error {
        None | Some(Error::NotFound { .. } | Error::NoAccess { .. }) => TokenVerdict::Accepted,
        Some(error @ (Error::TokenRefused { .. } | Error::Credentials { .. })) => {
            TokenVerdict::Refused(telemetry::chain(error))
        }
        Some(_) => TokenVerdict::Unknown,
    }
}

fn count(due: &DueRefresh, outcome: &'static str) {
    counter!("runs_worker_refreshes_total", "org" => due.org.to_string(), "outcome" => outcome).increment(1);
}

fn log_store_trouble(due: &DueRefresh, error: &StoreError) {
    let DueRefresh { org, subject, .. } = due;
    match error {
        StoreError::LeaseLost => debug!(%org, %subject, "refresh was handed out again meanwhile"),
        error => {
            let error = telemetry::chain(error);
            error!(%org, %subject, error, "cannot note the end of a refresh; it stays due");
        }
    }
}
