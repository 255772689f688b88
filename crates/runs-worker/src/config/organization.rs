//! The organizations whose runs the worker looks after, and their secrets.

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tallyfy_model::OrgId;
use tallyfy_transport::BaseUrl;

use super::problem::Problem;
use super::text;

/// One of the two places that the vendor's pages name (API reference, section a.3).
const AUTH_URL: &str = "https://account.tallyfy.com";

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
    /// Or the id of a client, to which an auth server issues tokens.
    pub client_id: Option<String>,
    /// The client's secret.
    pub client_secret: Option<SecretString>,
    /// Or a file that holds it.
    pub client_secret_file: Option<PathBuf>,
    /// Where the auth server is whose `/oauth/token` issues tokens.
    pub auth_url: Option<String>,
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
    /// Issued by an auth server, and renewed before it expires.
    Client {
        /// The client's id.
        id: String,
        /// The client's secret.
        secret: SecretString,
        /// Where the auth server is.
        auth_url: BaseUrl,
    },
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
            (self.client_id, self.client_secret) = (None, None);
            (self.client_secret_file, self.auth_url) = (None, None);
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
        let is_client = self.client_id.is_some()
            || self.client_secret.is_some()
            || self.client_secret_file.is_some()
            || self.auth_url.is_some();
        let token = match (self.token, self.token_file) {
            (None, None) if is_client => {
                let secret = (self.client_secret, self.client_secret_file);
                client(self.client_id, secret, self.auth_url.as_deref(), &mut problem)
            }
            (_, _) if is_client => {
                problem("client_id", "give a token or a client, not both".to_owned());
                None
            }
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

/// The client that an auth server issues tokens to.
fn client(
    id: Option<String>,
    secret: (Option<SecretString>, Option<PathBuf>),
    auth_url: Option<&str>,
    problem: &mut impl FnMut(&str, String),
) -> Option<TokenSetting> {
    let id = id.filter(|id| !id.trim().is_empty());
    if id.is_none() {
        problem("client_id", "is missing: the id of the client".to_owned());
    }
    let secret = match secret {
        (Some(secret), None) => Some(secret),
        (None, Some(file)) => match read_secrets(&file) {
            Ok(secrets) => secrets.into_iter().next(),
            Err(message) => {
                problem("client_secret_file", message);
                None
            }
        },
        (Some(_), Some(_)) => {
            problem(
                "client_secret",
                "give client_secret or client_secret_file, not both".to_owned(),
            );
            None
        }
        (None, None) => {
            problem("client_secret", "is missing: the secret of the client".to_owned());
            None
        }
    };
    let auth_url = match auth_url.unwrap_or(AUTH_URL).parse() {
        Ok(auth_url) => Some(auth_url),
        Err(error) => {
            // Not repeated: it may hold a password.
            let error: tallyfy_transport::BaseUrlError = error;
            problem("auth_url", error.to_string());
            None
        }
    };
    Some(TokenSetting::Client {
        id: id?,
        secret: secret?,
        auth_url: auth_url?,
    })
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
