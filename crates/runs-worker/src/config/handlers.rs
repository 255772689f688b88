//! `[[handlers]]`: what each type of handler needs, and what is wrong with what it was given.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::{DeliverConfig, FilterTable, NatsTable, Problem, text};
use crate::filter::unknown_word;
use crate::handler::{CommandLine, HttpMode, HttpTarget, NatsTarget, SigningKey};

/// One of `[[handlers]]`. Which keys it takes depends on its type.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HandlerConfig {
    /// What its deliveries are kept under; renaming a handler makes a new one.
    pub name: String,
    /// What it does: `stdout`, `file`, `http`, `command` or `nats`.
    pub r#type: String,
    /// Which events it gets.
    pub filter: FilterTable,
    /// In the place of `deliver.timeout`.
    #[serde(deserialize_with = "text::optional_duration")]
    pub timeout: Option<Duration>,
    /// In the place of `deliver.concurrency`.
    pub concurrency: Option<NonZeroUsize>,
    /// In the place of `deliver.max_attempts`.
    pub max_attempts: Option<NonZeroU32>,
    /// In the place of `deliver.max_age`.
    #[serde(deserialize_with = "text::optional_duration")]
    pub max_age: Option<Duration>,
    /// In the place of `deliver.retry_initial`.
    #[serde(deserialize_with = "text::optional_duration")]
    pub retry_initial: Option<Duration>,
    /// In the place of `deliver.retry_max`.
    #[serde(deserialize_with = "text::optional_duration")]
    pub retry_max: Option<Duration>,
    /// `file`: where the lines go.
    pub path: Option<PathBuf>,
    /// `http`: where events are posted to. May hold a secret.
    pub url: Option<SecretString>,
    /// `http`: `structured` or `binary`.
    pub mode: Option<String>,
    /// `http`: the keys that events are signed with.
    #[serde(deserialize_with = "text::secrets")]
    pub signing_keys: Vec<SecretString>,
    /// `http`: a file with these keys, one a line.
    pub signing_keys_file: Option<PathBuf>,
    /// `http`: further headers.
    pub headers: BTreeMap<String, SecretString>,
    /// `command`: the program and its arguments; no shell reads them.
    pub command: Vec<String>,
    /// `command`: further environment variables.
    pub env: BTreeMap<String, String>,
    /// `command`: the folder that it is run in.
    pub working_dir: Option<PathBuf>,
    /// `nats`: the servers, and all else.
    pub nats: NatsTable,
}

/// What a handler does, with everything that it needs.
#[derive(Clone)]
pub(crate) enum HandlerKind {
    Stdout,
    File(PathBuf),
    Http(Box<HttpTarget>),
    Command(CommandLine),
    Nats(Box<NatsTarget>),
}

const TYPES: [&str; 5] = ["stdout", "file", "http", "command", "nats"];

impl HandlerConfig {
    /// How it is called.
    pub(crate) fn deliver(&self, general: &DeliverConfig) -> DeliverConfig {
        DeliverConfig {
            concurrency: self.concurrency.unwrap_or(general.concurrency),
            timeout: self.timeout.unwrap_or(general.timeout),
            retry_initial: self.retry_initial.unwrap_or(general.retry_initial),
            retry_max: self.retry_max.unwrap_or(general.retry_max),
            max_attempts: self.max_attempts.unwrap_or(general.max_attempts),
            max_age: self.max_age.unwrap_or(general.max_age),
        }
    }

