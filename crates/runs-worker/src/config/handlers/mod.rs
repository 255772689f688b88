//! `[[handlers]]`: what each type of handler needs, and what is wrong with what it was given.

mod command;
mod file;
mod http;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use runs_store::HandlerName;
use secrecy::SecretString;
use serde::Deserialize;

use super::filter::FilterTable;
use super::nats::NatsTable;
use super::problem::Problem;
use super::told::Told;
use super::{DeliverConfig, text};
use crate::filter::EventFilter;
use crate::handler::{CommandLine, HttpTarget};
use crate::shared::unknown_word::unknown_word;

/// One of `[[handlers]]`. Which keys it takes depends on its type.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HandlerTable {
    /// What its deliveries are kept under; renaming a handler makes a new one.
    pub(super) name: String,
    /// What it does: `stdout`, `file`, `http`, `command` or `nats`.
    pub(super) r#type: String,
    /// Which events it gets.
    pub(super) filter: FilterTable,
    /// In the place of `deliver.timeout`.
    #[serde(deserialize_with = "text::optional_duration")]
    pub(super) timeout: Option<Duration>,
    /// In the place of `deliver.concurrency`.
    pub(super) concurrency: Option<NonZeroUsize>,
    /// In the place of `deliver.max_in_flight`.
    pub(super) max_in_flight: Option<usize>,
    /// In the place of `deliver.max_attempts`.
    pub(super) max_attempts: Option<u32>,
    /// In the place of `deliver.max_age`.
    #[serde(deserialize_with = "text::optional_duration")]
    pub(super) max_age: Option<Duration>,
    /// In the place of `deliver.retry_initial`.
    #[serde(deserialize_with = "text::optional_duration")]
    pub(super) retry_initial: Option<Duration>,
    /// In the place of `deliver.retry_max`.
    #[serde(deserialize_with = "text::optional_duration")]
    pub(super) retry_max: Option<Duration>,
    /// In the place of `events.max_notifications_bytes`: no more than that.
    pub(super) max_notifications_bytes: Option<usize>,
    /// `file`: where the lines go.
    pub(super) path: Option<PathBuf>,
    /// `http`: where events are posted to. May hold a secret.
    pub(super) url: Option<SecretString>,
    /// `http`: `structured` or `binary`.
    pub(super) mode: Option<String>,
    /// `http`: the keys that events are signed with.
    #[serde(deserialize_with = "text::secrets")]
    pub(super) signing_keys: Vec<SecretString>,
    /// `http`: a file with these keys, one a line.
    pub(super) signing_keys_file: Option<PathBuf>,
    /// `http`: further headers.
    pub(super) headers: BTreeMap<String, SecretString>,
    /// `http`: statuses that reject an event at once.
    pub(super) reject_on: Vec<u16>,
    /// `http`: how long an event is tried that was answered with 400, 413, 415 or 422.
    #[serde(deserialize_with = "text::optional_duration")]
    pub(super) reject_after: Option<Duration>,
    /// `http`: whether the URL may be one of plain http to another machine.
    pub(super) allow_plain: bool,
    /// `command`: the program and its arguments; no shell reads them.
    pub(super) command: Vec<String>,
    /// `command`: further environment variables.
    pub(super) env: BTreeMap<String, String>,
    /// `command`: the folder that it is run in.
    pub(super) working_dir: Option<PathBuf>,
    /// `nats`: the servers, and all else.
    pub(super) nats: NatsTable,
}

/// What the handler is called that gets the events where none is configured.
pub(crate) const STDOUT: &str = "stdout";

/// What a handler does, with everything that it needs.
#[derive(Clone)]
pub(crate) enum HandlerKind {
    Stdout,
    File(PathBuf),
    Http(Box<HttpTarget>),
    Command(CommandLine),
    #[cfg(feature = "nats")]
    Nats(Box<crate::handler::NatsTarget>),
}

/// A handler that everything is known of.
#[derive(Clone)]
#[non_exhaustive]
pub struct ConfiguredHandler {
    pub(crate) name: HandlerName,
    pub(crate) filter: EventFilter,
    pub(crate) deliver: DeliverConfig,
    /// How many bytes of webhook bodies it gets in an event, if fewer than others.
    pub(crate) max_notifications_bytes: Option<usize>,
    pub(crate) kind: HandlerKind,
}

impl ConfiguredHandler {
    /// What gets the events where no handler is configured.
    pub(crate) fn stdout(deliver: &DeliverConfig) -> Self {
        Self {
            name: HandlerName::new(STDOUT),
            filter: EventFilter::default(),
            deliver: deliver.clone(),
            max_notifications_bytes: None,
            kind: HandlerKind::Stdout,
        }
    }

