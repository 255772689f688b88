//! Secrets that the file does not hold itself: `${NAME}` stands for an environment variable, and a key that ends in
//! `_file` for what a file holds. What is found is put where the secret itself could stand.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use config::{Map, Value, ValueKind};

use super::environment::set;
use super::problem::Problem;

/// The keys of organizations and handlers that name a file with a secret, beside those that are put in here.
const READ_ELSEWHERE: [&str; 5] = [
    "token_file",
    "client_secret_file",
    "webhook_secrets_file",
    "signing_keys_file",
    "credentials_file",
];

/// What was learnt while the secrets were put in.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    /// Every file that holds one.
    pub(super) files: Vec<PathBuf>,
    pub(super) problems: Vec<Problem>,
}

/// Why others could read a file with a secret.
pub(crate) fn readable_by_others(file: &Path) -> Option<String> {
    let mode = file.metadata().ok()?.mode();
    (mode & 0o077 != 0).then(|| {
        format!(
            "{} holds a secret and can be read by others; chmod 600 it",
            file.display()
        )
    })
}

/// Puts the secrets of one file's tables in.
pub(super) fn put_in(
    tables: &mut Map<String, Value>,
    file: Option<&PathBuf>,
    environment: &BTreeMap<String, String>,
) -> Secrets {
    let mut putting = Putting {
        environment,
        found: Secrets::default(),
        literal: false,
    };
    if let Some(store) = table(tables, "store") {
        // Without a password it tells nothing.
        let is_public = |url: &str| {
            url.split_once('@')
                .is_none_or(|(user, _)| user.matches(':').count() < 2)
        };
        putting.value(store, "url", "store", is_public);
    }
    for (position, table) in list(tables, "organizations") {
        let place = format!("organizations[{position}]");
        for key in ["token", "client_secret", "webhook_secrets"] {
            putting.secret(table, key, &place);
        }
        putting.note_files(table);
    }
    for (position, table) in list(tables, "handlers") {
        putting.handler(table, &format!("handlers[{position}]"));
    }
    if putting.literal {
        putting.found.files.extend(file.cloned());
    }
    putting.found
}

/// Files with secrets that the environment names.
pub(super) fn of_environment(environment: &BTreeMap<String, String>) -> impl Iterator<Item = PathBuf> {
    let names = ["TALLYFY_TOKEN_FILE", "TALLYFY_WEBHOOK_SECRET_FILE"].into_iter();
    names.filter_map(|name| set(environment, name).map(PathBuf::from))
}

fn list<'a>(
    tables: &'a mut Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = (usize, &'a mut Map<String, Value>)> {
    let elements = match tables.get_mut(key).map(|value| &mut value.kind) {
        Some(ValueKind::Array(elements)) => elements.as_mut_slice(),
        _ => &mut [],
    };
    elements
        .iter_mut()
        .enumerate()
        .filter_map(|(position, element)| match &mut element.kind {
            ValueKind::Table(table) => Some((position, table)),
            _ => None,
        })
}

fn table<'a>(around: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    match &mut around.get_mut(key)?.kind {
        ValueKind::Table(table) => Some(table),
        _ => None,
    }
}

struct Putting<'a> {
    environment: &'a BTreeMap<String, String>,
    found: Secrets,
    /// Whether a secret stands in the file itself.
    literal: bool,
}