    /// What it does, or everything that is wrong with how it is described.
    pub(crate) fn kind(&self, place: &str) -> Result<HandlerKind, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut problem = |key: &str, message: String| problems.push(Problem::new(format!("{place}.{key}"), message));
        let kind = match self.r#type.as_str() {
            "" => {
                problem("type", format!("is missing; expected one of {}", listed(&TYPES)));
                None
            }
            "stdout" => Some(HandlerKind::Stdout),
            "file" => self.file(&mut problem).map(HandlerKind::File),
            "http" => self
                .http(&mut problem)
                .map(|target| HandlerKind::Http(Box::new(target))),
            "command" => self.program(&mut problem).map(HandlerKind::Command),
            "nats" => self
                .nats
                .target(&mut problem)
                .map(|target| HandlerKind::Nats(Box::new(target))),
            other => {
                problem("type", unknown_word("handler type", other, &TYPES));
                None
            }
        };
        if TYPES.contains(&self.r#type.as_str()) {
            for (key, of_type) in self.foreign_keys() {
                problem(
                    key,
                    format!(
                        "belongs to handlers of the type `{of_type}`, this one is `{}`",
                        self.r#type
                    ),
                );
            }
        }
        let (initial, max) = (self.retry_initial, self.retry_max);
        if initial.is_some_and(|initial| initial.is_zero() || max.is_some_and(|max| initial > max)) {
            problem(
                "retry_initial",
                "must be more than zero and at most retry_max".to_owned(),
            );
        }
        match kind {
            Some(kind) if problems.is_empty() => Ok(kind),
            _ => Err(problems),
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

    fn file(&self, problem: &mut impl FnMut(&str, String)) -> Option<PathBuf> {
        let Some(path) = &self.path else {
            problem("path", "is missing: where the lines go".to_owned());
            return None;
        };
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        if path.is_dir() {
            problem("path", format!("{} is a folder, expected a file", path.display()));
        } else if !folder.is_dir() {
            problem("path", format!("there is no folder {}", folder.display()));
        }
        Some(path.clone())
    }

    fn http(&self, problem: &mut impl FnMut(&str, String)) -> Option<HttpTarget> {
        let url = match &self.url {
            None => {
                problem("url", "is missing: where events are posted to".to_owned());
                None
            }
            Some(url) => target_url(url.expose_secret())
                .map_err(|message| problem("url", message))
                .ok(),
        };
        let mode = match self.mode.as_deref() {
            None | Some("structured") => HttpMode::Structured,
            Some("binary") => HttpMode::Binary,
            Some(other) => {
                problem("mode", unknown_word("mode", other, &["structured", "binary"]));
                HttpMode::Structured
            }
        };
        let mut keys = Vec::new();
        for (position, key) in self.signing_keys.iter().enumerate() {
            match SigningKey::read(key.expose_secret()) {
                Ok(key) => keys.push(key),
                Err(message) => problem(&format!("signing_keys[{position}]"), message),
            }
        }
        match self.signing_keys_file.as_deref().map(keys_of) {
            None => {}
            Some(Ok(from_file)) if keys.is_empty() => keys = from_file,
            Some(Ok(_)) => problem(
                "signing_keys_file",
                "give signing_keys or signing_keys_file, not both".to_owned(),
            ),
            Some(Err(message)) => problem("signing_keys_file", message),
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            match (
                HeaderName::try_from(name.as_str()),
                HeaderValue::from_str(value.expose_secret()),
            ) {
                (Ok(name), Ok(mut value)) => {
                    value.set_sensitive(true);
                    headers.insert(name, value);
                }
                (Err(_), _) => problem(&format!("headers.{name}"), "is not the name of a header".to_owned()),
                (_, Err(_)) => problem(
                    &format!("headers.{name}"),
                    "its value cannot be sent in a header".to_owned(),
                ),
            }
        }
        Some(HttpTarget {
            url: url?,
            mode,
            keys,
            headers,
        })
    }

    fn program(&self, problem: &mut impl FnMut(&str, String)) -> Option<CommandLine> {
        let Some((program, arguments)) = self.command.split_first() else {
            problem(
                "command",
                "is missing: the program and its arguments, as a list".to_owned(),
            );
            return None;
        };
        if let Some(folder) = self.working_dir.as_ref().filter(|folder| !folder.is_dir()) {
            problem("working_dir", format!("there is no folder {}", folder.display()));
        }
        let Some(found) = find_program(program) else {
            problem("command", format!("there is no program `{program}` that can be run"));
            return None;
        };
        Some(CommandLine {
            program: found,
            arguments: arguments.to_vec(),
            environment: self.env.clone(),
            working_dir: self.working_dir.clone(),
        })
    }
}

fn listed(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The URL is not repeated: it may hold a secret.
fn target_url(text: &str) -> Result<reqwest::Url, String> {
    let url = reqwest::Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match url.scheme() {
        "https" => {}
        "http" if is_local => {}
        "http" => return Err("plain http would show runs to everybody on the way, expected https".to_owned()),
        _ => return Err("expected https".to_owned()),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("contains a user name or a password; give a header instead".to_owned());
    }
    Ok(url)
}

fn keys_of(file: &Path) -> Result<Vec<SigningKey>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys = lines.map(SigningKey::read).collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() {
        return Err(format!("{} holds no key", file.display()));
    }
    Ok(keys)
}

/// Where a program is: at its path, or in one of the folders of `PATH`.
fn find_program(program: &str) -> Option<PathBuf> {
    let is_program = |path: &PathBuf| {
        std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return std::path::absolute(program).ok().filter(is_program);
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders)
        .map(|folder| folder.join(program))
        .find(is_program)
}
