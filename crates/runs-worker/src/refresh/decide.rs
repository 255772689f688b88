//! What a fetch leads to. Nothing here does I/O or reads a clock.

use std::time::Duration;

use jiff::Timestamp;
use runs_store::{
    DueRefresh, HandlerName, Lane, NewEvent, PostponeCause, Postponement, RefreshEnd, Refreshed, SchedulingTime,
    Snapshot, Standing,
};
use tallyfy_model::{Run, RunId};
use tallyfy_runs::{Change, Include, Owed, carry_forward, changes, compare, older_than};
use tallyfy_transport::Backoff;
use tracing::{error, warn};

use crate::config::{EventsConfig, RefreshConfig};
use crate::event::{EventType, Occurrence};
use crate::filter::{self, EventFilter, Facts};
use crate::reconcile;

use super::label::label;
use super::looks::{Looks, OWED_FOR, next_look};
use super::memory::{Memory, Stands};
use super::milestones::Milestones;
use super::sabotage;

/// The wait before a run that was older than its notification is fetched again for the first time. It doubles each time,
/// and is never shorter than the refresh window.
const STALE_WAIT: Duration = Duration::from_millis(500);

/// How long an answer that is older than the last state must stand before it is believed, and the longest wait until it
/// is asked for again.
pub(super) const BELIEVED_AFTER: Duration = Duration::from_secs(60);
const OLDER_WAIT: Duration = Duration::from_secs(15);

/// What is to be done, and its name in logs and metrics.
#[derive(Clone)]
pub(super) struct Decision {
    pub(super) outcome: &'static str,
    pub(super) end: RefreshEnd,
    /// The types of the events.
    pub(super) event_types: Vec<EventType>,
    pub(super) changes: usize,
}

impl Decision {
    /// Whether what the API showed was less than what was announced.
    pub(super) fn is_stale(&self) -> bool {
        matches!(self.outcome, "stale" | "delivered stale")
    }
}

/// Decides about one subject that was due.
pub(super) struct Decider<'a> {
    pub(super) config: &'a RefreshConfig,
    pub(super) due: &'a DueRefresh,
    pub(super) events: &'a EventsConfig,
    /// Who wants which events.
    pub(super) handlers: &'a [(HandlerName, EventFilter)],
    /// When the attempt began, and what time it is now, for scheduling.
    pub(super) started: SchedulingTime,
    pub(super) now: SchedulingTime,
    /// When the fetch began, by the wall clock.
    pub(super) fetched_at: Timestamp,
    /// Between 0 and 1.
    pub(super) random: f64,
}

/// A fetched run, held against what was known.
struct Compared {
    run: Run,
    /// Which of its members are from an earlier answer, because this one did not tell them.
    kept: Vec<&'static str>,
    changes: Vec<Change>,
}

