//! Where values come from: defaults, then the file, then the environment, then flags.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::{Environment, File, FileFormat, Map, Source, Value, ValueKind};

use super::environment::{FILE, NAMED, PREFIX, set};
use super::flags::Flags;
use super::places::Places;
use super::problem::{ConfigError, Problem};
use super::secrets::Secrets;
use super::{relative, secrets};

/// The file that the flags or the environment name.
pub(super) fn file(flags: &Flags, environment: &BTreeMap<String, String>) -> Result<Option<PathBuf>, ConfigError> {
    if flags.text.is_some() {
        return Ok(None);
    }
    let from_environment = || set(environment, FILE).map(PathBuf::from);
    let file = flags.config.clone().or_else(from_environment);
    if let Some(missing) = file.as_ref().filter(|file| !file.is_file()) {
        let message = if missing.is_dir() {
            "this is a folder, expected a file"
        } else {
            "there is no such file"
        };
        return Err(Problem::elsewhere(missing.display().to_string(), message).into());
    }
    Ok(file)
}

/// The values of all layers, with the secrets put in.
pub(super) fn merge(
    flags: &Flags,
    environment: &BTreeMap<String, String>,
    places: &Places<'_>,
) -> Result<(Map<String, Value>, Secrets), ConfigError> {
    let explain = |error: config::ConfigError| ConfigError::from(places.locate(places.explain(&error)));
    let mut secrets = Secrets::default();
    let mut builder = config::Config::builder();
    let tables = match (places.file(), &flags.text) {
        (Some(file), _) => Some(of_file(file).map_err(explain)?),
        (None, Some(text)) => Some(File::from_str(text, FileFormat::Toml).collect().map_err(explain)?),
        (None, None) => None,
    };
    if let Some(mut tables) = tables {
        secrets = secrets::put_in(&mut tables, places.file(), environment);
        builder = builder.add_source(Layer(tables));
    }
    let prefixed = environment
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let named = NAMED.iter().filter_map(|(name, key)| {
        let value = set(environment, name)?;
        Some((*key, value.clone(), format!("the environment variable {name}")))
    });
    let by_flag = |(key, value, flag): &(&'static str, String, &str)| (*key, value.clone(), format!("the flag {flag}"));
    let merged = builder
        .add_source(
            // Without `try_parsing`, which would turn a secret such as `007` into a number.
            Environment::with_prefix(PREFIX)
                .prefix_separator("__")
                .separator("__")
                .source(Some(prefixed)),
        )
        .add_source(Layer::new(named))
        .add_source(Layer::new(flags.values.iter().map(by_flag)))
        .build()
        .map_err(explain)?;
    secrets.files.extend(secrets::of_environment(environment));
    Ok((merged.try_deserialize().map_err(explain)?, secrets))
}

fn of_file(file: &Path) -> Result<Map<String, Value>, config::ConfigError> {
    let mut tables = File::from(file).format(FileFormat::Toml).required(true).collect()?;
    relative::resolve(&mut tables, file);
    Ok(tables)
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
