//! The configuration as it counts: each value, and where it is from. Secrets are not among them.

use std::collections::BTreeMap;

use config::{Map, Value, ValueKind};

use super::environment::set;
use super::flags::Flags;
use super::problem::ConfigError;
use super::renamed::{RENAMED, renamed};
use super::{example, keys, layers, places::Places};
use crate::config::StoreConfig;

/// What stands in the place of a secret.
const HIDDEN: &str = "\"(hidden)\"";

/// Keys of organizations and handlers whose values are secrets, or may hold one.
const SECRET: [&str; 9] = [
    "token",
    "client_secret",
    "webhook_secrets",
    "url",
    "signing_keys",
    "headers",
    "env",
    "password",
    "command",
];

/// Variables that describe an organization, and the keys that they set.
const OF_ORGANIZATION: [(&str, &str); 5] = [
    ("TALLYFY_ORG_ID", "id"),
    ("TALLYFY_TOKEN", "token"),
    ("TALLYFY_TOKEN_FILE", "token_file"),
    ("TALLYFY_WEBHOOK_SECRET", "webhook_secrets"),
    ("TALLYFY_WEBHOOK_SECRET_FILE", "webhook_secrets_file"),
];

/// A value, and where it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Its key.
    pub(crate) key: String,
    /// As TOML.
    pub(crate) value: String,
    /// The layer, in words that a person finds it by.
    pub(crate) from: String,
}

/// All values, in the order of the example; then those of organizations and handlers that are set.
///
/// # Errors
/// [`ConfigError`] if a layer cannot be read. Whether the values make sense is not asked.
pub(crate) fn settings(flags: &Flags, environment: &BTreeMap<String, String>) -> Result<Vec<Setting>, ConfigError> {
    let places = Places::new(flags, environment, layers::file(flags, environment)?);
    let (merged, _) = layers::merge(flags, environment, &places)?;
    let mut values = Value::new(None, ValueKind::Table(merged));
    drop(renamed(&mut values, &RENAMED));
    let mut settings: Vec<Setting> = example::keys()
        .into_iter()
        .map(|key| of_key(&key.name, key.default, &mut values, &places))
        .collect();
    for (variable, key) in OF_ORGANIZATION {
        if let Some(value) = set(environment, variable) {
            settings.push(Setting {
                key: format!("organizations.{key}"),
                value: if is_secret(key) {
                    HIDDEN.to_owned()
                } else {
                    format!("{value:?}")
                },
                from: format!("the environment variable {variable}"),
            });
        }
    }
    for list in ["organizations", "handlers"] {
        if let Some(value) = keys::find(&mut values, list) {
            add(list, value, &places, &mut settings);
        }
    }
    Ok(settings)
}

fn of_key(name: &str, default: &str, values: &mut Value, places: &Places<'_>) -> Setting {
    let found = keys::find(values, name).map(|value| toml(value));
    let from_default = match name {
        example::DATA_DIR => format!("{:?}", StoreConfig::default().folder().display().to_string()),
        _ => default.to_owned(),
    };
    let from = match found {
        Some(_) => places.written(name).unwrap_or_else(|| "the configuration".to_owned()),
        None => "default".to_owned(),
    };
    Setting {
        key: name.to_owned(),
        value: found.unwrap_or(from_default),
        from,
    }
}

/// The values within a table or a list.
fn add(key: &str, value: &Value, places: &Places<'_>, settings: &mut Vec<Setting>) {
    let last = key.rsplit('.').next().unwrap_or_default();
    match &value.kind {
        _ if is_secret(last) => settings.push(Setting {
            key: key.to_owned(),
            value: HIDDEN.to_owned(),
            from: places.written(key).unwrap_or_else(|| "the configuration".to_owned()),
        }),
        ValueKind::Table(table) => {
            for (name, value) in table {
                add(&format!("{key}.{name}"), value, places, settings);
            }
        }
        ValueKind::Array(list) if list.iter().any(|element| matches!(element.kind, ValueKind::Table(_))) => {
            for (position, value) in list.iter().enumerate() {
                add(&format!("{key}[{position}]"), value, places, settings);
            }
        }
        _ => settings.push(Setting {
            key: key.to_owned(),
            value: toml(value),
            from: places.written(key).unwrap_or_else(|| "the configuration".to_owned()),
        }),
    }
}

fn is_secret(key: &str) -> bool {
    SECRET.contains(&key)
}

/// A value as TOML has it.
fn toml(value: &Value) -> String {
    match &value.kind {
        // A URL with a password, which is refused where the value is read.
        ValueKind::String(text) if text.contains("://") && text.contains('@') => HIDDEN.to_owned(),
        ValueKind::String(text) => format!("{text:?}"),
        ValueKind::Array(list) => format!("[{}]", list.iter().map(toml).collect::<Vec<_>>().join(", ")),
        ValueKind::Table(table) => format!("{{ {} }}", members(table).join(", ")),
        other => other.to_string(),
    }
}

fn members(table: &Map<String, Value>) -> Vec<String> {
    table
        .iter()
        .map(|(name, value)| format!("{name} = {}", toml(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_told_with_where_it_is_from_and_no_secret() {
        let environment = [
            ("RUNS_WORKER__REFRESH__WINDOW", "500ms"),
            ("TALLYFY_ORG_ID", "acme"),
            ("TALLYFY_TOKEN", "s3cret"),
            ("TALLYFY_WEBHOOK_SECRET", "s3cret"),
            ("KEY", "s3cret"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut flags = Flags::of_text(
            r#"
            [api]
            timeout = "20s"
            base_url = "https://me:s3cret@example.com"
            [[organizations]]
            id = "globex"
            token = "s3cret"
            [[handlers]]
            name = "crm"
            type = "http"
            url = "https://crm.example.com/?key=s3cret"
            signing_keys = ["${KEY}"]
            headers = { authorization = "s3cret" }
            filter = { events = ["seen", "completed"] }
            [[handlers]]
            name = "queue"
            type = "nats"
            nats = { servers = ["tls://n.example.com"], password = "s3cret" }
            "#,
        );
        flags
            .values
            .push(("receive.listen", "127.0.0.1:9".to_owned(), "--listen"));
        let settings = settings(&flags, &environment.into()).unwrap();
        let told: Vec<String> = settings
            .iter()
            .filter(|setting| setting.from != "default")
            .map(|setting| format!("{} = {}  # {}", setting.key, setting.value, setting.from))
            .collect();
        let told = told.join("\n");
        assert!(!told.contains("s3cret"), "{told}");
        insta::assert_snapshot!("settings", told);
        let defaults = settings.iter().filter(|setting| setting.from == "default");
        assert!(
            defaults
                .clone()
                .any(|setting| setting.key == "api.connect_timeout" && setting.value == "\"5s\"")
        );
        assert_eq!(defaults.count(), example::keys().len() - 4);
    }
}
