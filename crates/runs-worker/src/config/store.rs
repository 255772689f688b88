//! `[store]`: where the state is.

use std::path::PathBuf;

use serde::Deserialize;

/// `[store]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StoreConfig {
    /// The folder of the durable state; `None` for the default, see [`StoreConfig::folder`].
    pub data_dir: Option<PathBuf>,
}

impl StoreConfig {
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
