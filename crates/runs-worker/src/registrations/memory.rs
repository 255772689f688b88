//! Which templates sent to this worker when it last looked, so that one that stopped is noticed over restarts, too.
//!
//! It is a small file in the data folder. Losing it costs one notice; so it is read leniently, and written in one piece.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tallyfy_model::OrgId;

use super::coverage::{Coverage, Reach};

/// The name of the file.
const FILE: &str = "registrations.json";

/// What sent to this worker, by organization.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Memory {
    organizations: BTreeMap<String, Sending>,
}

/// What of one organization.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Sending {
    /// Whether the organization as a whole did.
    organization: bool,
    /// The titles of the templates that did, by id.
    templates: BTreeMap<String, String>,
}

/// What sent to this worker and does not any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Whether the webhook of the organization as a whole is gone.
    pub(crate) organization: bool,
    /// Titles of templates.
    pub(crate) templates: Vec<String>,
}

impl Memory {
    /// What is remembered in this folder; nothing, where that cannot be read.
    pub(crate) fn read(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join(FILE)).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Writes it, in the place of what was there.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        let file = folder.join(FILE);
        let beside: PathBuf = folder.join(format!("{FILE}.new"));
        fs::write(&beside, serde_json::to_string(self)?)?;
        fs::rename(beside, file)
    }

    /// What was sending and is not, by what is registered now.
    pub(crate) fn lost(&self, org: &OrgId, now: &Coverage) -> Lost {
        let Some(before) = self.organizations.get(org.as_str()) else {
            return Lost::default();
        };
        let gone = |(template, reach): &(super::FoundTemplate, Reach)| {
            let was = before.templates.contains_key(template.id.as_str());
            (was && matches!(reach, Reach::Not(_))).then(|| template.title.clone())
        };
        Lost {
            organization: before.organization && now.organization == 0,
            templates: now.templates.iter().filter_map(gone).collect(),
        }
    }

    /// Adds what sends now. What is lost stays remembered, so that it is told until it is back, or its template is gone.
    pub(crate) fn learn(&mut self, org: &OrgId, now: &Coverage) {
        let sending = self.organizations.entry(org.to_string()).or_default();
        sending.organization |= now.organization > 0;
        let known = |id: &String, _: &mut String| now.templates.iter().any(|(template, _)| template.id.as_str() == id);
        sending.templates.retain(known);
        for (template, _) in now.templates.iter().filter(|(template, _)| template.webhook.is_here()) {
            sending
                .templates
                .insert(template.id.to_string(), template.title.clone());
        }
    }

    /// Forgets an organization: what it has is what is meant, from the next look on. Whether anything was known of it.
    pub(crate) fn forget(&mut self, org: &OrgId) -> bool {
        self.organizations.remove(org.as_str()).is_some()
    }
}

impl Lost {
    pub(crate) fn is_empty(&self) -> bool {
        !self.organization && self.templates.is_empty()
    }

    /// What is wrong, in sentences.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let of_organization = self
            .organization
            .then(|| "the organization used to send its webhooks here and does not any more".to_owned());
        let of_template =
            |title: &String| format!("the template {title:?} used to send its webhooks here and does not any more");
        let of_templates = self.templates.iter().map(of_template);
        of_organization.into_iter().chain(of_templates).collect()
    }

    /// How many registrations.
    pub(crate) fn count(&self) -> usize {
        self.templates.len() + usize::from(self.organization)
    }
}