impl Putting<'_> {
    fn handler(&mut self, handler: &mut Map<String, Value>, place: &str) {
        self.of_file(handler, "url", place);
        self.headers_of_files(handler, place);
        // What is public in it, and what is not, only its owner knows; a question mark is where keys are put.
        let is_public = |url: &str| !url.contains('?');
        self.value(handler, "url", place, is_public);
        self.secret(handler, "signing_keys", place);
        if let Some(headers) = table(handler, "headers") {
            let names: Vec<String> = headers.keys().cloned().collect();
            for name in names {
                let is_public = !is_a_secrets_name(&name);
                self.value(headers, &name, &format!("{place}.headers"), |_| is_public);
            }
        }
        if let Some(nats) = table(handler, "nats") {
            let place = format!("{place}.nats");
            for key in ["token", "password"] {
                self.of_file(nats, key, &place);
                self.secret(nats, key, &place);
            }
            self.note_files(nats);
        }
        self.note_files(handler);
    }

    /// `headers_file = { authorization = "path" }`
    fn headers_of_files(&mut self, handler: &mut Map<String, Value>, place: &str) {
        let Some(ValueKind::Table(files)) = handler.get("headers_file").map(|files| files.kind.clone()) else {
            return;
        };
        handler.shift_remove("headers_file");
        let headers = handler
            .entry("headers".to_owned())
            .or_insert_with(|| ValueKind::Table(Map::new()).into());
        let ValueKind::Table(headers) = &mut headers.kind else {
            return;
        };
        for (name, file) in files {
            headers.entry(format!("{name}_file")).or_insert(file);
            self.of_file(headers, &name, &format!("{place}.headers"));
        }
    }

    /// Puts what `KEY_file` holds where `KEY` could stand.
    fn of_file(&mut self, table: &mut Map<String, Value>, key: &str, place: &str) {
        let of_file = format!("{key}_file");
        let Some(file) = table.shift_remove(&of_file) else {
            return;
        };
        let place = format!("{place}.{key}");
        if table.contains_key(key) {
            let message = "give it here or in a file, not both";
            self.found.problems.push(Problem::new(place, message));
            return;
        }
        let Ok(file) = file.into_string().map(PathBuf::from) else {
            return;
        };
        match std::fs::read_to_string(&file) {
            Ok(text) => {
                let secret = text.trim_start_matches('\u{feff}').trim().to_owned();
                table.insert(key.to_owned(), Value::new(None, ValueKind::String(secret)));
                self.found.files.push(file);
            }
            Err(error) => {
                let message = format!("{}: {error}", file.display());
                self.found.problems.push(Problem::new(place, message));
            }
        }
    }

    /// A secret, or a list of secrets.
    fn secret(&mut self, table: &mut Map<String, Value>, key: &str, place: &str) {
        self.value(table, key, place, |_| false);
    }

    fn value(&mut self, table: &mut Map<String, Value>, key: &str, place: &str, is_public: impl Fn(&str) -> bool) {
        let was_literal = self.literal;
        let from_file = table.get(key).is_some_and(|value| value.origin().is_none());
        let place = format!("{place}.{key}");
        let expanded = match table.get_mut(key).map(|value| &mut value.kind) {
            Some(ValueKind::String(text)) => self.expand(text, &place, &is_public),
            Some(ValueKind::Array(list)) => list.iter_mut().all(|element| match &mut element.kind {
                ValueKind::String(text) => self.expand(text, &place, &is_public),
                _ => true,
            }),
            _ => true,
        };
        if !expanded {
            table.shift_remove(key);
        }
        if from_file {
            self.literal = was_literal;
        }
    }

    /// Replaces each `${NAME}`. Whether all of them are set.
    fn expand(&mut self, text: &mut String, place: &str, is_public: impl Fn(&str) -> bool) -> bool {
        let mut out = String::new();
        let mut rest = text.as_str();
        let mut is_literal = true;
        while let Some((before, name, after)) = reference(rest) {
            is_literal = false;
            let Some(value) = set(self.environment, name) else {
                let message = format!("the environment variable {name} is not set");
                self.found.problems.push(Problem::new(place, message));
                return false;
            };
            out.extend([before, value.trim()]);
            rest = after;
        }
        if is_literal {
            self.literal |= !is_public(text) && !text.is_empty();
        } else {
            out.push_str(rest);
            *text = out;
        }
        true
    }

    fn note_files(&mut self, table: &Map<String, Value>) {
        let files = READ_ELSEWHERE
            .iter()
            .filter_map(|key| table.get(*key)?.clone().into_string().ok());
        self.found.files.extend(files.map(PathBuf::from));
    }
}

/// What is before the first `${NAME}`, the name, and what is after it.
fn reference(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("${")?;
    let (name, after) = rest.split_once('}')?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some((before, name, after))
}

/// Whether what a header of this name says is a secret, as far as its name tells.
fn is_a_secrets_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["auth", "cookie", "key", "password", "secret", "token"]
        .iter()
        .any(|word| name.contains(word))
}
