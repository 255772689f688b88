//! Which database, and how it is reached.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode};

use crate::error::StoreError;

/// The schema that is used if none is named.
const SCHEMA: &str = "runs_worker";
/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(10);

/// Which database, and how it is reached.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostgresSettings {
    /// `postgres://user:password@host:port/database?sslmode=…`. The modes `require`, `verify-ca` and `verify-full` all
    /// check the server's certificate and its name; `prefer`, which is used if none is named, encrypts where the server
    /// can, and checks nothing. The schema can be named as `options=-c search_path=…`.
    pub url: String,
    /// The certificates of the authorities that are trusted, in the place of those of the system.
    pub ca_file: Option<PathBuf>,
    /// How many connections are open at most, besides one that listens.
    pub connections: usize,
}

/// The URL holds a password.
impl fmt::Debug for PostgresSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PostgresSettings")
            .field("ca_file", &self.ca_file)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

/// Where it is, for a person, without secrets.
impl fmt::Display for PostgresSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Target::read(self) {
            Ok(target) => target.place.display().fmt(formatter),
            Err(_) => formatter.write_str("a PostgreSQL database"),
        }
    }
}

impl PostgresSettings {
    /// The database at this URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            ca_file: None,
            connections: 10,
        }
    }

    /// Whether the settings can be read. Nothing is connected to.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`].
    pub fn check(&self) -> Result<(), StoreError> {
        Target::read(self).map(drop)
    }

    /// Where it is, for a person, without secrets.
    pub fn place(&self) -> String {
        Target::read(self).map_or_else(|error| error.to_string(), |target| target.place.display().to_string())
    }
}

/// How the server is to be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Whoever answers.
    Anybody,
    /// Who has a certificate of an authority that the system trusts.
    System,
    /// Who has a certificate of these authorities.
    Authorities(PathBuf),
}

/// Settings that were read.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) config: tokio_postgres::Config,
    pub(super) trust: Trust,
    pub(super) schema: String,
    /// For a person, without secrets.
    pub(super) place: PathBuf,
    pub(super) connections: usize,
}

impl Target {
    /// Reads the settings.
    pub(super) fn read(settings: &PostgresSettings) -> Result<Self, StoreError> {
        let (url, mode, schema) = split(&settings.url)?;
        let mut config = tokio_postgres::Config::from_str(&url).map_err(|error| {
            // The source names the part that is wrong, and not its value.
            refused(format!(
                "the URL of the database cannot be read: {}",
                super::failure::chain(&error)
            ))
        })?;
        if config.get_hosts().is_empty() {
            return Err(refused("the URL of the database names no host".to_owned()));
        }
        let (ssl, checked) = ssl_mode(mode.as_deref())?;
        config
            .ssl_mode(ssl)
            .connect_timeout(CONNECT)
            .keepalives_idle(Duration::from_secs(30));
        if config.get_application_name().is_none() {
            config.application_name("runs-worker");
        }
        let trust = match (&settings.ca_file, checked) {
            (Some(file), _) => Trust::Authorities(file.clone()),
            (None, true) => Trust::System,
            (None, false) => Trust::Anybody,
        };
        Ok(Self {
            place: place(&config, &schema),
            config,
            trust,
            schema,
            connections: settings.connections.max(2),
        })
    }
}

fn refused(reason: String) -> StoreError {
    StoreError::Misconfigured { reason }
}

/// The URL without what the driver does not know, the `sslmode`, and the schema.
fn split(url: &str) -> Result<(String, Option<String>, String), StoreError> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(refused(
            "the URL of the database does not begin with postgres://".to_owned(),
        ));
    }
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut mode, mut schema, mut rest) = (None, SCHEMA.to_owned(), Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value.to_owned()),
            Some(("options", value)) => schema = search_path(value)?,
            _ => rest.push(pair),
        }
    }
    let separator = if rest.is_empty() { "" } else { "?" };
    Ok((format!("{address}{separator}{}", rest.join("&")), mode, schema))
}

/// The schema that `options` name. They are not sent, because a pooler would refuse them.
fn search_path(options: &str) -> Result<String, StoreError> {
    let plain = options
        .replace("%20", " ")
        .replace('+', " ")
        .replace("%3D", "=")
        .replace("%3d", "=");
    let text = plain.trim();
    let text = text.strip_prefix("-c").map_or(text, str::trim);
    match text.strip_prefix("search_path=") {
        Some(name) if is_plain(name) => Ok(name.to_owned()),
        _ => Err(refused(
            "`options` in the URL of the database may only name the schema: options=-csearch_path=name".to_owned(),
        )),
    }
}

fn is_plain(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.len() < 64 && name.bytes().all(is_part)
}

/// What the driver is told, and whether the certificate is checked.
fn ssl_mode(mode: Option<&str>) -> Result<(SslMode, bool), StoreError> {
    match mode {
        Some("disable") => Ok((SslMode::Disable, false)),
        None | Some("prefer" | "allow") => Ok((SslMode::Prefer, false)),
        Some("require" | "verify-ca" | "verify-full") => Ok((SslMode::Require, true)),
        Some(other) => Err(refused(format!(
            "the URL of the database has sslmode={other}; known are disable, prefer, require and verify-full"
        ))),
    }
}

/// Where it is, for a person.
fn place(config: &tokio_postgres::Config, schema: &str) -> PathBuf {
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        })
        .collect();
    let port = config
        .get_ports()
        .first()
        .map_or(String::new(), |port| format!(":{port}"));
    let user = config.get_user().map_or(String::new(), |user| format!("{user}@"));
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    PathBuf::from(format!(
        "postgres://{user}{}{port}/{database} (schema {schema})",
        hosts.join(",")
    ))
}
