//! When a run is to be looked at again, because its last answer may not have been new enough.
//!
//! Reads may be answered by replicas that lag behind for seconds. What an announcement says with a time is held against
//! the answer. Where it has none, or one that two changes may have, a fetch is owed that begins late enough after it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use runs_store::{PendingNotification, SchedulingTime};
use tallyfy_model::{Announced, ApiTime, Run};
use tallyfy_runs::Include;

use crate::config::RefreshConfig;

/// How far the time of a change and the arrival of its webhook may be apart, by clocks that are right.
const CLOSE: SignedDuration = SignedDuration::from_secs(2);

/// For how long a look is taken for something that is still owed.
pub(super) const OWED_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest wait between two such looks, and the shortest.
const BETWEEN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15 * 60));

/// When to look again for what has been owed for so long: each wait is as long as all of the time before it, up to some
/// minutes.
pub(super) fn next_look(owed_since: SchedulingTime, now: SchedulingTime) -> SchedulingTime {
    let elapsed = now.apart(owed_since);
    let (shortest, longest) = BETWEEN;
    now.after(elapsed.clamp(shortest, longest))
}

/// What a fetch showed of the notifications that led to it.
pub(super) struct Looks<'a> {
    pub(super) config: &'a RefreshConfig,
    pub(super) notifications: &'a [PendingNotification],
    pub(super) before: Option<&'a Run>,
    pub(super) run: &'a Run,
    /// Whether a duplicate of a notification that is covered already may have asked for it.
    pub(super) repeated: bool,
    /// Whether a look, or anything else, was owed before.
    pub(super) owed_before: bool,
    /// When the fetch began, by the scheduling time and by the wall clock.
    pub(super) started: SchedulingTime,
    pub(super) fetched_at: Timestamp,
}

/// What shows that an answer is as new as an announcement.
enum Proof<'a> {
    /// A completion, an archiving, or a completed task.
    Certain,
    /// That the run was not updated before this.
    Updated(&'a ApiTime),
    Nothing,
}

impl Looks<'_> {
    /// The time after which another fetch is to begin, if one is owed.
    pub(super) fn owed(&self) -> Option<SchedulingTime> {
        let unproven = self.notifications.iter().filter(|one| !self.is_shown(one));
        let by_notifications = unproven.filter_map(|one| self.look_after(one)).max();
        // When the duplicate arrived is not known, and no time in it says more than those of its twin.
        let by_repetition = self.repeated.then(|| self.started.after(self.config.second_look));
        by_notifications.max(by_repetition)
    }

    /// `None` if this fetch began late enough.
    fn look_after(&self, notification: &PendingNotification) -> Option<SchedulingTime> {
        // Both by the same clock, right or wrong.
        let age = self.fetched_at.duration_since(notification.received_at);
        let age = Duration::try_from(age).unwrap_or_default();
        let rest = self.config.second_look.checked_sub(age)?;
        (!rest.is_zero()).then(|| self.started.after(rest))
    }

    fn is_shown(&self, notification: &PendingNotification) -> bool {
        match self.proof(&notification.head.announced) {
            Proof::Certain => true,
            Proof::Updated(at) => !self.may_be_another_change(at),
            Proof::Nothing => self.is_alone() && self.shows_a_change(notification),
        }
    }

    fn proof<'n>(&self, announced: &'n Announced) -> Proof<'n> {
        let has_tasks = self.config.includes.contains(&Include::Tasks);
        if has_tasks && announced.task_completed_at.is_some() {
            return Proof::Certain;
        }
        // A webhook of a run that has long been complete says so too: that proves nothing of what it announces.
        match &announced.run_last_updated {
            Some(at) => Proof::Updated(at),
            None if announced.run_completed_at.is_some() || announced.run_archived_at.is_some() => Proof::Certain,
            None => Proof::Nothing,
        }
    }

    /// Whether the answer has this time, as exactly as it is written, and so may have the state before.
    fn may_be_another_change(&self, at: &ApiTime) -> bool {
        let moment = at.timestamp();
        let shown = self.run.last_updated.get().and_then(ApiTime::timestamp);
        let is_coarse = moment != shown || moment.is_some_and(|at| at.subsec_nanosecond() == 0);
        let has_it = |run: &Run| run.last_updated.get().is_some_and(|updated| updated.may_equal(at));
        is_coarse && has_it(self.run) && (self.before.is_some_and(has_it) || self.announcements_of(at) > 1)
    }

    /// How often this time was announced: two changes of one second are announced by the same bytes.
    fn announcements_of(&self, at: &ApiTime) -> u64 {
        let announce_it = self
            .notifications
            .iter()
            .filter(|one| matches!(self.proof(&one.head.announced), Proof::Updated(other) if other.may_equal(at)));
        announce_it.map(arrivals).sum()
    }

    /// Whether there is a single announcement, so that a change that shows is the announced one.
    fn is_alone(&self) -> bool {
        !self.owed_before && self.notifications.iter().map(arrivals).sum::<u64>() == 1
    }

    fn shows_a_change(&self, notification: &PendingNotification) -> bool {
        let updated = self.run.last_updated.get();
        match (self.before, updated) {
            (Some(before), Some(updated)) => before.last_updated.get().is_some_and(|known| known.is_before(updated)),
            (None, Some(updated)) => updated
                .timestamp()
                .is_some_and(|updated| notification.received_at.duration_since(updated).abs() <= CLOSE),
            (_, None) => false,
        }
    }
}

/// How often a notification arrived.
fn arrivals(notification: &PendingNotification) -> u64 {
    1 + u64::from(notification.duplicates)
}
