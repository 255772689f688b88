//! What the newest looks found, for pages, and what is remembered from one look to the next.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tallyfy_model::OrgId;
use tracing::debug;

use super::coverage::Coverage;
use super::memory::{Lost, Memory};

/// The newest look at each organization.
#[derive(Debug, Default)]
pub(crate) struct Board {
    /// Where what was sending is remembered; none for a worker without a folder.
    folder: Option<PathBuf>,
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    memory: Memory,
    troubles: BTreeMap<OrgId, Vec<String>>,
}

impl Board {
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self {
            folder,
            found: Mutex::default(),
        }
    }

    /// What is wrong with the registrations, in sentences, by organization. One that was looked at and has nothing wrong has
    /// none.
    pub(crate) fn troubles(&self) -> BTreeMap<OrgId, Vec<String>> {
        self.found().troubles.clone()
    }

    /// Takes in what is registered now, and says what is not any more.
    pub(super) fn take(&self, org: &OrgId, coverage: &Coverage) -> Lost {
        let mut found = self.found();
        // Read again each time: a command may have written it.
        if let Some(folder) = &self.folder {
            found.memory = Memory::read(folder);
        }
        let lost = found.memory.lost(org, coverage);
        found.memory.learn(org, coverage);
        if let Some(folder) = &self.folder
            && let Err(error) = found.memory.write(folder)
        {
            debug!(%org, %error, "which templates send webhooks cannot be remembered");
        }
        found.troubles.insert(org.clone(), lost.sentences());
        lost
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        // Whoever panicked while holding it left whole values.
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
