//! Which events a handler gets.
//!
//! A filter decides when an event is put in line, not when it is delivered: changing it changes what comes next, and
//! leaves what waits.
//!
//! That leaves the store with nothing to know of filters. The event is kept even if no handler gets it, so that it can be
//! looked at, and handed out again.

mod change_kind;

use runs_store::{HandlerName, Recipients, Verdict};
use tallyfy_model::{ChecklistId, OrgId, Run, RunStatus};
use tallyfy_runs::Change;

pub use self::change_kind::ChangeKind;
use crate::event::EventType;
use crate::shared::unknown_word::unknown_word;

/// Which events a handler gets: those that every list lets through. A list with nothing in it lets everything through.
///
/// What is not known keeps nothing back. The first event of a run passes the list of changes, because what changed
/// before it is not known, and so does one of a run whose last state is gone; an event without a run passes those of templates and statuses, unless the run was seen before.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct EventFilter {
    /// The organizations of the runs.
    pub organizations: Vec<OrgId>,
    /// The templates of the runs.
    pub templates: Vec<ChecklistId>,
    /// The types of events.
    pub events: Vec<EventType>,
    /// Changes, of which an event has one at least.
    pub changes: Vec<ChangeKind>,
    /// How the runs stand; both spellings of "complete" are one.
    pub statuses: Vec<RunStatus>,
    /// Whether a duplicate notification that leads to no change makes an event all the same.
    pub every_notification: bool,
}

/// What an event is about, as far as filters ask.
pub(crate) struct Facts<'a> {
    pub(crate) org: &'a OrgId,
    pub(crate) event_type: EventType,
    /// The run, as it is or as it was last seen.
    pub(crate) run: Option<&'a Run>,
    pub(crate) changes: &'a [Change],
    /// Whether nothing but a duplicate notification asked for it.
    pub(crate) duplicate: bool,
}

/// The same of an event that was stored, whose changes are known by their names.
pub(crate) struct StoredFacts<'a> {
    pub(crate) org: &'a OrgId,
    pub(crate) event_type: EventType,
    /// The run, as it was fetched for the event.
    pub(crate) run: Option<&'a Run>,
    /// The kind of each change, and what it is about.
    pub(crate) changes: &'a [(&'a str, Option<&'a str>)],
    /// Whether a notification led to it.
    pub(crate) notified: bool,
}

