//! Which events a fetched run makes, in which order, and which of the changes each of them tells.
//!
//! Every run has one `seen`, every completion one `completed`, every archiving one `archived`, and every reopening one
//! `reactivated`. A completion or an archiving from before the organization was watched makes no event, unless a
//! notification announces it.

use jiff::{SignedDuration, Timestamp};
use runs_store::{PendingNotification, Recorded, Standing};
use tallyfy_model::{ApiTime, Run};
use tallyfy_runs::Change;

use crate::event::EventType;

use super::memory::{Told, archived_at, completed_at};

/// A webhook announces a completion if the run was not updated much later than it was completed.
const SAME_CHANGE: SignedDuration = SignedDuration::from_secs(2);

/// Times are written to the second: what happened within it may be later than it says.
const ROUNDED: SignedDuration = SignedDuration::from_secs(1);

/// What a fetch showed, and what was known before.
pub(super) struct Milestones<'a> {
    pub(super) told: &'a Told,
    pub(super) standing: Standing,
    /// The run as it was fetched last.
    pub(super) before: Option<&'a Run>,
    pub(super) run: &'a Run,
    pub(super) notifications: &'a [PendingNotification],
    /// How a sweep recorded it without an event.
    pub(super) recorded: Option<Recorded>,
    /// Since when its organization is watched.
    pub(super) watched_since: Option<Timestamp>,
}

/// What became of a completion or an archiving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    None,
    Done,
    Undone,
    /// Undone and done again, between two fetches.
    DoneAgain,
}

impl Turn {
    fn is_done(self) -> bool {
        matches!(self, Self::Done | Self::DoneAgain)
    }

    fn is_undone(self) -> bool {
        matches!(self, Self::Undone | Self::DoneAgain)
    }
}

/// A completion or an archiving: how it was, and how it is.
struct Milestone<'a> {
    told: Option<&'a ApiTime>,
    was: Option<bool>,
    is: bool,
    at: Option<&'a ApiTime>,
    recorded: Option<bool>,
    announced: bool,
}