impl Decider<'_> {
    /// The API sent the run.
    pub(super) fn fetched(&self, run: Run) -> Decision {
        let before = self.last_seen();
        let mut memory = self.memory(before.as_ref());
        if let Some(wait) = self.is_undone(before.as_ref(), &run, &mut memory) {
            return wait;
        }
        let compared = self.compare(before.as_ref(), run, &mut memory);
        let run = &compared.run;
        let lag = self.owe(run, &mut memory);
        let lag = lag.or_else(|| self.lags_behind_list(run));
        if let Some(lag) = &lag
            && self.is_asked_for()
            && memory.stale < self.config.stale_retries
        {
            return self.try_again_quickly(lag);
        }
        let look_again = self.look_again(before.as_ref(), &compared, lag.is_some(), &mut memory);
        let look_again = sabotage::look_again(look_again, &mut memory);
        memory.stale = 0;
        memory.note_shown();
        let told = self.events(before.as_ref(), &compared, &mut memory);
        self.commit_run(&compared, &told, lag.is_some(), look_again, &memory)
    }

    /// An answer that is older than the last state changes nothing, until it has stood for a while: a person may have
    /// reopened something within the same second.
    fn is_undone(&self, before: Option<&Run>, run: &Run, memory: &mut Memory) -> Option<Decision> {
        let older = before.and_then(|before| older_than(run, before));
        let Some(older) = older.filter(|_| !sabotage::believes_older()) else {
            memory.older = None;
            return None;
        };
        let what = reconcile::version(run, None).text;
        if Stands::note(&mut memory.older, what, self.started, BELIEVED_AFTER) {
            warn!(org = %self.due.org, run = %run.id(), %older, "an answer that is older than the last state stands, and is believed");
            return None;
        }
        let since = memory.older.as_ref().map_or(self.started, |older| older.since);
        let elapsed = self.now.apart(since);
        let wait = elapsed.clamp(STALE_WAIT.max(self.config.window), OLDER_WAIT.max(self.config.window));
        Some(self.postpone(
            "older",
            PostponeCause::LookAgain,
            wait,
            format!("older than the last state: {older}"),
            Some(&self.changed_memory(|kept| {
                kept.note_shown();
                kept.older.clone_from(&memory.older);
            })),
        ))
    }

    /// What is different. What the answer does not tell stands, and what it may have left out by mistake is doubted until
    /// another look confirms it.
    fn compare(&self, before: Option<&Run>, run: Run, memory: &mut Memory) -> Compared {
        let Some(before) = before else {
            if self.due.snapshot.is_some() {
                error!(org = %self.due.org, run = %run.id(), "the last snapshot cannot be read; what changed since is unknown");
            }
            self.note_incomplete(self.lacks_tasks(&run), memory);
            return Compared {
                run,
                kept: Vec::new(),
                changes: Vec::new(),
            };
        };
        let mut doubts = compare(before, &run).doubts;
        let what = doubts.iter().map(|doubt| doubt.member).collect::<Vec<_>>().join(" ");
        if doubts.is_empty() {
            memory.doubted = None;
        } else if Stands::note(&mut memory.doubted, what, self.started, self.config.second_look) {
            memory.doubted = None;
            doubts.clear();
        }
        let carried = carry_forward(before, run, &self.config.includes, &doubts);
        let is_incomplete = carried.members.len() > doubts.len() || self.lacks_tasks(&carried.run);
        let were_left_out = memory.incomplete_since.is_some() && self.lacks_tasks(before);
        self.note_incomplete(is_incomplete, memory);
        // Handlers were told of the run without its tasks, which were asked for: now they are told of these.
        let before_tasks = were_left_out.then(|| with_no_tasks(before)).flatten();
        Compared {
            changes: changes(before_tasks.as_ref().unwrap_or(before), &carried.run),
            run: carried.run,
            kept: carried.members,
        }
    }

    /// Whether tasks were asked for, and none are known: a run has some, and a template may well have no tags.
    fn lacks_tasks(&self, run: &Run) -> bool {
        self.config.includes.contains(&Include::Tasks) && run.tasks.get().is_none()
    }

    /// Notes since when answers leave out what was asked for.
    fn note_incomplete(&self, is_incomplete: bool, memory: &mut Memory) {
        let since = memory.incomplete_since.filter(|_| !self.is_asked_for());
        memory.incomplete_since = is_incomplete.then(|| since.unwrap_or(self.started));
    }

    /// Adds what the notifications announce to what is owed, and takes off what the run shows. How the run is behind.
    fn owe(&self, run: &Run, memory: &mut Memory) -> Option<String> {
        for notification in &self.due.notifications {
            memory.owed.raise(&notification.head.announced);
        }
        memory.owed.pay(run);
        let behind = memory.owed.unpaid(run);
        let since = match memory.owed_since {
            Some(since) if self.due.notifications.is_empty() => since,
            _ => self.started,
        };
        memory.owed_since = behind.is_some().then_some(since);
        if self.has_stood(since, BELIEVED_AFTER) {
            memory.owed.forgive(run);
            memory.owed_since = memory.owed.unpaid(run).map(|_| since);
        }
        if memory.owed_since.is_some() && self.has_stood(since, OWED_FOR) {
            warn!(org = %self.due.org, run = %run.id(), "what was announced a day ago never showed; it is not waited for any longer");
            memory.owed = Owed::default();
            memory.owed_since = None;
        }
        let behind = memory.owed_since.and(behind)?;
        Some(behind.to_string())
    }

    fn has_stood(&self, since: SchedulingTime, long: Duration) -> bool {
        self.now.apart(since) >= long
    }

    fn lags_behind_list(&self, run: &Run) -> Option<String> {
        let listed = self.due.listed.as_deref()?;
        let version = reconcile::version(run, Some(self.fetched_at));
        reconcile::is_older(&version.text, listed).then(|| "last updated before the run list says".to_owned())
    }

    /// Whether something new asks for this fetch, and not only a debt.
    fn is_asked_for(&self) -> bool {
        !self.due.notifications.is_empty() || self.due.listed.is_some()
    }

    fn try_again_quickly(&self, lag: &str) -> Decision {
        let mut tries = 0;
        let memory = self.changed_memory(|kept| {
            kept.note_shown();
            tries = kept.stale;
            kept.stale += 1;
        });
        let wait = STALE_WAIT.max(self.config.window).saturating_mul(1 << tries.min(16));
        let reason = format!("older than announced: {lag}");
        self.postpone("stale", PostponeCause::NotTried, wait, reason, Some(&memory))
    }

    /// When the run is to be fetched again although nothing asks for it.
    fn look_again(
        &self,
        before: Option<&Run>,
        compared: &Compared,
        is_behind: bool,
        memory: &mut Memory,
    ) -> Option<SchedulingTime> {
        let second_look = self.started.after(self.config.second_look);
        // A time further away than a look can be is of a clock that has been set back since.
        let owed = memory
            .look_after
            .filter(|after| *after > self.started)
            .map(|after| after.min(second_look));
        let had_debt = self.memory(before).owed_since.is_some();
        let looks = Looks {
            config: self.config,
            notifications: &self.due.notifications,
            before,
            run: &compared.run,
            repeated: self.due.is_asked_otherwise(),
            owed_before: owed.is_some() || had_debt,
            started: self.started,
            fetched_at: self.fetched_at,
        };
        // What pays a debt at last may be the first of several changes of its second, of which each was announced.
        let is_paid = had_debt && memory.owed_since.is_none();
        let is_behind_list = is_behind && memory.owed_since.is_none();
        let late = (is_paid || is_behind_list).then_some(second_look);
        memory.look_after = owed.max(looks.owed()).max(late);
        let doubted = memory.doubted.is_some().then_some(second_look);
        let incomplete = memory.incomplete_since.and_then(|since| self.look_for_the_rest(since));
        let debt = memory.owed_since.map(|since| next_look(since, self.now));
        [memory.look_after, doubted, incomplete, debt]
            .into_iter()
            .flatten()
            .min()
    }

    /// Each wait is as long as all of the time before it, for a day: a completed run may have no other reason to be looked at.
    fn look_for_the_rest(&self, since: SchedulingTime) -> Option<SchedulingTime> {
        let elapsed = self.now.apart(since);
        (elapsed < OWED_FOR).then(|| self.now.after(elapsed.max(self.config.second_look).max(STALE_WAIT)))
    }

    /// The events that come of it, each with its changes.
    fn events(&self, before: Option<&Run>, compared: &Compared, memory: &mut Memory) -> Vec<(EventType, Vec<Change>)> {
        let milestones = Milestones {
            told: &memory.told,
            standing: self.due.standing,
            before,
            run: &compared.run,
            notifications: &self.due.notifications,
            recorded: self.due.recorded,
            watched_since: self.due.watched_since,
        };
        let (mut events, told) = milestones.tell(compared.changes.clone());
        memory.told = told;
        if events.is_empty() && (!self.due.notifications.is_empty() || self.asked_by_a_duplicate()) {
            events.push((EventType::Notified, Vec::new()));
        }
        events
    }

    fn commit_run(
        &self,
        compared: &Compared,
        told: &[(EventType, Vec<Change>)],
        is_stale: bool,
        look_again: Option<SchedulingTime>,
        memory: &Memory,
    ) -> Decision {
        let run = &compared.run;
        let outcome = match told.first() {
            _ if is_stale => "delivered stale",
            None | Some((EventType::Notified, _)) => "unchanged",
            Some(_) => "changed",
        };
        let mut events = Vec::new();
        let mut event_types = Vec::new();
        for (event_type, changes) in told {
            let occurrence = Occurrence {
                run: Some(run),
                changes,
                stale: is_stale,
                kept: &compared.kept,
                number: self.due.events + 1 + events.len() as u64,
                ..self.occurrence(*event_type, run.id())
            };
            match self.write(&occurrence) {
                Ok(None) => {}
                Ok(Some(event)) => {
                    events.push(event);
                    event_types.push(*event_type);
                }
                Err(error) => return self.failed_for_now(format!("the event cannot be written: {error}")),
            }
        }
        Decision {
            outcome,
            event_types,
            changes: told.iter().map(|(_, changes)| changes.len()).sum(),
            end: RefreshEnd::Commit(Refreshed {
                snapshot: Some(Snapshot {
                    body: run.raw().to_owned().into(),
                    fetched_at: self.fetched_at,
                }),
                version: Some(reconcile::version(run, Some(self.fetched_at))),
                label: Some(label(run)),
                events,
                memory: memory.write(),
                look_again,
                ..self.refreshed(Standing::Present)
            }),
        }
    }

    pub(super) fn memory(&self, before: Option<&Run>) -> Memory {
        Memory::read(self.due.memory.as_deref(), self.due.standing, before)
    }

    /// What is remembered, with nothing else changed. What the notifications announce is read off them again.
    pub(super) fn changed_memory(&self, change: impl FnOnce(&mut Memory)) -> Memory {
        let mut memory = self.memory(self.last_seen().as_ref());
        change(&mut memory);
        memory
    }

    pub(super) fn occurrence<'o>(&'o self, event_type: EventType, run_id: &'o RunId) -> Occurrence<'o> {
        Occurrence {
            event_type,
            org: &self.due.org,
            run_id,
            run: None,
            kept: &[],
            changes: &[],
            notifications: &self.due.notifications,
            stale: false,
            number: self.due.events + 1,
            at: self.fetched_at,
            shown: self.events,
            reason: None,
        }
    }

    /// The event, for those who want it; none if nothing but a duplicate asked for it and nobody wants to hear of that.
    pub(super) fn write(&self, occurrence: &Occurrence<'_>) -> Result<Option<NewEvent>, serde_json::Error> {
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

    pub(super) fn last_seen(&self) -> Option<Run> {
        let snapshot = self.due.snapshot.as_ref()?;
        Run::from_json(std::str::from_utf8(&snapshot.body).ok()?).ok()
    }

    pub(super) fn refreshed(&self, standing: Standing) -> Refreshed {
        Refreshed::new(standing, self.started.after(self.config.window))
    }

    pub(super) fn postpone(
        &self,
        outcome: &'static str,
        cause: PostponeCause,
        wait: Duration,
        reason: String,
        memory: Option<&Memory>,
    ) -> Decision {
        Decision {
            outcome,
            event_types: Vec::new(),
            changes: 0,
            end: RefreshEnd::Postpone(Postponement {
                until: self.now.after(wait),
                cause,
                memory: memory.and_then(Memory::write),
                reason,
            }),
        }
    }

    pub(super) fn failed_for_now(&self, reason: String) -> Decision {
        self.postpone(
            "failed",
            PostponeCause::Failed,
            self.backoff(self.due.failures + 1),
            reason,
            None,
        )
    }

    pub(super) fn backoff(&self, tries: u32) -> Duration {
        let backoff = Backoff {
            initial: self.config.retry_initial,
            max: self.config.retry_max,
        };
        backoff.wait(tries, self.random)
    }
}

/// A run whose tasks are not known, as one that has none.
fn with_no_tasks(run: &Run) -> Option<Run> {
    let none = Run::from_json(r#"{"id":"none","tasks":[]}"#).ok()?;
    Some(carry_forward(&none, run.clone(), &[Include::Tasks], &[]).run)
}
