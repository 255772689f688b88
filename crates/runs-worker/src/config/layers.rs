//! Where values come from: defaults, then the file, then the environment, then flags.

use std::collections::BTreeMap;
use std::path::PathBuf;

use config::{Environment, File, FileFormat, Map, Source, Value, ValueKind};
use secrecy::SecretString;

use super::organization::{Organization, OrganizationTable};
use super::problem::{ConfigError, Problem};
use super::{Config, IntakeConfig, StoreConfig, text};

/// Environment variables with names of their own, and the keys that they set.
const NAMED: [(&str, &str); 4] = [
    ("TALLYFY_BASE_URL", "api.base_url"),
    ("RUNS_WORKER_LISTEN", "receive.listen"),
    ("RUNS_WORKER_ADMIN_LISTEN", "admin.listen"),
    ("RUNS_WORKER_DATA_DIR", "store.data_dir"),
];

/// What the other environment variables begin with.
const PREFIX: &str = "RUNS_WORKER";

/// The environment variable that names the file.
const FILE: &str = "RUNS_WORKER_CONFIG";

/// What the command line sets.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Flags {
    /// The file; before the one that the environment names.
    pub config: Option<PathBuf>,
    /// Keys with their values, and the flags that they are from.
    pub values: Vec<(&'static str, String, &'static str)>,
}

/// A configuration, and what it was made of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// The values.
    pub config: Config,
    /// The organizations, complete.
    pub organizations: Vec<Organization>,
    /// The file, if there is one.
    pub file: Option<PathBuf>,
}

/// Puts the layers together.
///
/// `environment` is the process's environment; `webhooks` says whether secrets for webhooks are needed.
///
/// # Errors
/// [`ConfigError`] with everything that is wrong, as far as it can be told at once. Unknown keys are errors.
pub fn load(flags: &Flags, environment: &BTreeMap<String, String>, webhooks: bool) -> Result<Loaded, ConfigError> {
    let (config, file) = merge(flags, environment)?;
    let mut problems = config.problems();
    problems.extend(misspelled(environment));
    let organizations = match organizations(&config.organizations, environment, webhooks) {
        Ok(organizations) => organizations,
        Err(found) => {
            problems.extend(found);
            Vec::new()
        }
    };
    let ids: Vec<&str> = organizations
        .iter()
        .map(|organization| organization.id.as_str())
        .collect();
    for (position, handler) in config.handlers.iter().enumerate() {
        let (_, found) = handler.filter.filter(&format!("handlers[{position}].filter"), &ids);
        problems.extend(found);
    }
    if problems.is_empty() {
        Ok(Loaded {
            config,
            organizations,
            file,
        })
    } else {
        Err(problems.into())
    }
}

/// Where the durable state is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Kept {
    /// The store.
    pub store: StoreConfig,
    /// The intake log.
    pub intake: IntakeConfig,
}

/// Where the state is, as it is configured. What else is wrong does not matter to that.
///
/// # Errors
/// [`ConfigError`] if the values cannot be read.
pub fn kept(flags: &Flags, environment: &BTreeMap<String, String>) -> Result<Kept, ConfigError> {
    let Config { store, intake, .. } = merge(flags, environment)?.0;
    Ok(Kept { store, intake })
}

/// The values of all layers, each for itself, and the file that they are from.
fn merge(flags: &Flags, environment: &BTreeMap<String, String>) -> Result<(Config, Option<PathBuf>), ConfigError> {
    let set = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let file = flags.config.clone().or_else(|| set(FILE).map(PathBuf::from));

    let places = Places {
        flags,
        environment,
        file: file.as_ref(),
    };
    if let Some(missing) = file.as_ref().filter(|file| !file.is_file()) {
        let message = if missing.is_dir() {
            "this is a folder, expected a file"
        } else {
            "there is no such file"
        };
        return Err(Problem::new(missing.display().to_string(), message).into());
    }

    let mut builder = config::Config::builder();
    if let Some(file) = &file {
        builder = builder.add_source(File::from(file.clone()).format(FileFormat::Toml).required(true));
    }
    let prefixed = environment
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let merged = builder
        .add_source(
            // Without `try_parsing`, which would turn a secret such as `007` into a number.
            Environment::with_prefix(PREFIX)
                .prefix_separator("__")
                .separator("__")
                .source(Some(prefixed)),
        )
        .add_source(Layer::new(NAMED.iter().filter_map(|(name, key)| {
            Some((*key, set(name)?.clone(), format!("the environment variable {name}")))
        })))
        .add_source(Layer::new(
            flags
                .values
                .iter()
                .map(|(key, value, flag)| (*key, value.clone(), format!("the flag {flag}"))),
        ))
        .build()
        .map_err(|error| places.explain(&error))?;
    let config = merged.try_deserialize().map_err(|error| places.explain(&error))?;
    Ok((config, file))
}

/// Variables that begin like ours and are none of ours.
fn misspelled(environment: &BTreeMap<String, String>) -> Vec<Problem> {
    let known = |name: &str| name == FILE || NAMED.iter().any(|(known, _)| *known == name);
    let ours = environment.keys().filter(|name| {
        let rest = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('_'));
        rest.is_some_and(|rest| !rest.starts_with('_')) && !known(name)
    });
    let problem = |name: &String| {
        let message = "there is no such variable; keys of the file are written as RUNS_WORKER__SECTION__KEY, with two \
                       underscores between the parts";
        Problem::new(format!("the environment variable {name}"), message)
    };
    ours.map(problem).collect()
}

