//! The journal: what people did, and what the worker noticed of itself.

use jiff::Timestamp;
use tallyfy_model::{OrgId, RunId};

use crate::desks::HandlerName;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// When.
    pub at: Timestamp,
    /// Who: a worker, or a person as far as is known.
    pub who: String,
    /// What kind of thing it was, in a word of the worker's.
    pub kind: String,
    /// The organization that it was about.
    pub org: Option<OrgId>,
    /// The run that it was about.
    pub run: Option<RunId>,
    /// The handler that it was about.
    pub handler: Option<HandlerName>,
    /// What happened, in one line; holds no secret.
    pub text: String,
}

impl JournalEntry {
    /// An entry about nothing in particular.
    pub fn new(at: Timestamp, who: impl Into<String>, kind: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            at,
            who: who.into(),
            kind: kind.into(),
            org: None,
            run: None,
            handler: None,
            text: text.into(),
        }
    }
}

/// An entry of the journal, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// Its place; newer ones have larger numbers.
    pub place: i64,
    /// The entry.
    pub entry: JournalEntry,
}

/// Which entries are meant. What is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalQuery {
    /// Of this kind.
    pub kind: Option<String>,
    /// About this organization.
    pub org: Option<OrgId>,
    /// About this handler.
    pub handler: Option<HandlerName>,
}
