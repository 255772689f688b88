//! `[intake]`

use std::path::{Path, PathBuf};

use runs_store::intake_log::IntakeLogSettings;
use serde::Deserialize;

use super::text;

const MEGABYTE: u64 = 1_000_000;
/// Small, so that a reserve of a few megabytes is several of them.
const SEGMENT_BYTES: u64 = 8 * MEGABYTE;

/// `[intake]`: the log that webhooks are kept in before they are answered.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct IntakeConfig {
    /// The folders of the log; `intake` in the data folder if there is none. The first is preferred; the next ones are used
    /// while it takes no bytes, so they should be on other disks.
    #[serde(deserialize_with = "text::list")]
    pub dirs: Vec<PathBuf>,
    /// How many megabytes are reserved ahead in each folder, so that webhooks are taken while its disk is full.
    pub reserve_megabytes: u32,
    /// How large the log may become while the store cannot take what is in it, in megabytes; 0 is as large as its disks allow.
    pub max_megabytes: u32,
}

impl Default for IntakeConfig {
    fn default() -> Self {
        Self {
            dirs: Vec::new(),
            // Some thousand notifications.
            reserve_megabytes: 16,
            max_megabytes: 0,
        }
    }
}

impl IntakeConfig {
    /// The folders of the log, for a data folder.
    pub(crate) fn folders(&self, data_folder: &Path) -> Vec<PathBuf> {
        match self.dirs.as_slice() {
            [] => vec![data_folder.join("intake")],
            dirs => dirs.to_vec(),
        }
    }

    /// What the log is opened with.
    pub(crate) fn settings(&self, data_folder: &Path) -> IntakeLogSettings {
        let mut settings = IntakeLogSettings::new(self.folders(data_folder));
        settings.segment_bytes = SEGMENT_BYTES;
        settings.reserve_bytes = u64::from(self.reserve_megabytes) * MEGABYTE;
        settings.max_bytes = match self.max_megabytes {
            0 => u64::MAX,
            most => u64::from(most) * MEGABYTE,
        };
        settings
    }
}
