//! What a fetch leads to. Nothing here does I/O or reads a clock.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use runs_store::{
    DueRefresh, HandlerName, Lane, NewEvent, PostponeCause, Postponement, Refreshed, Snapshot, Standing, Subject,
    Version,
};
use tallyfy_model::{Announced, ApiTime, Run};
use tallyfy_runs::{Behind, Change, Error, behind, changes};
use tallyfy_transport::{Backoff, ErrorKind};
use tracing::{error, warn};

use crate::clock::later;
use crate::config::RefreshConfig;
use crate::event::{EventType, Occurrence};
use crate::filter::{self, EventFilter, Facts};
use crate::reconcile;
use crate::telemetry;

/// The wait before a run that was older than its notification is fetched again for the first time. It doubles each time,
/// and is never shorter than the refresh window.
const STALE_WAIT: Duration = Duration::from_millis(500);

/// How long what was claimed before the circuit opened is left alone.
const WHILE_DOWN: Duration = Duration::from_secs(1);

/// How often a task is asked for that is not found, or not to be seen: for some three hours, with the default waits.
const TASK_TRIES: u32 = 20;

/// How much earlier than its webhook a change may have been made, by a clock that is not ours.
const SOONER: SignedDuration = SignedDuration::from_secs(2);

/// What is to be done, and its name in logs and metrics.
pub(super) struct Decision {
    pub(super) outcome: &'static str,
    /// When the run is to be looked at once more, because nothing shows whether the answer was new enough.
    pub(super) look_again: Option<Timestamp>,
    pub(super) step: Step,
}

/// What is to be done.
pub(super) enum Step {
    /// Commit this.
    Commit {
        refreshed: Refreshed,
        event_type: Option<EventType>,
        changes: usize,
    },
    /// Give it back.
    Postpone(Postponement),
}

/// Decides about one subject that was due.
pub(super) struct Decider<'a> {
    pub(super) config: &'a RefreshConfig,
    pub(super) due: &'a DueRefresh,
    /// Whether notifications keep their guest links.
    pub(super) guest_links: bool,
    /// Who wants which events.
    pub(super) handlers: &'a [(HandlerName, EventFilter)],
    /// When the attempt began, and what time it is now, for scheduling.
    pub(super) started: Timestamp,
    pub(super) now: Timestamp,
    /// When the fetch began, by the wall clock.
    pub(super) fetched_at: Timestamp,
    /// Between 0 and 1.
    pub(super) random: f64,
}

