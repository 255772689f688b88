//! Which events a handler gets.
//!
//! A filter decides when an event is put in line, not when it is delivered: changing it changes what comes next, and
//! leaves what waits.

use std::fmt;
use std::str::FromStr;

use runs_store::{HandlerName, Recipients};
use tallyfy_model::{ChecklistId, OrgId, Run, RunStatus};
use tallyfy_runs::Change;

use crate::event::EventType;

/// Which events a handler gets: those that every list lets through. A list with nothing in it lets everything through.
///
/// What is not known keeps nothing back. The first event of a run passes the list of changes, because what changed
/// before it is not known; an event without a run passes those of templates and statuses, unless the run was seen before.
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
    /// Whether the handler gets the event.
    pub(crate) fn lets_pass(&self, facts: &Facts<'_>) -> bool {
        (self.every_notification || !facts.duplicate)
            && self.lets_run_pass(facts.org, facts.event_type, facts.run)
            && (facts.event_type == EventType::Seen
                || among(&self.changes, |kind| facts.changes.iter().any(|change| kind.is(change))))
    }

    /// Whether the handler would get an event that was stored before, as far as the event shows it.
    pub(crate) fn lets_stored_pass(&self, facts: &StoredFacts<'_>) -> bool {
        let duplicate = facts.event_type == EventType::Notified && !facts.notified;
        let is_one = |kind: &ChangeKind| facts.changes.iter().any(|(name, about)| kind.is_called(name, *about));
        (self.every_notification || !duplicate)
            && self.lets_run_pass(facts.org, facts.event_type, facts.run)
            && (facts.event_type == EventType::Seen || among(&self.changes, is_one))
    }

    fn lets_run_pass(&self, org: &OrgId, event_type: EventType, run: Option<&Run>) -> bool {
        let template = run.and_then(|run| run.checklist_id.get());
        let status = run.and_then(|run| run.status.get());
        among(&self.organizations, |wanted| wanted == org)
            && among(&self.templates, |id| template.is_none_or(|template| template == id))
            && among(&self.events, |wanted| *wanted == event_type)
            && among(&self.statuses, |wanted| {
                status.is_none_or(|status| is_same(status, wanted))
            })
    }
}

/// Whether a list has it; a list with nothing in it has everything.
fn among<T>(list: &[T], is: impl FnMut(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(is)
}

/// `None` if no handler gets the event.
pub(crate) fn recipients(handlers: &[(HandlerName, EventFilter)], facts: &Facts<'_>) -> Recipients {
    let wants = |(name, filter): &(HandlerName, EventFilter)| filter.lets_pass(facts).then(|| name.clone());
    Recipients::Only(handlers.iter().filter_map(wants).collect())
}

fn is_same(status: &RunStatus, wanted: &RunStatus) -> bool {
    status == wanted || (status.is_complete() && wanted.is_complete())
}

/// A kind of change: the `kind` that it has in an event, perhaps with what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeKind {
    kind: &'static str,
    /// For an answer the form field, for a date its name, for anything else that changed the beginning of its place.
    about: Option<String>,
}

/// The kinds of changes, as events name them.
const KINDS: [&str; 20] = [
    "status",
    "progress",
    "name",
    "owner",
    "owner.added",
    "owner.removed",
    "completed",
    "reopened",
    "archived",
    "reactivated",
    "date",
    "task.added",
    "task.removed",
    "task.completed",
    "task.reopened",
    "task.changed",
    "answer",
    "tag.added",
    "tag.removed",
    "other",
];

/// The kinds that may say what they are about, after a colon.
const WITH_ABOUT: [&str; 3] = ["answer", "date", "other"];

