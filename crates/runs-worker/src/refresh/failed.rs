//! What follows when the API sends no run.

use std::time::Duration;

use runs_store::{PostponeCause, RefreshEnd, Refreshed, Standing, Subject};
use tallyfy_model::RunId;
use tallyfy_runs::Error;
use tallyfy_transport::ErrorKind;
use tracing::{error, warn};

use crate::event::{EventType, Occurrence};
use crate::telemetry;

use super::decide::{BELIEVED_AFTER, Decider, Decision};
use super::memory::Memory;

/// How long what was claimed before the circuit opened is left alone.
const WHILE_DOWN: Duration = Duration::from_secs(1);

/// How often a task is asked for that is not found, or not to be seen: for some three hours, with the default waits.
const TASK_TRIES: u32 = 20;

/// How long after a run was said to be gone that was never there it is looked at once more, at the latest.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// After how many failures of one run it is looked whether the API answers otherwise.
const LOOK_AROUND: u32 = 4;

/// However the pauses are set.
const MOST_TRIES: u32 = 10_000;

impl Decider<'_> {
    /// Whether the token was refused for this subject before.
    pub(super) fn was_refused(&self) -> bool {
        self.memory(self.last_seen().as_ref()).refused
    }

    /// The API sent no run.
    pub(super) fn failed(&self, error: &Error) -> Decision {
        let reason = telemetry::chain(error);
        let (standing, event_type, outcome) = match error {
            Error::NotFound { .. } => (Standing::Gone, EventType::Gone, "gone"),
            Error::NoAccess { .. } => (Standing::NoAccess, EventType::Inaccessible, "no access"),
            Error::TokenRefused { .. } | Error::Credentials { .. } => {
                let memory = self.changed_memory(|kept| kept.refused = true);
                return self.postpone(
                    "token refused",
                    PostponeCause::NotTried,
                    Duration::ZERO,
                    reason,
                    Some(&memory),
                );
            }
            // It was not even asked for: the API is down, which is no fault of the run's.
            Error::NotReachable(source) if source.kind() == ErrorKind::CircuitOpen => {
                return self.postpone("circuit open", PostponeCause::NotTried, WHILE_DOWN, reason, None);
            }
            // Nothing is claimed until the pause of all requests is over.
            Error::RateLimited { .. } => {
                return self.postpone("rate limited", PostponeCause::NotTried, Duration::ZERO, reason, None);
            }
            _ => return self.failed_for_now(reason),
        };
        // A replica that lags behind may not know a new run yet. Failures of other kinds say nothing about that.
        let mut memory = self.memory(self.last_seen().as_ref());
        let tries = memory.missing + 1;
        let enough = match &self.due.subject {
            Subject::Run(_) => self.config.missing_tries.get(),
            // Without its task's run, a notification cannot be told to anybody: that is given up much later.
            Subject::Task(_) => self.config.missing_tries.get().max(TASK_TRIES),
        };
        memory.missing = tries;
        let is_known = self.due.standing == standing && self.due.notifications.is_empty();
        let until_believed = self.until_absence_is_believed(&mut memory);
        if (tries < enough || !until_believed.is_zero()) && !is_known {
            let wait = self.backoff(tries);
            let wait = if until_believed.is_zero() {
                wait
            } else {
                wait.min(until_believed)
            };
            return self.postpone("missing", PostponeCause::NotTried, wait, reason, Some(&memory));
        }
        memory = Memory {
            told: memory.told,
            ..Memory::default()
        };
        match &self.due.subject {
            Subject::Run(run) => self.commit_absence(run, outcome, standing, event_type, &memory, &reason),
            Subject::Task(task) => {
                warn!(org = %self.due.org, %task, notifications = self.due.notifications.len(), reason,
                    "the run of a task cannot be found out: its notifications lead to no event");
                self.without_event(outcome, standing)
            }
        }
    }

    /// For how much longer the answers have to say that a run is not there which was: a replica that lags behind may not
    /// know it yet.
    fn until_absence_is_believed(&self, memory: &mut Memory) -> Duration {
        let since = *memory.missing_since.get_or_insert(self.started);
        if self.due.standing != Standing::Present {
            return Duration::ZERO;
        }
        let long = BELIEVED_AFTER.min(self.config.retry_max);
        long.saturating_sub(self.now.apart(since))
    }

    /// Whether the API may have failed for this run alone, which the list of runs shows.
    pub(super) fn may_be_the_runs(&self, error: &Error) -> bool {
        let is_answered = matches!(
            error,
            Error::ServerTrouble(_)
                | Error::InvalidRequest(_)
                | Error::NotTheExpectedJson { .. }
                | Error::TooLarge(_)
                | Error::NoSuchEndpoint(_)
        );
        let is_tried = matches!(error, Error::NotReachable(source) if source.kind() != ErrorKind::CircuitOpen);
        (is_answered || is_tried) && self.due.failures >= LOOK_AROUND
    }

    /// What follows if the API has failed for this run, and works otherwise, for longer than it is tried.
    pub(super) fn given_up(&self, error: &Error) -> Option<Decision> {
        if self.due.failures + 1 < self.tries_until(self.config.give_up_after) {
            return None;
        }
        let reason = telemetry::chain(error);
        let notifications = self.due.notifications.len();
        match &self.due.subject {
            Subject::Run(run) => {
                error!(org = %self.due.org, %run, notifications, reason,
                    "the run is given up: the API fails for it alone; `runs-worker refresh` asks for it again");
                let memory = Memory {
                    told: self.memory(self.last_seen().as_ref()).told,
                    ..Memory::default()
                };
                Some(self.commit_absence(
                    run,
                    "given up",
                    Standing::NoAccess,
                    EventType::Inaccessible,
                    &memory,
                    &reason,
                ))
            }
            Subject::Task(task) => {
                error!(org = %self.due.org, %task, notifications, reason,
                    "the task is given up: its notifications lead to no event");
                Some(self.without_event("given up", Standing::NoAccess))
            }
        }
    }

    /// How many failures take about this long, with the pauses between them.
    fn tries_until(&self, long: Duration) -> u32 {
        let (mut tries, mut pause, mut taken) = (0_u32, self.config.retry_initial, Duration::ZERO);
        while taken < long && tries < MOST_TRIES {
            taken = taken.saturating_add(pause.max(Duration::from_millis(1)));
            pause = pause.saturating_mul(2).min(self.config.retry_max);
            tries += 1;
        }
        tries
    }

    /// The run is gone, or is not to be seen.
    fn commit_absence(
        &self,
        run: &RunId,
        outcome: &'static str,
        standing: Standing,
        event_type: EventType,
        memory: &Memory,
        reason: &str,
    ) -> Decision {
        // A replica that lags behind for longer than usual shows it later.
        let look_again = !memory.told.seen && !self.due.notifications.is_empty();
        let look_again = look_again.then(|| self.now.after(LOOK_AGAIN.min(self.config.retry_max)));
        let is_told = self.due.standing != standing || !self.due.notifications.is_empty();
        let occurrence = Occurrence {
            reason: Some(reason),
            ..self.occurrence(event_type, run)
        };
        let written = is_told.then(|| self.write(&occurrence));
        match written.transpose().map(Option::flatten) {
            Ok(event) => Decision {
                outcome,
                event_types: event.iter().map(|_| event_type).collect(),
                changes: 0,
                end: RefreshEnd::Commit(Refreshed {
                    events: event.into_iter().collect(),
                    memory: memory.write(),
                    look_again,
                    ..self.refreshed(standing)
                }),
            },
            Err(error) => self.failed_for_now(format!("the event cannot be written: {error}")),
        }
    }

    /// The API said something of a task, but not which run it belongs to.
    pub(super) fn without_event(&self, outcome: &'static str, standing: Standing) -> Decision {
        Decision {
            outcome,
            event_types: Vec::new(),
            changes: 0,
            end: RefreshEnd::Commit(self.refreshed(standing)),
        }
    }

    /// The task belongs to this run.
    pub(super) fn resolved(&self, run: &RunId) -> Decision {
        Decision {
            end: RefreshEnd::Resolve(run.clone()),
            ..self.without_event("task resolved", Standing::Present)
        }
    }
}
