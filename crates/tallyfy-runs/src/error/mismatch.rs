//! What is wrong with the body of an answer.

use tallyfy_model::{ChecklistId, RunId, TaskId};
use thiserror::Error;

/// What is wrong with an answer, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// There is no body.
    #[error("expected JSON, found an empty body")]
    Empty,
    /// It is a page for a browser.
    #[error("expected JSON, found an HTML page")]
    Html,
    /// It is no text.
    #[error("expected JSON, found bytes that are not UTF-8 at byte {at}")]
    NotText {
        /// Where, counted from 0.
        at: usize,
    },
    /// The JSON ends before it is complete.
    #[error("the JSON ends early, at byte {at}")]
    EndsEarly {
        /// How many bytes came.
        at: usize,
    },
    /// It is not JSON.
    #[error("expected JSON, found something else at line {line}, column {column}")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// It is JSON, but something else is expected in a place.
    #[error("expected {expected} at {}, found {found}", shown(.pointer))]
    Unexpected {
        /// The place, as a JSON Pointer.
        pointer: String,
        /// What belongs there.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// It is another run than the one that was asked for.
    #[error("expected run {asked}, found run {}", one_line(.found.as_str()))]
    AnotherRun {
        /// The one asked for.
        asked: RunId,
        /// The one that came.
        found: RunId,
    },
    /// It is another template than the one that was asked for.
    #[error("expected template {asked}, found template {}", one_line(.found.as_str()))]
    AnotherTemplate {
        /// The one asked for.
        asked: ChecklistId,
        /// The one that came.
        found: ChecklistId,
    },
    /// It is another task than the one that was asked for.
    #[error("expected task {asked}, found task {}", one_line(.found.as_str()))]
    AnotherTask {
        /// The one asked for.
        asked: TaskId,
        /// The one that came.
        found: TaskId,
    },
}

fn shown(pointer: &str) -> &str {
    if pointer.is_empty() { "the top" } else { pointer }
}

/// A text from outside that cannot flood or forge a log.
pub(super) fn one_line(text: &str) -> String {
    let longest = 64;
    let mut line: String = text.chars().take(longest).flat_map(char::escape_debug).collect();
    if text.chars().nth(longest).is_some() {
        line.push('…');
    }
    line
}