/// The tables of the file, with what the environment says of one of them.
fn organizations(
    tables: &[OrganizationTable],
    environment: &BTreeMap<String, String>,
    webhooks: bool,
) -> Result<Vec<Organization>, Vec<Problem>> {
    let set = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
    let from_environment = OrganizationTable {
        id: set("TALLYFY_ORG_ID"),
        token: set("TALLYFY_TOKEN").map(SecretString::from),
        token_file: set("TALLYFY_TOKEN_FILE").map(PathBuf::from),
        webhook_secrets: set("TALLYFY_WEBHOOK_SECRET")
            .map(|secrets| text::separated(&secrets).into_iter().map(SecretString::from).collect())
            .unwrap_or_default(),
        webhook_secrets_file: set("TALLYFY_WEBHOOK_SECRET_FILE").map(PathBuf::from),
        ..OrganizationTable::default()
    };
    let has_secrets = from_environment.token.is_some()
        || from_environment.token_file.is_some()
        || !from_environment.webhook_secrets.is_empty()
        || from_environment.webhook_secrets_file.is_some();

    let mut tables = tables.to_vec();
    // The one table that the environment's values can belong to.
    let target = match &from_environment.id {
        Some(id) => tables
            .iter()
            .position(|table| table.id.as_ref() == Some(id))
            .or_else(|| {
                tables.push(OrganizationTable::default());
                Some(tables.len() - 1)
            }),
        None if tables.len() > 1 && has_secrets => {
            return Err(vec![Problem::new(
                "organizations",
                "TALLYFY_TOKEN and TALLYFY_WEBHOOK_SECRET are set, but the file lists several organizations; \
                 set TALLYFY_ORG_ID to say which one is meant",
            )]);
        }
        None if tables.is_empty() => {
            tables.push(OrganizationTable::default());
            Some(0)
        }
        None => (tables.len() == 1).then_some(0),
    };
    if let Some(table) = target.and_then(|position| tables.get_mut(position)) {
        table.overlay(from_environment);
    }

    let mut problems = Vec::new();
    let mut organizations: Vec<Organization> = Vec::new();
    for (position, table) in tables.into_iter().enumerate() {
        let place = format!("organizations[{position}]");
        match table.resolve(&place, webhooks, target == Some(position)) {
            Ok(organization) if organizations.iter().any(|other| other.id == organization.id) => {
                problems.push(Problem::new(
                    format!("{place}.id"),
                    format!("organization {} is there twice", organization.id),
                ));
            }
            Ok(organization) => {
                if let Some(other) = organizations
                    .iter()
                    .find(|other| other.shares_a_secret_with(&organization))
                {
                    problems.push(Problem::new(
                        format!("{place}.webhook_secrets"),
                        format!(
                            "organization {} has one of these secrets too; a secret says which organization a webhook is from",
                            other.id
                        ),
                    ));
                }
                organizations.push(organization);
            }
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() {
        Ok(organizations)
    } else {
        Err(problems)
    }
}

/// Values from one place, each with the name that a person knows it by.
#[derive(Clone, Debug)]
struct Layer(Map<String, Value>);

impl Layer {
    fn new(values: impl IntoIterator<Item = (&'static str, String, String)>) -> Self {
        Self(
            values
                .into_iter()
                .map(|(key, value, origin)| (key.to_owned(), Value::new(Some(&origin), ValueKind::String(value))))
                .collect(),
        )
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.0.clone())
    }
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

/// The places that a value can come from, for messages.
struct Places<'a> {
    flags: &'a Flags,
    environment: &'a BTreeMap<String, String>,
    file: Option<&'a PathBuf>,
}

impl Places<'_> {
    /// The error in terms of a key and the place where a person set it.
    fn explain(&self, error: &config::ConfigError) -> ConfigError {
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
        let mut key = key
            .replace(']', "].")
            .replace("..", ".")
            .trim_end_matches('.')
            .to_owned();
        if let Some(unknown) = message
            .strip_prefix("unknown field `")
            .and_then(|rest| rest.split('`').next())
        {
            key = if key.is_empty() {
                unknown.to_owned()
            } else {
                format!("{key}.{unknown}")
            };
        }
        let place = match (key.as_str(), self.of(&key)) {
            ("", place) => place,
            (key, place) => format!("{key} in {place}"),
        };
        Problem::new(place, message).into()
    }

    /// Where a key was set, the layer that counts first.
    fn of(&self, key: &str) -> String {
        let flag = self
            .flags
            .values
            .iter()
            .find(|(set, _, _)| *set == key)
            .map(|(_, _, flag)| format!("the flag {flag}"));
        let named = NAMED
            .iter()
            .find(|(name, set)| *set == key && self.environment.contains_key(*name));
        let prefixed = format!("{PREFIX}__{}", key.replace('.', "__").to_ascii_uppercase());
        let prefixed = self
            .environment
            .keys()
            .find(|name| name.to_ascii_uppercase() == prefixed);
        flag.or_else(|| named.map(|(name, _)| format!("the environment variable {name}")))
            .or_else(|| prefixed.map(|name| format!("the environment variable {name}")))
            .or_else(|| self.file.map(|file| file.display().to_string()))
            .unwrap_or_else(|| "the configuration".to_owned())
    }
}
