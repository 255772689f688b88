//! Runs, in lists.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use tallyfy_model::{OrgId, RunId};

use crate::desks::{HandlerName, Lane, Standing};

/// What a person calls a run by; each part as the API sent it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunLabel {
    /// The run's name.
    pub name: Option<String>,
    /// The id of its template.
    pub template: Option<String>,
    /// The name of its template.
    pub template_name: Option<String>,
    /// Its status.
    pub status: Option<String>,
}

/// Which runs are meant. What is `None` does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunsQuery {
    /// This one.
    pub run: Option<RunId>,
    /// Of this organization.
    pub org: Option<OrgId>,
    /// Of the template with this id, or with this in its name, in any case of ASCII letters.
    pub template: Option<String>,
    /// With this in the name or the id, in any case of ASCII letters.
    pub name: Option<String>,
    /// Of this kind.
    pub only: Option<RunsOnly>,
}

/// A kind of runs of which there are few, usually.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunsOnly {
    /// Waiting for a fetch, or being fetched.
    Due,
    /// Whose last fetch failed, or that were given up or may not be seen.
    Failing,
    /// With an event that a handler has failed to take and is to get again, or that was given up for it.
    Blocked,
}

/// Where a list goes on; made by the store, and read by it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunPlace {
    pub(crate) at: i64,
    pub(crate) key: i64,
}

impl fmt::Display for RunPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.at, self.key)
    }
}

/// The text is not one that a place was written as.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not a place in a list")]
pub struct NoPlace;

impl FromStr for RunPlace {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let (at, key) = text.split_once('.').ok_or(NoPlace)?;
        let number = |text: &str| text.parse().map_err(|_| NoPlace);
        Ok(Self {
            at: number(at)?,
            key: number(key)?,
        })
    }
}

/// Some runs, and where the list goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunsPage {
    /// The runs.
    pub runs: Vec<RunSummary>,
    /// What the next page comes after; `None` at the end.
    pub next: Option<RunPlace>,
}

/// How a run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSummary {
    /// Its organization.
    pub org: OrgId,
    /// The run.
    pub run: RunId,
    /// What it is called.
    pub label: RunLabel,
    /// What the API last said of it.
    pub standing: Standing,
    /// When a fetch of it was committed last; `None` if none was.
    pub fetched_at: Option<Timestamp>,
    /// When it is to be fetched; `None` if nothing asks for it.
    pub due_at: Option<Timestamp>,
    /// Whether it is being fetched now.
    pub is_out: bool,
    /// In which lane it waits.
    pub lane: Lane,
    /// How many fetches failed in a row.
    pub failures: u32,
    /// Why it was last given back.
    pub reason: Option<String>,
    /// How many events it has had.
    pub events: u64,
    /// The handlers that failed to take an event of it, and get it again.
    pub failing_for: Vec<HandlerName>,
    /// The handlers for which an event of it was given up.
    pub given_up_for: Vec<HandlerName>,
}
