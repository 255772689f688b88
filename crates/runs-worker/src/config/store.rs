//! `[store]`: where the state is.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use runs_store::{StoreError, StoreLocation};
use secrecy::SecretString;
use serde::Deserialize;

use super::text;
use crate::data_folder;

/// `[store]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StoreConfig {
    /// The folder of the durable state; `None` for the default, see [`StoreConfig::folder`].
    pub data_dir: Option<PathBuf>,
    /// The PostgreSQL database in the place of a file in that folder: `postgres://…`.
    #[serde(deserialize_with = "text::optional_secret")]
    pub url: Option<SecretString>,
    /// A file that holds that URL.
    #[serde(deserialize_with = "text::optional_path")]
    pub url_file: Option<PathBuf>,
    /// The certificates of the authorities that are trusted to vouch for the server; `None` for those of the system.
    #[serde(deserialize_with = "text::optional_path")]
    pub ca_file: Option<PathBuf>,
    /// The most connections to the server.
    pub connections: NonZeroUsize,
    /// For how long a worker that is not heard of keeps the right to fetch for an organization.
    #[serde(deserialize_with = "text::duration")]
    pub seat_term: Duration,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            data_dir: None,
            url: None,
            url_file: None,
            ca_file: None,
            connections: const { NonZeroUsize::new(10).unwrap() },
            seat_term: Duration::from_secs(6),
        }
    }
}

impl StoreConfig {
    /// Where the store is: in the database, if one is named; else in a file in the folder.
    ///
    /// # Errors
    /// [`StoreError::Misconfigured`], if the URL of the database cannot be read.
    pub fn location(&self) -> Result<StoreLocation, StoreError> {
        match (&self.url, &self.url_file) {
            (None, None) => Ok(data_folder::location(&self.folder())),
            (Some(_), Some(_)) => Err(misconfigured("give the URL here or in a file, not both".to_owned())),
            (Some(url), None) => self.database(url),
            (None, Some(file)) => match std::fs::read_to_string(file) {
                Ok(text) => self.database(&text.trim_start_matches('\u{feff}').trim().into()),
                Err(error) => Err(misconfigured(format!("{}: {error}", file.display()))),
            },
        }
    }

    /// The key that says which database it is.
    pub(super) fn key(&self) -> &'static str {
        if self.url_file.is_some() {
            "store.url_file"
        } else {
            "store.url"
        }
    }

    #[cfg(feature = "postgres")]
    fn database(&self, url: &SecretString) -> Result<StoreLocation, StoreError> {
        use secrecy::ExposeSecret as _;

        let mut settings = runs_store::PostgresSettings::new(url.expose_secret());
        settings.ca_file.clone_from(&self.ca_file);
        settings.connections = self.connections.get();
        settings.check()?;
        Ok(StoreLocation::Postgres(settings))
    }

    #[cfg(not(feature = "postgres"))]
    fn database(&self, _: &SecretString) -> Result<StoreLocation, StoreError> {
        Err(misconfigured(
            "this runs-worker was built without PostgreSQL".to_owned(),
        ))
    }

    /// The folder of the durable state: as configured; else `$STATE_DIRECTORY`, which systemd sets; else
    /// `$XDG_STATE_HOME/runs-worker` or `~/.local/state/runs-worker`; else `/var/lib/runs-worker`.
    pub fn folder(&self) -> PathBuf {
        let from_environment = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        if let Some(folder) = &self.data_dir {
            return folder.clone();
        }
        // Several are separated by colons.
        if let Ok(folders) = std::env::var("STATE_DIRECTORY")
            && let Some(first) = folders.split(':').find(|folder| !folder.is_empty())
        {
            return first.into();
        }
        from_environment("XDG_STATE_HOME")
            .or_else(|| from_environment("HOME").map(|home| home.join(".local/state")))
            .map_or_else(
                || PathBuf::from("/var/lib/runs-worker"),
                |state| state.join("runs-worker"),
            )
    }
}

fn misconfigured(reason: String) -> StoreError {
    StoreError::Misconfigured { reason }
}