impl ChangeKind {
    fn is(&self, change: &Change) -> bool {
        let (kind, about) = match change {
            Change::Status { .. } => ("status", None),
            Change::Progress { .. } => ("progress", None),
            Change::Name { .. } => ("name", None),
            Change::Owner { .. } => ("owner", None),
            Change::OwnerAdded { .. } => ("owner.added", None),
            Change::OwnerRemoved { .. } => ("owner.removed", None),
            Change::Completed { .. } => ("completed", None),
            Change::Reopened => ("reopened", None),
            Change::Archived { .. } => ("archived", None),
            Change::Reactivated => ("reactivated", None),
            Change::Date { field, .. } => ("date", Some(field)),
            Change::TaskAdded { .. } => ("task.added", None),
            Change::TaskRemoved { .. } => ("task.removed", None),
            Change::TaskCompleted { .. } => ("task.completed", None),
            Change::TaskReopened { .. } => ("task.reopened", None),
            Change::TaskChanged { .. } => ("task.changed", None),
            Change::Answer { field, .. } => ("answer", Some(field)),
            Change::TagAdded { .. } => ("tag.added", None),
            Change::TagRemoved { .. } => ("tag.removed", None),
            Change::Other(field) => ("other", Some(&field.pointer)),
            // A kind that was added to the list of changes and not to this one.
            _ => return false,
        };
        self.is_called(kind, about.map(String::as_str))
    }

    /// Whether a change of this kind, about this, is one.
    fn is_called(&self, kind: &str, about: Option<&str>) -> bool {
        let is_about = |wanted: &String| {
            about.is_some_and(|about| match kind {
                "other" => is_within(about, wanted),
                _ => about == wanted,
            })
        };
        self.kind == kind && self.about.as_ref().is_none_or(is_about)
    }
}

/// Whether a place is another one, or in it.
fn is_within(pointer: &str, outer: &str) -> bool {
    pointer
        .strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl FromStr for ChangeKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, about) = match text.split_once(':') {
            Some((word, about)) => (word, Some(about.to_owned())),
            None => (text, None),
        };
        let Some(kind) = KINDS.into_iter().find(|kind| *kind == word) else {
            return Err(unknown_word("kind of change", word, &KINDS));
        };
        match about {
            Some(about) if about.is_empty() => Err(format!("`{kind}:` is followed by nothing")),
            Some(_) if !WITH_ABOUT.contains(&kind) => Err(format!(
                "`{kind}` is not followed by a colon; {} may be, as in `answer:FIELD_ID`",
                WITH_ABOUT.map(|kind| format!("`{kind}`")).join(", ")
            )),
            Some(about) if kind == "other" && !about.starts_with('/') => {
                Err(format!("`{about}` is no JSON Pointer: it begins with a slash"))
            }
            about => Ok(Self { kind, about }),
        }
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.kind)?;
        match &self.about {
            Some(about) => write!(formatter, ":{about}"),
            None => Ok(()),
        }
    }
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

/// Says that a word is none of those that there are, and which of them it is like.
pub(crate) fn unknown_word(what: &str, word: &str, known: &[&str]) -> String {
    // In a short word, two letters that changed places leave little that is alike.
    let slip = known.iter().find(|known| strsim::osa_distance(word, known) == 1);
    let alike = || {
        let likeness = known.iter().map(|known| (strsim::jaro_winkler(word, known), known));
        let closest = likeness.max_by(|(a, _), (b, _)| a.total_cmp(b));
        closest.filter(|(likeness, _)| *likeness > 0.7).map(|(_, known)| known)
    };
    match slip.or_else(alike) {
        Some(closest) => format!("there is no {what} `{word}`; did you mean `{closest}`?"),
        None => {
            let known: Vec<String> = known.iter().map(|known| format!("`{known}`")).collect();
            format!("there is no {what} `{word}`; expected {}", known.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use tallyfy_runs::changes;

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
        filter.lets_pass(&facts)
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
            filter.lets_pass(&Facts {
                org,
                event_type,
                run,
                changes: &[],
                duplicate: false,
            })
        };
        assert!(passes(EventType::Seen, Some(&unknown)));
        assert!(passes(EventType::Seen, None));
        assert!(!passes(EventType::Seen, Some(&known)));
        assert!(!passes(EventType::Changed, Some(&unknown)));
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
