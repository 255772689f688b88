//! What the worker tells of itself and of a run, in words: one model for the pages, the commands and programs.
//!
//! Nothing here does I/O but ask the store, and all of it is text that is shown as text.

mod changes;
mod report;
mod runs;
mod sentences;
mod status;
mod timeline;
mod way;
mod words;

use serde::Serialize;

pub(crate) use changes::in_words as changes_in_words;
pub(crate) use report::{Budget, HandlerReport, OrgReport, WorkerReport};
pub(crate) use runs::stands;
pub(crate) use sentences::{Sentence, unknown_run};
pub(crate) use status::{AWAY, REFUSED, Status, WEBHOOKS_OF, WorkerView, status};
pub(crate) use timeline::{Item, Kind, Timeline, timeline};
pub(crate) use way::{Step, Way};
pub(crate) use words::{ago, clock_time, day, number, plural, short_type, until};

/// How something stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// Neither good nor bad.
    #[default]
    Quiet,
    /// Somebody should look at it.
    Warn,
    /// It is broken.
    Bad,
}

impl Tone {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Quiet => "quiet",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}