    /// What its deliveries are kept under.
    pub fn name(&self) -> &HandlerName {
        &self.name
    }
}

impl fmt::Debug for ConfiguredHandler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What it does may hold secrets.
        formatter
            .debug_struct("ConfiguredHandler")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The handlers that are complete, and what is wrong with the others. `organizations` are those that filters may name, as
/// far as they are known.
pub(super) fn complete(
    tables: &[HandlerTable],
    general: &DeliverConfig,
    organizations: Option<&[&str]>,
) -> (Vec<ConfiguredHandler>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut handlers = Vec::new();
    for (position, table) in tables.iter().enumerate() {
        let place = format!("handlers[{position}]");
        let mut told = Told::new(&place);
        let kind = table.kind(&mut told);
        table.check_name(&tables[..position], &mut told);
        let mut of_this = told.problems;
        let (filter, of_filter) = table.filter.filter(&format!("{place}.filter"), organizations);
        of_this.extend(of_filter);
        match kind {
            Some(kind) if of_this.is_empty() => handlers.push(ConfiguredHandler {
                name: HandlerName::new(table.name.clone()),
                filter,
                deliver: table.deliver(general),
                max_notifications_bytes: table.max_notifications_bytes,
                kind,
            }),
            _ => problems.extend(of_this),
        }
    }
    (handlers, problems)
}

const TYPES: [&str; 5] = ["stdout", "file", "http", "command", "nats"];

impl HandlerTable {
    /// How it is called.
    fn deliver(&self, general: &DeliverConfig) -> DeliverConfig {
        DeliverConfig {
            concurrency: self.concurrency.unwrap_or(general.concurrency),
            max_in_flight: self.max_in_flight.unwrap_or(general.max_in_flight),
            timeout: self.timeout.unwrap_or(general.timeout),
            retry_initial: self.retry_initial.unwrap_or(general.retry_initial),
            retry_max: self.retry_max.unwrap_or(general.retry_max),
            max_attempts: self.max_attempts.unwrap_or(general.max_attempts),
            max_age: self.max_age.unwrap_or(general.max_age),
        }
    }

    /// What it does.
    fn kind(&self, told: &mut Told<'_>) -> Option<HandlerKind> {
        let kind = match self.r#type.as_str() {
            "" => {
                told.problem("type", format!("is missing; expected one of {}", listed(&TYPES)));
                return None;
            }
            "stdout" => Some(HandlerKind::Stdout),
            "file" => self.file(told).map(HandlerKind::File),
            "http" => self.http(told).map(|target| HandlerKind::Http(Box::new(target))),
            "command" => self.program(told).map(HandlerKind::Command),
            "nats" => self.nats.kind(told),
            other => {
                told.problem("type", unknown_word("handler type", other, &TYPES));
                return None;
            }
        };
        for (key, of_type) in self.foreign_keys() {
            let message = format!(
                "belongs to handlers of the type `{of_type}`, this one is `{}`",
                self.r#type
            );
            told.problem(key, message);
        }
        let (initial, max) = (self.retry_initial, self.retry_max);
        if initial.is_some_and(|initial| initial.is_zero() || max.is_some_and(|max| initial > max)) {
            let message = "must be more than zero and at most retry_max";
            told.problem("retry_initial", message.to_owned());
        }
        kind
    }

    fn check_name(&self, before: &[Self], told: &mut Told<'_>) {
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
        if self.name.is_empty() || !self.name.chars().all(is_letter) {
            told.problem("name", "must be letters, digits, `-` and `_`".to_owned());
        } else if before.iter().any(|other| other.name == self.name) {
            told.problem("name", format!("another handler is called `{}`", self.name));
        }
    }

    /// Keys that are set and belong to another type, with that type.
    fn foreign_keys(&self) -> Vec<(&'static str, &'static str)> {
        let set = [
            ("path", "file", self.path.is_some()),
            ("url", "http", self.url.is_some()),
            ("mode", "http", self.mode.is_some()),
            ("signing_keys", "http", !self.signing_keys.is_empty()),
            ("signing_keys_file", "http", self.signing_keys_file.is_some()),
            ("headers", "http", !self.headers.is_empty()),
            ("reject_on", "http", !self.reject_on.is_empty()),
            ("reject_after", "http", self.reject_after.is_some()),
            ("allow_plain", "http", self.allow_plain),
            ("command", "command", !self.command.is_empty()),
            ("env", "command", !self.env.is_empty()),
            ("working_dir", "command", self.working_dir.is_some()),
            ("nats", "nats", self.nats.is_set()),
        ];
        let foreign = set
            .into_iter()
            .filter(|(_, of_type, is_set)| *is_set && *of_type != self.r#type);
        foreign.map(|(key, of_type, _)| (key, of_type)).collect()
    }
}

fn listed(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
