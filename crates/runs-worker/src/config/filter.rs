//! The filter of a handler, as words of the file.

use std::str::FromStr;

use serde::Deserialize;

use super::{Problem, text};
use crate::filter::{self, EventFilter, unknown_word};

/// `[handlers.filter]`: which events a handler gets. An empty list lets everything through.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct FilterTable {
    /// Ids of organizations.
    #[serde(deserialize_with = "text::texts")]
    pub organizations: Vec<String>,
    /// Ids of templates.
    #[serde(deserialize_with = "text::texts")]
    pub templates: Vec<String>,
    /// Event types, in a word or whole.
    #[serde(deserialize_with = "text::texts")]
    pub events: Vec<String>,
    /// Kinds of changes, such as `status`, `task.completed` or `answer:FIELD_ID`.
    #[serde(deserialize_with = "text::texts")]
    pub changes: Vec<String>,
    /// How runs stand.
    #[serde(deserialize_with = "text::texts")]
    pub statuses: Vec<String>,
    /// Whether a duplicate notification without any change makes an event.
    pub every_notification: bool,
}

impl FilterTable {
    /// The filter, and what is wrong with its words; what is wrong is left out of it.
    pub(crate) fn filter(&self, place: &str, organizations: &[&str]) -> (EventFilter, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut read = Words {
            place,
            problems: &mut problems,
        };
        let filter = EventFilter {
            organizations: read.all("organizations", &self.organizations, |word| {
                if organizations.contains(&word) {
                    Ok(word.into())
                } else {
                    Err(unknown_word("organization", word, organizations))
                }
            }),
            templates: read.all("templates", &self.templates, |word| Ok(word.into())),
            events: read.all("events", &self.events, FromStr::from_str),
            changes: read.all("changes", &self.changes, FromStr::from_str),
            statuses: read.all("statuses", &self.statuses, filter::status),
            every_notification: self.every_notification,
        };
        (filter, problems)
    }
}

struct Words<'a> {
    place: &'a str,
    problems: &'a mut Vec<Problem>,
}

impl Words<'_> {
    fn all<T>(&mut self, key: &str, words: &[String], read: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let mut values = Vec::new();
        for (position, word) in words.iter().enumerate() {
            match read(word) {
                Ok(value) => values.push(value),
                Err(message) => {
                    let place = format!("{}.{key}[{position}]", self.place);
                    self.problems.push(Problem::new(place, message));
                }
            }
        }
        values
    }
}