impl EventFilter {
    /// The first key that keeps an event back; `None` if the handler gets it.
    pub(crate) fn kept_back_by(&self, facts: &Facts<'_>) -> Option<&'static str> {
        let head = (facts.org, facts.event_type, facts.run);
        self.first_refusal(head, facts.duplicate, facts.changes.is_empty(), |kind| {
            facts.changes.iter().any(|change| kind.is(change))
        })
    }

    /// The same for an event that was stored before, as far as the event shows it.
    pub(crate) fn stored_kept_back_by(&self, facts: &StoredFacts<'_>) -> Option<&'static str> {
        let duplicate = facts.event_type == EventType::Notified && !facts.notified;
        let head = (facts.org, facts.event_type, facts.run);
        self.first_refusal(head, duplicate, facts.changes.is_empty(), |kind| {
            facts.changes.iter().any(|(name, about)| kind.is_called(name, *about))
        })
    }

    fn first_refusal(
        &self,
        (org, event_type, run): (&OrgId, EventType, Option<&Run>),
        duplicate: bool,
        has_no_changes: bool,
        has: impl Fn(&ChangeKind) -> bool,
    ) -> Option<&'static str> {
        let template = run.and_then(|run| run.checklist_id.get());
        let is_template = |id: &ChecklistId| template.is_none_or(|template| template == id);
        let stands = |wanted: &RunStatus| run.is_none_or(|run| stands(run, wanted));
        let keys = [
            ("every_notification", self.every_notification || !duplicate),
            ("organizations", among(&self.organizations, |wanted| wanted == org)),
            ("templates", among(&self.templates, is_template)),
            ("events", among(&self.events, |wanted| *wanted == event_type)),
            ("statuses", among(&self.statuses, stands)),
            (
                "changes",
                is_of_unknown_changes(event_type, has_no_changes) || among(&self.changes, has),
            ),
        ];
        keys.into_iter().find(|(_, passes)| !passes).map(|(key, _)| key)
    }
}

/// Whether it is not known what changed: the run was not seen before, or its last state is gone.
fn is_of_unknown_changes(event_type: EventType, has_none: bool) -> bool {
    event_type == EventType::Seen || (event_type == EventType::Changed && has_none)
}

/// Whether a list has it; a list with nothing in it has everything.
fn among<T>(list: &[T], is: impl FnMut(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(is)
}

/// Which handlers get an event, and what keeps it back from the others.
pub(crate) fn recipients(handlers: &[(HandlerName, EventFilter)], facts: &Facts<'_>) -> Recipients {
    let verdict = |(name, filter): &(HandlerName, EventFilter)| Verdict {
        handler: name.clone(),
        kept_back_by: filter.kept_back_by(facts).map(str::to_owned),
    };
    Recipients::ByFilter(handlers.iter().map(verdict).collect())
}

/// Whether a run stands so, by the facts that make the types of events: its times of completion and archiving go before
/// its status.
fn stands(run: &Run, wanted: &RunStatus) -> bool {
    let is_open = !run.is_complete() && !run.is_archived();
    match run.status.get() {
        None if is_open => true,
        _ if wanted.is_archived() => run.is_archived(),
        _ if wanted.is_complete() => run.is_complete(),
        None => false,
        Some(status) => is_open && (status == wanted || (is_active(status) && is_active(wanted))),
    }
}

fn is_active(status: &RunStatus) -> bool {
    matches!(status, RunStatus::Active | RunStatus::InProgress)
}

/// Reads how a run stands. The vendor may add words, so one that is not known can be given as `other:WORD`.
pub(crate) fn status(word: &str) -> Result<RunStatus, String> {
    const KNOWN: [&str; 9] = [
        "active",
        "in-progress",
        "complete",
        "completed",
        "problem",
        "issue",
        "delayed",
        "archived",
        "draft",
    ];
    match word.split_once(':') {
        Some(("other", other)) if !other.is_empty() => Ok(RunStatus::from(other)),
        _ => match RunStatus::from(word) {
            RunStatus::Other(word) => Err(format!(
                "{} (a new one is written as `other:{word}`)",
                unknown_word("status", &word, &KNOWN)
            )),
            known => Ok(known),
        },
    }
}

#[cfg(test)]
mod tests {
    use tallyfy_runs::changes;

    use super::change_kind::KINDS;
    use super::*;

    const BEFORE: &str = r#"{"id":"r1","checklist_id":"c1","status":"active","due_date":"2026-01-31","prerun":{"f1":"a"},
        "tasks":[{"id":"t1","status":"active"}],"custom_fields":{"budget":{"sum":1}}}"#;

    fn run(json: &str) -> Run {
        Run::from_json(json).unwrap()
    }

    fn kinds(words: &[&str]) -> Vec<ChangeKind> {
        words.iter().map(|word| word.parse().unwrap()).collect()
    }

    /// Whether a filter lets an event of this type pass, in which `from` became `to`.
    fn passes(filter: &EventFilter, event_type: EventType, from: &str, to: &str) -> bool {
        let after = run(&BEFORE.replace(from, to));
        let facts = Facts {
            org: &"acme".into(),
            event_type,
            run: Some(&after),
            changes: &changes(&run(BEFORE), &after),
            duplicate: false,
        };
        filter.kept_back_by(&facts).is_none()
    }

    #[test]
    fn a_filter_without_words_lets_everything_pass() {
        for event_type in EventType::ALL {
            assert!(passes(&EventFilter::default(), event_type, "active", "active"));
        }
    }

    #[test]
    fn a_kind_of_change_is_looked_for_among_all_changes() {
        let completed = (r#""t1","status":"active""#, r#""t1","status":"completed""#);
        let answered = (r#""f1":"a""#, r#""f1":"b""#);
        let dated = ("2026-01-31", "2026-02-28");
        let other = (r#""sum":1"#, r#""sum":2"#);
        for (word, (from, to), expected) in [
            ("task.completed", completed, true),
            ("task.reopened", completed, false),
            ("status", completed, false),
            ("answer", answered, true),
            ("answer:f1", answered, true),
            ("answer:f2", answered, false),
            ("date", dated, true),
            ("date:due_date", dated, true),
            ("date:started_at", dated, false),
            ("other", other, true),
            ("other:/custom_fields", other, true),
            ("other:/custom_fields/budget/sum", other, true),
            ("other:/custom", other, false),
            ("other:/custom_fields/budget/sum/x", other, false),
        ] {
            let filter = EventFilter {
                changes: kinds(&[word]),
                ..EventFilter::default()
            };
            assert_eq!(passes(&filter, EventType::Changed, from, to), expected, "{word}");
        }
        let several = EventFilter {
            changes: kinds(&["status", "answer:f1"]),
            ..EventFilter::default()
        };
        assert!(passes(&several, EventType::Changed, answered.0, answered.1));
    }

    #[test]
    fn what_is_not_known_keeps_nothing_back() {
        let filter = EventFilter {
            templates: vec!["c9".into()],
            statuses: vec![RunStatus::Complete],
            changes: kinds(&["status"]),
            ..EventFilter::default()
        };
        let (unknown, known) = (run(r#"{"id":"r1"}"#), run(BEFORE));
        let passes = |event_type, run| {
            let org = &OrgId::from("acme");
            let facts = Facts {
                org,
                event_type,
                run,
                changes: &[],
                duplicate: false,
            };
            filter.kept_back_by(&facts).is_none()
        };
        assert!(passes(EventType::Seen, Some(&unknown)));
        assert!(passes(EventType::Seen, None));
        assert!(!passes(EventType::Seen, Some(&known)));
        assert!(passes(EventType::Changed, Some(&unknown)), "its last state is gone");
        assert!(!passes(EventType::Notified, Some(&unknown)));
    }

    #[test]
    fn each_list_must_let_it_pass() {
        let all = EventFilter {
            organizations: vec!["acme".into()],
            templates: vec!["c1".into(), "c2".into()],
            events: vec![EventType::Changed],
            statuses: vec![RunStatus::Completed],
            ..EventFilter::default()
        };
        let complete = |filter: &EventFilter| {
            passes(
                filter,
                EventType::Changed,
                r#""c1","status":"active""#,
                r#""c1","status":"complete""#,
            )
        };
        assert!(complete(&all));
        assert!(!complete(&EventFilter {
            organizations: vec!["other".into()],
            ..all.clone()
        }));
        assert!(!complete(&EventFilter {
            templates: vec!["c2".into()],
            ..all.clone()
        }));
        assert!(!complete(&EventFilter {
            events: vec![EventType::Completed],
            ..all.clone()
        }));
        assert!(!complete(&EventFilter {
            statuses: vec![RunStatus::Active],
            ..all
        }));
    }

    #[test]
    fn every_kind_of_change_has_a_word() {
        for kind in KINDS {
            assert_eq!(kind.parse::<ChangeKind>().unwrap().to_string(), kind);
        }
        assert_eq!("answer:f1".parse::<ChangeKind>().unwrap().to_string(), "answer:f1");
    }

    #[test]
    fn a_wrong_word_is_told_with_the_nearest_right_one() {
        let refused = |word: &str| word.parse::<ChangeKind>().unwrap_err();
        let messages = [
            refused("task.complete"),
            refused("anser:f1"),
            refused("status:active"),
            refused("answer:"),
            refused("other:custom_fields"),
            refused("zzz"),
            status("complet").unwrap_err(),
            "complete".parse::<EventType>().unwrap_err(),
            "com.tallyfy.run.changd.v1".parse::<EventType>().unwrap_err(),
        ];
        insta::assert_snapshot!("wrong_words", messages.join("\n"));
        assert_eq!(status("other:quantum"), Ok(RunStatus::Other("quantum".to_owned())));
        assert_eq!("com.tallyfy.run.gone.v1".parse(), Ok(EventType::Gone));
    }
}
