//! The organizations whose runs the worker looks after, and their secrets.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tallyfy_model::OrgId;

use super::problem::Problem;
use super::text;

/// An organization as the file or the environment gives it; nothing is checked yet.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OrganizationTable {
    /// Its id, as `X-Tallyfy-orgID` names it.
    pub id: Option<String>,
    /// The token that the API is called with.
    pub token: Option<SecretString>,
    /// Or a file that holds it, and is read again when it changes.
    pub token_file: Option<PathBuf>,
    /// The secrets, any of which the path of a webhook may end in.
    #[serde(deserialize_with = "text::secrets")]
    pub webhook_secrets: Vec<SecretString>,
    /// Or a file that holds them, one a line.
    pub webhook_secrets_file: Option<PathBuf>,
}

/// An organization that everything is known of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Organization {
    /// Its id.
    pub id: OrgId,
    /// The token that the API is called with.
    pub token: TokenSetting,
    /// The secrets, any of which the path of a webhook may end in. None where only the API is called.
    pub webhook_secrets: Vec<SecretString>,
}

/// Where a token is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TokenSetting {
    /// In the configuration.
    Inline(SecretString),
    /// In a file that is read again when it changes.
    File(PathBuf),
}

impl Organization {
    /// Whether a webhook with a secret of one could be one of the other.
    pub(super) fn shares_a_secret_with(&self, other: &Self) -> bool {
        self.webhook_secrets.iter().any(|secret| {
            let secrets = other.webhook_secrets.iter();
            secrets
                .map(ExposeSecret::expose_secret)
                .any(|theirs| theirs == secret.expose_secret())
        })
    }

    /// An organization from its parts.
    pub fn new(id: OrgId, token: TokenSetting, webhook_secrets: Vec<SecretString>) -> Self {
        Self {
            id,
            token,
            webhook_secrets,
        }
    }
}

impl OrganizationTable {
    /// Replaces what `other` has.
    pub(super) fn overlay(&mut self, other: Self) {
        self.id = other.id.or(self.id.take());
        if other.token.is_some() || other.token_file.is_some() {
            self.token = other.token;
            self.token_file = other.token_file;
        }
        if !other.webhook_secrets.is_empty() || other.webhook_secrets_file.is_some() {
            self.webhook_secrets = other.webhook_secrets;
            self.webhook_secrets_file = other.webhook_secrets_file;
        }
    }

    /// Checks what is there and reads the secrets' file. `place` names the table in messages, `advice` says which
    /// environment variables could have given a value.
    pub(super) fn resolve(self, place: &str, webhooks: bool, advice: bool) -> Result<Organization, Vec<Problem>> {
        let mut problems = Vec::new();
        let or = |name: &str| {
            if advice {
                format!(" (or the environment variable {name})")
            } else {
                String::new()
            }
        };
        let mut problem = |key: &str, message: String| problems.push(Problem::new(format!("{place}.{key}"), message));

        let id = self.id.filter(|id| !id.trim().is_empty());
        if id.is_none() {
            problem(
                "id",
                format!("the organization's id is missing{}", or("TALLYFY_ORG_ID")),
            );
        }
        let token = match (self.token, self.token_file) {
            (Some(_), Some(_)) => {
                problem("token", "give token or token_file, not both".to_owned());
                None
            }
            (Some(token), None) if !token.expose_secret().trim().is_empty() => Some(TokenSetting::Inline(token)),
            (None, Some(file)) => Some(TokenSetting::File(file)),
            (_, None) => {
                problem(
                    "token",
                    format!(
                        "the access token is missing{}",
                        or("TALLYFY_TOKEN or TALLYFY_TOKEN_FILE")
                    ),
                );
                None
            }
        };
        let given = match (self.webhook_secrets, self.webhook_secrets_file) {
            (secrets, Some(_)) if !secrets.is_empty() => Err((
                "webhook_secrets",
                "give webhook_secrets or webhook_secrets_file, not both".to_owned(),
            )),
            (_, Some(file)) => read_secrets(&file).map_err(|message| ("webhook_secrets_file", message)),
            (secrets, None) if webhooks && secrets.iter().all(|secret| secret.expose_secret().is_empty()) => Err((
                "webhook_secrets",
                format!(
                    "the secret of the webhook path is missing{}; make one with `openssl rand -hex 32`",
                    or("TALLYFY_WEBHOOK_SECRET or TALLYFY_WEBHOOK_SECRET_FILE")
                ),
            )),
            (secrets, None) => Ok(secrets),
        };
        let webhook_secrets = given.unwrap_or_else(|(key, message)| {
            problem(key, message);
            Vec::new()
        });
        match (id, token) {
            (Some(id), Some(token)) if problems.is_empty() => {
                let mut webhook_secrets = webhook_secrets;
                webhook_secrets.retain(|secret| !secret.expose_secret().is_empty());
                Ok(Organization::new(OrgId::new(id.trim()), token, webhook_secrets))
            }
            _ => Err(problems),
        }
    }
}

fn read_secrets(file: &Path) -> Result<Vec<SecretString>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let secrets: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(SecretString::from)
        .collect();
    if secrets.is_empty() {
        return Err(format!("{} is empty", file.display()));
    }
    Ok(secrets)
}
