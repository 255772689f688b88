//! Where a value was written, in words that a person finds it by.

use std::collections::BTreeMap;
use std::path::PathBuf;

use config::{Map, Value, ValueKind};

use super::environment::{NAMED, PREFIX};
use super::flags::Flags;
use super::lines::Lines;
use super::problem::Problem;
use crate::shared::unknown_word::unknown_word;

/// The places that a value can come from.
pub(super) struct Places<'a> {
    flags: &'a Flags,
    environment: &'a BTreeMap<String, String>,
    file: Option<PathBuf>,
    lines: Lines,
    /// How the handlers are called, in their order.
    handlers: Vec<Option<String>>,
}

impl<'a> Places<'a> {
    pub(super) fn new(flags: &'a Flags, environment: &'a BTreeMap<String, String>, file: Option<PathBuf>) -> Self {
        let text = match &file {
            Some(file) => std::fs::read_to_string(file).ok(),
            None => flags.text.clone(),
        };
        Self {
            flags,
            environment,
            file,
            lines: text.map(|text| Lines::of(&text)).unwrap_or_default(),
            handlers: Vec::new(),
        }
    }

    pub(super) fn file(&self) -> Option<&PathBuf> {
        self.file.as_ref()
    }

    /// Learns how the handlers are called.
    pub(super) fn note_handlers(&mut self, merged: &Map<String, Value>) {
        let Some(ValueKind::Array(handlers)) = merged.get("handlers").map(|handlers| &handlers.kind) else {
            return;
        };
        let name = |handler: &Value| match &handler.kind {
            ValueKind::Table(table) => table.get("name").cloned()?.into_string().ok(),
            _ => None,
        };
        self.handlers = handlers.iter().map(name).collect();
    }

    /// What a layer could not be read for, in terms of a key.
    pub(super) fn explain(&self, error: &config::ConfigError) -> Problem {
        let (key, message) = match error {
            config::ConfigError::At { error, key, .. } => (key.clone().unwrap_or_default(), error.to_string()),
            config::ConfigError::Type {
                key: Some(key),
                expected,
                unexpected,
                ..
            } => (key.clone(), format!("expected {expected}, found {unexpected}")),
            config::ConfigError::FileParse { cause, .. } => (String::new(), without_source(&cause.to_string())),
            other => (String::new(), other.to_string()),
        };
        let message = without_values(&message);
        // The crate leaves the dot out behind the index of a list.
        let key = key
            .replace(']', "].")
            .replace("..", ".")
            .replace(".[", "[")
            .trim_end_matches('.')
            .to_owned();
        match unknown_key(&message) {
            Some((unknown, message)) if key.is_empty() => Problem::new(unknown, message),
            Some((unknown, message)) => Problem::new(format!("{key}.{unknown}"), message),
            None if key.is_empty() => {
                let file = self.file.as_ref().map(|file| file.display().to_string());
                Problem::elsewhere(file.unwrap_or_else(|| "the configuration".to_owned()), message)
            }
            None => Problem::new(key, message),
        }
    }

    /// The problem with the name of its handler, and the place where its key was written.
    pub(super) fn locate(&self, problem: Problem) -> Problem {
        let Some(key) = problem.key() else { return problem };
        let place = match self.written(key) {
            Some(written) => format!("{} in {written}", self.named(key)),
            None => self.named(key),
        };
        problem.at(place)
    }

    /// The key, with the name of a handler in the place of its number.
    fn named(&self, key: &str) -> String {
        let by_name = || {
            let (position, rest) = key.strip_prefix("handlers[")?.split_once(']')?;
            let name = self.handlers.get(position.parse::<usize>().ok()?)?.as_ref()?;
            let rest = rest.trim_start_matches('.');
            (!name.is_empty() && !rest.is_empty()).then(|| format!("handler `{name}`: {rest}"))
        };
        by_name().unwrap_or_else(|| key.to_owned())
    }

    /// Where a key was set, the layer that counts first.
    pub(super) fn written(&self, key: &str) -> Option<String> {
        let mut flags = self.flags.values.iter();
        if let Some((_, _, flag)) = flags.find(|(set, _, _)| *set == key) {
            return Some(format!("the flag {flag}"));
        }
        let mut named = NAMED.iter();
        if let Some((name, _)) = named.find(|(name, set)| *set == key && self.environment.contains_key(*name)) {
            return Some(format!("the environment variable {name}"));
        }
        let prefixed = format!("{PREFIX}__{}", key.replace('.', "__").to_ascii_uppercase());
        let mut variables = self.environment.keys();
        if let Some(name) = variables.find(|name| name.to_ascii_uppercase() == prefixed) {
            return Some(format!("the environment variable {name}"));
        }
        let line = self.lines.get(key)?;
        Some(match &self.file {
            Some(file) => format!("{}:{line}", file.display()),
            None => format!("line {line} of the configuration"),
        })
    }
}

/// The key that there is not, and the one that may have been meant.
fn unknown_key(message: &str) -> Option<(String, String)> {
    let (unknown, known) = message.strip_prefix("unknown field `")?.split_once('`')?;
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    Some((unknown.to_owned(), unknown_word("key", unknown, &known)))
}

/// What is wrong with a file, without the lines of it that the parser quotes: they may hold a secret.
fn without_source(message: &str) -> String {
    let quoted = |line: &&str| {
        let line = line.trim_start();
        line.starts_with('|') || line.starts_with(|first: char| first.is_ascii_digit())
    };
    let lines: Vec<&str> = message.lines().filter(|line| !quoted(line)).map(str::trim).collect();
    lines.join(": ").trim_end_matches([':', ' ']).to_owned()
}

/// The same without the values that serde quotes.
fn without_values(message: &str) -> String {
    let mut out = String::new();
    let mut rest = message;
    while let Some(at) = rest.find("string \"") {
        let (before, quoted) = rest.split_at(at);
        let value = &quoted["string \"".len()..];
        // The value may have quotes of its own; what follows it is known.
        let end = value.rfind("\", expected").or_else(|| value.rfind('"'));
        out.extend([before, "a text"]);
        rest = end.and_then(|end| value.get(end + 1..)).unwrap_or_default();
    }
    out.push_str(rest);
    out
}
