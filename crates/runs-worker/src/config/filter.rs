//! The filter of a handler, as words of the file.

use std::str::FromStr;

use serde::Deserialize;

use super::problem::Problem;
use super::text;
use crate::filter::{self, EventFilter};
use crate::shared::unknown_word::unknown_word;

/// `[handlers.filter]`: which events a handler gets. An empty list lets everything through.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FilterTable {
    /// Ids of organizations.
    #[serde(deserialize_with = "text::texts")]
    organizations: Vec<String>,
    /// Ids of templates.
    #[serde(deserialize_with = "text::texts")]
    templates: Vec<String>,
    /// Event types, in a word or whole.
    #[serde(deserialize_with = "text::texts")]
    events: Vec<String>,
    /// Kinds of changes, such as `status`, `task.completed` or `answer:FIELD_ID`.
    #[serde(deserialize_with = "text::texts")]
    changes: Vec<String>,
    /// How runs stand.
    #[serde(deserialize_with = "text::texts")]
    statuses: Vec<String>,
    /// Whether a duplicate notification without any change makes an event.
    every_notification: bool,
}

impl FilterTable {
    /// The filter, and what is wrong with its words; what is wrong is left out of it.
    ///
    /// `organizations` are those that may be named, if they are known.
    pub(super) fn filter(&self, place: &str, organizations: Option<&[&str]>) -> (EventFilter, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut read = Words {
            place,
            problems: &mut problems,
        };
        let filter = EventFilter {
            organizations: read.all("organizations", &self.organizations, |word| match organizations {
                Some(known) if !known.contains(&word) => Err(unknown_word("organization", word, known)),
                _ => Ok(word.into()),
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
