//! Kinds of changes, as filters name them.

use std::fmt;
use std::str::FromStr;

use tallyfy_runs::Change;

use crate::shared::unknown_word::unknown_word;

/// A kind of change: the `kind` that it has in an event, perhaps with what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeKind {
    kind: &'static str,
    /// For an answer the form field, for a date its name, for anything else that changed the beginning of its place.
    about: Option<String>,
}

/// The kinds of changes, as events name them.
pub(super) const KINDS: [&str; 20] = [
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
    pub(super) fn is(&self, change: &Change) -> bool {
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
    pub(super) fn is_called(&self, kind: &str, about: Option<&str>) -> bool {
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
