//! What can be replaced while the worker runs: the path secrets and the tokens.

use tallyfy_model::OrgId;
use tallyfy_transport::{BuildError, ReplaceableTokens};
use tracing::{info, warn};

use crate::api;
use crate::config::{Loaded, Organization};
use crate::receive::SharedAuthenticator;
use crate::redact::PathSecrets;
use crate::registrations::Here;

/// The places where secrets and tokens are.
pub(crate) struct Reloads {
    pub(crate) authenticator: SharedAuthenticator,
    pub(crate) path_secrets: PathSecrets,
    pub(crate) tokens: Vec<(OrgId, ReplaceableTokens)>,
    pub(crate) here: Vec<(OrgId, Here)>,
}

impl Reloads {
    /// Takes over what a configuration that was read again says, for the organizations that there are.
    pub(crate) fn take(&self, loaded: &Loaded) -> Result<(), BuildError> {
        let here = |organization: &&Organization| self.tokens.iter().any(|(org, _)| *org == organization.id);
        let known: Vec<Organization> = loaded.organizations.iter().filter(here).cloned().collect();
        if known.len() != loaded.organizations.len() || known.len() != self.tokens.len() {
            warn!("organizations came or went: that takes a restart");
        }
        let mut sources = Vec::new();
        for (org, tokens) in &self.tokens {
            if let Some(organization) = known.iter().find(|organization| organization.id == *org) {
                sources.push((tokens, api::token_source(organization, &loaded.config.api)?));
            }
        }
        for (tokens, source) in sources {
            tokens.replace(source);
        }
        for (org, here) in &self.here {
            if let Some(organization) = known.iter().find(|organization| organization.id == *org) {
                here.replace(&organization.webhook_secrets);
            }
        }
        // First what is hidden, then what is accepted.
        self.path_secrets.replace(&known);
        self.authenticator.replace(&known);
        info!(organizations = known.len(), "secrets and tokens were read again");
        Ok(())
    }
}
