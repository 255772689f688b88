//! From the layers to what is ready to use.

use std::collections::BTreeMap;

use config::{Value, ValueKind};

use super::environment::misspelled;
use super::flags::Flags;
use super::layers;
use super::places::Places;
use super::problem::{ConfigError, Problem};
use super::renamed::{RENAMED, renamed};
use super::secrets::Secrets;
use super::tables::Tables;
use super::{IntakeConfig, Loaded, Sections, StoreConfig, handlers, organizations};

/// Puts the layers together.
///
/// `environment` is the process's environment; `webhooks` says whether secrets for webhooks are needed.
///
/// # Errors
/// [`ConfigError`] with everything that is wrong. Unknown keys are errors.
pub fn load(flags: &Flags, environment: &BTreeMap<String, String>, webhooks: bool) -> Result<Loaded, ConfigError> {
    let (tables, places, secrets, sections) = read(flags, environment)?;
    let mut problems = secrets.problems;
    let config = tables.config();
    let mut found = config.problems();
    found.extend(misspelled(environment));
    let (organizations, wrong) = organizations::complete(tables.organizations, environment, webhooks);
    let ids: Vec<&str> = organizations
        .iter()
        .map(|organization| organization.id.as_str())
        .collect();
    // What is not known cannot be misspelled.
    let known = wrong.is_empty().then_some(ids.as_slice());
    let (handlers, of_handlers) = handlers::complete(&tables.handlers, &config.deliver, known);
    found.extend(of_handlers);
    found.extend(wrong);
    // A value that could not be read is not told of again as a missing one.
    let unread: Vec<String> = problems
        .iter()
        .filter_map(|problem| Some(problem.key()?.to_owned()))
        .collect();
    found.retain(|problem| !unread.iter().any(|key| problem.is_within(key)));
    problems.extend(found);
    if problems.is_empty() {
        let mut secret_files = secrets.files;
        secret_files.extend(config.store.url_file.clone());
        Ok(Loaded {
            config,
            organizations,
            handlers,
            secret_files,
            file: places.file().cloned(),
            sections,
        })
    } else {
        Err(ConfigError::from(located(problems, &places)))
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
    let (tables, places, secrets, _) = read(flags, environment)?;
    let mut problems = secrets.problems;
    let matters = |problem: &Problem| problem.is_within("store") || problem.is_within("intake");
    problems.retain(|problem| problem.key().is_none() || matters(problem));
    if problems.is_empty()
        && let Err(error) = tables.store.location()
    {
        problems.push(Problem::new(tables.store.key(), error.to_string()));
    }
    if problems.is_empty() {
        let Tables { store, intake, .. } = tables;
        Ok(Kept { store, intake })
    } else {
        Err(ConfigError::from(located(problems, &places)))
    }
}

/// The tables of all layers, with what could not be read of them, what is known of their secrets, and digests of them.
fn read<'a>(
    flags: &'a Flags,
    environment: &'a BTreeMap<String, String>,
) -> Result<(Tables, Places<'a>, Secrets, Sections), ConfigError> {
    let mut places = Places::new(flags, environment, layers::file(flags, environment)?);
    let (merged, mut secrets) = layers::merge(flags, environment, &places)?;
    places.note_handlers(&merged);
    let mut values = Value::new(None, ValueKind::Table(merged));
    secrets.problems.extend(renamed(&mut values, &RENAMED));
    let sections = Sections::of(&values);
    let (tables, unreadable) = Tables::read(values, &places);
    secrets.problems.extend(unreadable);
    Ok((tables, places, secrets, sections))
}

fn located(problems: Vec<Problem>, places: &Places<'_>) -> Vec<Problem> {
    problems.into_iter().map(|problem| places.locate(problem)).collect()
}