impl Milestones<'_> {
    /// The events, each with its changes, and what is told with them. Where there is nothing but a notification, no
    /// event comes of this.
    pub(super) fn tell(&self, mut changes: Vec<Change>) -> (Vec<(EventType, Vec<Change>)>, Told) {
        let (completion, archiving) = (self.completion(), self.archiving());
        let mut events = Vec::new();
        if !self.told.seen {
            events.push((EventType::Seen, Vec::new()));
        }
        if self.told.seen && (completion.is_undone() || archiving.is_undone()) {
            events.push((EventType::Reactivated, turned_back(&mut changes, completion, archiving)));
        }
        if completion.is_done() {
            let at = self.run.completed_at.as_time().map(ToString::to_string);
            // Among the others, at its place, if it is there.
            let unseen = (!changes.iter().any(is_completed)).then_some(Change::Completed { at });
            events.push((EventType::Completed, Vec::from_iter(unseen)));
        }
        if archiving.is_done() {
            let at = self.run.archived_at.as_time().map(ToString::to_string);
            let archived = match completion.is_done() {
                true => take(&mut changes, is_archived).or(Some(Change::Archived { at })),
                false => (!changes.iter().any(is_archived)).then_some(Change::Archived { at }),
            };
            events.push((EventType::Archived, Vec::from_iter(archived)));
        }
        self.tell_the_rest(changes, &mut events);
        let told = Told {
            seen: true,
            completed: told_time(self.told.completed.as_ref(), completion, completed_at(self.run)),
            archived: told_time(self.told.archived.as_ref(), archiving, archived_at(self.run)),
        };
        (events, told)
    }

    /// What led up to a completion belongs to it, or else to the first other event; with neither, it is an event itself.
    fn tell_the_rest(&self, changes: Vec<Change>, events: &mut Vec<(EventType, Vec<Change>)>) {
        let place = events
            .iter()
            .position(|(event_type, _)| *event_type == EventType::Completed)
            .or_else(|| events.iter().position(|(event_type, _)| *event_type != EventType::Seen));
        match place.and_then(|place| events.get_mut(place)) {
            Some((_, of_event)) => of_event.splice(0..0, changes).for_each(drop),
            // It is back: handlers that were told that it is gone must be told that.
            None if self.told.seen && (!changes.is_empty() || self.standing != Standing::Present) => {
                events.push((EventType::Changed, changes));
            }
            None => {}
        }
    }

    fn completion(&self) -> Turn {
        let announces = |notification: &PendingNotification| {
            let announced = &notification.head.announced;
            (announced.run_completed_at.is_none() && is_named(notification, "completed"))
                || is_of_this_change(announced.run_completed_at.as_ref(), announced.run_last_updated.as_ref())
        };
        let milestone = Milestone {
            told: self.told.completed.as_ref(),
            was: self.before.map(|run| run.is_complete()),
            is: self.run.is_complete(),
            at: self.run.completed_at.as_time(),
            recorded: self.recorded.map(|recorded| recorded.complete),
            announced: self.notifications.iter().any(announces),
        };
        self.turn(&milestone)
    }

    fn archiving(&self) -> Turn {
        let announces = |notification: &PendingNotification| {
            let announced = &notification.head.announced;
            (announced.run_archived_at.is_none() && is_named(notification, "archived"))
                || is_of_this_change(announced.run_archived_at.as_ref(), announced.run_last_updated.as_ref())
        };
        let milestone = Milestone {
            told: self.told.archived.as_ref(),
            was: self.before.map(|run| run.is_archived()),
            is: self.run.is_archived(),
            at: self.run.archived_at.as_time(),
            recorded: self.recorded.map(|recorded| recorded.archived),
            announced: self.notifications.iter().any(announces),
        };
        self.turn(&milestone)
    }

    fn turn(&self, milestone: &Milestone<'_>) -> Turn {
        match (milestone.told, milestone.is) {
            (Some(told), true) if milestone.at.is_some_and(|at| told.is_before(at)) => Turn::DoneAgain,
            (Some(_), true) => Turn::None,
            (Some(_), false) => Turn::Undone,
            (None, true) if self.is_new(milestone) => Turn::Done,
            (None, false) if milestone.was == Some(true) => Turn::Undone,
            (None, _) => Turn::None,
        }
    }

    /// Whether a completion or an archiving that was not told is one to be told.
    fn is_new(&self, milestone: &Milestone<'_>) -> bool {
        let is_since_watched = || {
            let Some(since) = self.watched_since else { return true };
            let at = milestone.at.or_else(|| self.run.created_at.as_time());
            at.and_then(ApiTime::timestamp)
                .is_some_and(|at| at.duration_since(since) >= -ROUNDED)
        };
        milestone.announced
            || match (milestone.was, milestone.recorded) {
                (Some(was), _) => !was,
                (None, Some(false)) => true,
                (None, _) => is_since_watched(),
            }
    }
}

/// The changes that tell of a run that was taken back.
fn turned_back(changes: &mut Vec<Change>, completion: Turn, archiving: Turn) -> Vec<Change> {
    let mut back = Vec::new();
    if completion.is_undone() {
        take(changes, |change| is_date(change, "completed_at"));
        back.extend(take(changes, |change| matches!(change, Change::Reopened)).or(Some(Change::Reopened)));
    }
    if archiving.is_undone() {
        take(changes, |change| is_date(change, "archived_at"));
        back.extend(take(changes, |change| matches!(change, Change::Reactivated)).or(Some(Change::Reactivated)));
    }
    back
}

fn told_time(told: Option<&ApiTime>, turn: Turn, at: ApiTime) -> Option<ApiTime> {
    match turn {
        Turn::None => told.cloned(),
        Turn::Done | Turn::DoneAgain => Some(at),
        Turn::Undone => None,
    }
}

fn take(changes: &mut Vec<Change>, is: impl Fn(&Change) -> bool) -> Option<Change> {
    let place = changes.iter().position(is)?;
    Some(changes.remove(place))
}