impl Decider<'_> {
    /// The API sent the run.
    pub(super) fn fetched(&self, run: &Run) -> Decision {
        let due = self.due;
        let before = self.last_seen();
        let lag = due
            .notifications
            .iter()
            .find_map(|notification| behind(run, &notification.head.announced))
            .or_else(|| older_than(before.as_ref()?, run));
        let version = reconcile::version(run, Some(self.fetched_at));
        let is_older_than_listed = due
            .listed
            .as_deref()
            .is_some_and(|listed| reconcile::is_older(&version.text, listed));
        let lag = lag
            .map(|lag| lag.to_string())
            .or_else(|| is_older_than_listed.then(|| "last updated before the run list says".to_owned()));
        if let Some(lag) = &lag
            && due.stale_reads < self.config.stale_retries
        {
            let wait = STALE_WAIT
                .max(self.config.window)
                .saturating_mul(1 << due.stale_reads.min(16));
            return self.postpone(
                "stale",
                PostponeCause::StaleRead,
                wait,
                format!("older than announced: {lag}"),
            );
        }
        let changes = self.changes(before.as_ref(), run);
        // Without its snapshot, which was old and is gone, a run is as good as never seen.
        let standing = match (due.standing, &due.snapshot) {
            (Standing::Present, None) => Standing::Unseen,
            (standing, _) => standing,
        };
        let event_type = EventType::of_run(standing, &changes, !due.notifications.is_empty())
            .or_else(|| self.asked_by_a_duplicate().then_some(EventType::Notified));
        let outcome = match (event_type, lag.is_some()) {
            (_, true) => "delivered stale",
            (None | Some(EventType::Notified), false) => "unchanged",
            (Some(_), false) => "changed",
        };
        let snapshot = Snapshot {
            body: run.raw().to_owned().into(),
            fetched_at: self.fetched_at,
        };
        let occurrence = |event_type| Occurrence {
            run: Some(run),
            changes: &changes,
            stale: lag.is_some(),
            ..self.occurrence(event_type, run.id())
        };
        let decision = self.commit(
            outcome,
            Standing::Present,
            Some((snapshot, version)),
            event_type,
            occurrence,
            changes.len(),
        );
        Decision {
            look_again: self.is_doubtful(run).then(|| later(self.now, self.config.second_look)),
            ..decision
        }
    }

    /// Whether a notification announced a change without any time, and the run shows none that could be it: either the
    /// change does not show, as a comment does not, or the answer came from a replica that lags behind.
    fn is_doubtful(&self, run: &Run) -> bool {
        let updated = run.last_updated.get().and_then(ApiTime::timestamp);
        self.due.notifications.iter().any(|notification| {
            let Announced {
                run_last_updated: None,
                run_completed_at: None,
                run_archived_at: None,
                task_completed_at: None,
                ..
            } = notification.head.announced
            else {
                return false;
            };
            updated.is_none_or(|updated| notification.received_at.duration_since(updated) > SOONER)
        })
    }

    /// The API sent no run.
    pub(super) fn failed(&self, error: &Error) -> Decision {
        let reason = telemetry::chain(error);
        let (standing, event_type, outcome) = match error {
            Error::NotFound { .. } => (Standing::Gone, EventType::Gone, "gone"),
            Error::NoAccess { .. } => (Standing::NoAccess, EventType::Inaccessible, "no access"),
            Error::TokenRefused { .. } | Error::Credentials { .. } => {
                return self.postpone("token refused", PostponeCause::NotTried, Duration::ZERO, reason);
            }
            // It was not even asked for: the API is down, which is no fault of the run's.
            Error::NotReachable(source) if source.kind() == ErrorKind::CircuitOpen => {
                return self.postpone("circuit open", PostponeCause::NotTried, WHILE_DOWN, reason);
            }
            Error::RateLimited { retry_after, .. } => {
                return self.postpone(
                    "rate limited",
                    PostponeCause::NotTried,
                    retry_after.unwrap_or_default(),
                    reason,
                );
            }
            _ => return self.failed_for_now(reason),
        };
        // A replica that lags behind may not know a new run yet. Failures of other kinds say nothing about that.
        let tries = self.due.stale_reads + 1;
        let enough = match &self.due.subject {
            Subject::Run(_) => self.config.missing_tries.get(),
            // Without its task's run, a notification cannot be told to anybody: that is given up much later.
            Subject::Task(_) => self.config.missing_tries.get().max(TASK_TRIES),
        };
        if tries < enough {
            return self.postpone("missing", PostponeCause::StaleRead, self.backoff(tries), reason);
        }
        match &self.due.subject {
            Subject::Run(run) => {
                let tell = self.due.standing != standing || !self.due.notifications.is_empty();
                let occurrence = |event_type| self.occurrence(event_type, run);
                self.commit(outcome, standing, None, tell.then_some(event_type), occurrence, 0)
            }
            Subject::Task(task) => {
                warn!(org = %self.due.org, %task, notifications = self.due.notifications.len(), reason,
                    "the run of a task cannot be found out: its notifications lead to no event");
                self.without_event(outcome, standing)
            }
        }
    }

    /// The API said something of a task, but not which run it belongs to.
    pub(super) fn without_event(&self, outcome: &'static str, standing: Standing) -> Decision {
        let step = Step::Commit {
            refreshed: self.refreshed(standing, None, None),
            event_type: None,
            changes: 0,
        };
        Decision {
            outcome,
            look_again: None,
            step,
        }
    }

    /// What is different from the last snapshot; nothing if there is none.
    fn changes(&self, before: Option<&Run>, run: &Run) -> Vec<Change> {
        match (before, &self.due.snapshot) {
            (Some(before), _) => changes(before, run),
            (None, None) => Vec::new(),
            (None, Some(_)) => {
                error!(org = %self.due.org, run = %run.id(), "the last snapshot cannot be read; what changed since is unknown");
                Vec::new()
            }
        }
    }

    fn occurrence<'o>(&'o self, event_type: EventType, run_id: &'o tallyfy_model::RunId) -> Occurrence<'o> {
        Occurrence {
            event_type,
            org: &self.due.org,
            run_id,
            run: None,
            changes: &[],
            notifications: &self.due.notifications,
            stale: false,
            number: self.due.events + 1,
            at: self.fetched_at,
            guest_links: self.guest_links,
        }
    }

    fn commit<'o>(
        &self,
        outcome: &'static str,
        standing: Standing,
        seen: Option<(Snapshot, Version)>,
        event_type: Option<EventType>,
        occurrence: impl FnOnce(EventType) -> Occurrence<'o>,
        changes: usize,
    ) -> Decision {
        let (snapshot, version) = seen.unzip();
        let written = event_type.map(|event_type| self.write(&occurrence(event_type)));
        match written.transpose().map(Option::flatten) {
            Ok(event) => Decision {
                outcome,
                look_again: None,
                step: Step::Commit {
                    refreshed: Refreshed {
                        version,
                        ..self.refreshed(standing, snapshot, event)
                    },
                    event_type,
                    changes,
                },
            },
            Err(error) => self.failed_for_now(format!("the event cannot be written: {error}")),
        }
    }

    /// The event, for those who want it; none if nothing but a duplicate asked for it and nobody wants to hear of that.
    fn write(&self, occurrence: &Occurrence<'_>) -> Result<Option<NewEvent>, serde_json::Error> {
        let last = match occurrence.run {
            None => self.last_seen(),
            Some(_) => None,
        };
        let duplicate = occurrence.event_type == EventType::Notified && self.due.notifications.is_empty();
        let facts = Facts {
            org: occurrence.org,
            event_type: occurrence.event_type,
            run: occurrence.run.or(last.as_ref()),
            changes: occurrence.changes,
            duplicate,
        };
        match filter::recipients(self.handlers, &facts) {
            recipients if duplicate && recipients.is_nobody() => Ok(None),
            recipients => occurrence.write(recipients).map(Some),
        }
    }

    /// A live run without a notification: a duplicate asked for it, or a person.
    fn asked_by_a_duplicate(&self) -> bool {
        self.due.lane == Lane::Live && self.due.notifications.is_empty()
    }

    fn last_seen(&self) -> Option<Run> {
        let snapshot = self.due.snapshot.as_ref()?;
        Run::from_json(std::str::from_utf8(&snapshot.body).ok()?).ok()
    }

    fn refreshed(&self, standing: Standing, snapshot: Option<Snapshot>, event: Option<NewEvent>) -> Refreshed {
        Refreshed {
            standing,
            snapshot,
            version: None,
            event,
            not_before: later(self.started, self.config.window),
        }
    }

    fn postpone(&self, outcome: &'static str, cause: PostponeCause, wait: Duration, reason: String) -> Decision {
        let step = Step::Postpone(Postponement {
            until: later(self.now, wait),
            cause,
            reason,
        });
        Decision {
            outcome,
            look_again: None,
            step,
        }
    }

    fn failed_for_now(&self, reason: String) -> Decision {
        self.postpone(
            "failed",
            PostponeCause::Failed,
            self.backoff(self.due.failures + 1),
            reason,
        )
    }

    fn backoff(&self, tries: u32) -> Duration {
        let backoff = Backoff {
            initial: self.config.retry_initial,
            max: self.config.retry_max,
        };
        backoff.wait(tries, self.random)
    }
}

/// How a run is older than it was seen before. A replica that lags behind may answer an announcement without times.
fn older_than(before: &Run, run: &Run) -> Option<Behind> {
    let mut known = Announced::default();
    known.run_last_updated = before.last_updated.get().cloned();
    behind(run, &known)
}