fn is_completed(change: &Change) -> bool {
    matches!(change, Change::Completed { .. })
}

fn is_archived(change: &Change) -> bool {
    matches!(change, Change::Archived { .. })
}

fn is_date(change: &Change, name: &str) -> bool {
    matches!(change, Change::Date { field, .. } if field == name)
}

/// Whether a notification is of an event of the run by this name, such as `process.completed`.
fn is_named(notification: &PendingNotification, what: &str) -> bool {
    let event = notification.head.event.as_deref();
    event
        .and_then(|event| event.split_once('.'))
        .is_some_and(|(of, name)| matches!(of, "process" | "run") && name == what)
}

/// Whether what a webhook says of a run was changed to that just then: a webhook of a run that has long been complete
/// says so too.
fn is_of_this_change(at: Option<&ApiTime>, updated: Option<&ApiTime>) -> bool {
    let Some(at) = at else { return false };
    match (at.timestamp(), updated.and_then(ApiTime::timestamp)) {
        (Some(at), Some(updated)) => updated.duration_since(at) <= SAME_CHANGE,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tallyfy_runs::changes;

    const WATCHED: &str = "2026-01-31T08:00:00Z";
    const OLD: &str =
        r#""status":"complete","completed_at":"2024-01-31T09:00:00Z","last_updated":"2024-01-31T09:00:00Z""#;
    const ACTIVE: &str = r#""status":"active","last_updated":"2026-01-31T09:00:00Z""#;
    const COMPLETE: &str =
        r#""status":"complete","completed_at":"2026-01-31T10:00:00Z","last_updated":"2026-01-31T10:00:00Z""#;
    const AGAIN: &str =
        r#""status":"complete","completed_at":"2026-01-31T12:00:00Z","last_updated":"2026-01-31T12:00:00Z""#;
    const ARCHIVED: &str =
        r#""status":"complete","completed_at":"2026-01-31T10:00:00Z","archived_at":"2026-01-31T11:00:00Z""#;

    fn run(members: &str) -> Run {
        Run::from_json(&format!(r#"{{"id":"r1",{members}}}"#)).unwrap()
    }

    /// A run that is followed from fetch to fetch.
    #[derive(Default)]
    struct Followed {
        told: Told,
        before: Option<Run>,
        recorded: Option<Recorded>,
    }

    impl Followed {
        fn recorded(complete: bool) -> Self {
            Self {
                recorded: Some(Recorded {
                    complete,
                    archived: false,
                }),
                ..Self::default()
            }
        }

        /// Each event, with the kinds of its changes.
        fn fetch(&mut self, members: &str, webhooks: &[&str]) -> String {
            let run = run(members);
            let changes = self
                .before
                .as_ref()
                .map_or_else(Vec::new, |before| changes(before, &run));
            let notifications: Vec<_> = webhooks.iter().map(|body| pending(body)).collect();
            let milestones = Milestones {
                told: &self.told,
                standing: Standing::Present,
                before: self.before.as_ref(),
                run: &run,
                notifications: &notifications,
                recorded: self.recorded,
                watched_since: WATCHED.parse().ok(),
            };
            let (events, told) = milestones.tell(changes);
            self.told = told;
            self.before = Some(run);
            let word = |(event_type, changes): &(EventType, Vec<Change>)| {
                let kinds = changes
                    .iter()
                    .map(|change| serde_json::to_value(change).unwrap()["kind"].to_string());
                format!(
                    "{} [{}]",
                    event_type.word(),
                    kinds.collect::<Vec<_>>().join(" ").replace('"', "")
                )
            };
            events.iter().map(word).collect::<Vec<_>>().join(", ")
        }
    }

    fn pending(body: &str) -> PendingNotification {
        let webhook = tallyfy_model::Webhook::parse(body.as_bytes()).unwrap();
        PendingNotification {
            id: uuid::Uuid::nil(),
            head: runs_store::NotificationHead {
                kind: webhook.kind.as_str().to_owned(),
                event: webhook.event,
                run: webhook.run,
                task: webhook.task,
                announced: webhook.announced,
            },
            received_at: Timestamp::UNIX_EPOCH,
            duplicates: 0,
            body_len: 0,
            body: None,
        }
    }

    fn process(members: &str) -> String {
        format!(r#"{{"id":"r1",{members}}}"#)
    }

    #[test]
    fn the_first_sight_of_a_completed_run_is_seen_and_completed() {
        let mut followed = Followed::default();
        assert_eq!(followed.fetch(COMPLETE, &[]), "seen [], completed [completed]");
        assert_eq!(followed.fetch(COMPLETE, &[]), "");
        let mut followed = Followed::default();
        assert_eq!(
            followed.fetch(ARCHIVED, &[]),
            "seen [], completed [completed], archived [archived]"
        );
    }

    #[test]
    fn what_was_complete_before_is_completed_only_if_a_webhook_announces_it() {
        let mut followed = Followed::default();
        assert_eq!(followed.fetch(OLD, &[]), "seen []");
        let comment = r#"{"event":"task.comment_added","process":{"id":"r1"}}"#;
        assert_eq!(followed.fetch(OLD, &[comment]), "");
        assert_eq!(followed.fetch(OLD, &[&process(OLD)]), "completed [completed]");
        assert_eq!(followed.fetch(OLD, &[&process(OLD)]), "");
        let said = r#"{"event":"process.completed","process":{"id":"r1"}}"#;
        assert_eq!(
            Followed::default().fetch(OLD, &[said]),
            "seen [], completed [completed]"
        );
        let later = OLD.replace(r#"updated":"2024"#, r#"updated":"2026"#);
        assert_eq!(
            Followed::default().fetch(OLD, &[&process(&later)]),
            "seen []",
            "it says so all its life"
        );
    }

    #[test]
    fn what_a_sweep_recorded_counts_as_known() {
        assert_eq!(
            Followed::recorded(false).fetch(OLD, &[]),
            "seen [], completed [completed]"
        );
        assert_eq!(Followed::recorded(true).fetch(OLD, &[]), "seen []");
        assert_eq!(Followed::recorded(false).fetch(ACTIVE, &[]), "seen []");
    }

    #[test]
    fn a_completion_carries_what_led_up_to_it() {
        let mut followed = Followed::default();
        followed.fetch(ACTIVE, &[]);
        let named = format!(r#"{COMPLETE},"name":"other""#);
        assert_eq!(followed.fetch(&named, &[]), "completed [status completed name]");
        let mut followed = Followed::default();
        followed.fetch(ACTIVE, &[]);
        assert_eq!(
            followed.fetch(&format!(r#"{ARCHIVED},"name":"other""#), &[]),
            "completed [status completed name], archived [archived]"
        );
    }

    #[test]
    fn each_completion_and_each_reopening_is_told_once() {
        let mut followed = Followed::default();
        let story = [
            (ACTIVE, "seen []"),
            (COMPLETE, "completed [status completed]"),
            (ACTIVE, "reactivated [status reopened]"),
            (AGAIN, "completed [status completed]"),
        ];
        for (members, expected) in story {
            assert_eq!(followed.fetch(members, &[]), expected);
        }
        let mut followed = Followed::default();
        followed.fetch(COMPLETE, &[]);
        assert_eq!(
            followed.fetch(AGAIN, &[]),
            "reactivated [reopened], completed [completed]"
        );
        assert_eq!(followed.fetch(AGAIN, &[]), "");
    }

    #[test]
    fn a_run_is_archived_and_taken_back_while_complete() {
        let mut followed = Followed::default();
        followed.fetch(COMPLETE, &[]);
        assert_eq!(followed.fetch(ARCHIVED, &[]), "archived [archived]");
        assert_eq!(followed.fetch(COMPLETE, &[]), "reactivated [reactivated]");
        assert_eq!(followed.fetch(ARCHIVED, &[]), "archived [archived]");
    }
}
