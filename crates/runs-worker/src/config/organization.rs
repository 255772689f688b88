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
pub(super) struct OrganizationTable {
    /// Its id, as `X-Tallyfy-orgID` names it.
    pub(super) id: Option<String>,
    /// The token that the API is called with.
    pub(super) token: Option<SecretString>,
    /// Or a file that holds it, and is read again when it changes.
    pub(super) token_file: Option<PathBuf>,
    /// Or the id of a client, to which an auth server issues tokens.
    pub(super) client_id: Option<String>,
    /// The client's secret.
    pub(super) client_secret: Option<SecretString>,
    /// Or a file that holds it.
    pub(super) client_secret_file: Option<PathBuf>,
    /// Where the auth server is whose `/oauth/token` issues tokens.
    pub(super) auth_url: Option<String>,
    /// The e-mail address of the user whom the client acts as.
    pub(super) act_as: Option<String>,
    /// The secrets, any of which the path of a webhook may end in.
    #[serde(deserialize_with = "text::secrets")]
    pub(super) webhook_secrets: Vec<SecretString>,
    /// Or a file that holds them, one a line.
    pub(super) webhook_secrets_file: Option<PathBuf>,
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
        /// The e-mail address of the user whom the client acts as; none is the application itself.
        act_as: Option<String>,
    },
}

/// The token itself.
impl From<&str> for TokenSetting {
    fn from(token: &str) -> Self {
        Self::Inline(token.into())
    }
}

/// The token itself.
impl From<String> for TokenSetting {
    fn from(token: String) -> Self {
        Self::Inline(token.into())
    }
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

    /// An organization from its parts: the secrets are those that the path of a webhook may end in. They are looked at by
    /// [`Loaded::new`](super::Loaded::new).
    pub fn new(
        id: impl Into<OrgId>,
        token: impl Into<TokenSetting>,
        webhook_secrets: impl IntoIterator<Item = impl Into<SecretString>>,
    ) -> Self {
        Self {
            id: id.into(),
            token: token.into(),
            webhook_secrets: webhook_secrets.into_iter().map(Into::into).collect(),
        }
    }
}

/// What was put together in code is held to the same as what is read from a file.
impl From<Organization> for OrganizationTable {
    fn from(organization: Organization) -> Self {
        let mut table = Self {
            id: Some(organization.id.to_string()),
            webhook_secrets: organization.webhook_secrets,
            ..Self::default()
        };
        match organization.token {
            TokenSetting::Inline(token) => table.token = Some(token),
            TokenSetting::File(file) => table.token_file = Some(file),
            TokenSetting::Client {
                id,
                secret,
                auth_url,
                act_as,
            } => {
                table.act_as = act_as;
                table.client_id = Some(id);
                table.client_secret = Some(secret);
                table.auth_url = Some(auth_url.to_string());
            }
        }
        table
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
            (self.client_secret_file, self.auth_url, self.act_as) = (None, None, None);
        }
        if !other.webhook_secrets.is_empty() || other.webhook_secrets_file.is_some() {
            self.webhook_secrets = other.webhook_secrets;
            self.webhook_secrets_file = other.webhook_secrets_file;
        }
    }

    /// Whether it has anything that belongs to one organization alone.
    pub(super) fn has_secrets(&self) -> bool {
        self.token.is_some()
            || self.token_file.is_some()
            || !self.webhook_secrets.is_empty()
            || self.webhook_secrets_file.is_some()
    }

    /// Reads what is there, and the secrets' file. `place` names the table in messages, `advice` says whether environment
    /// variables could have given a value.
    pub(super) fn resolve(self, place: &str, webhooks: bool, advice: bool) -> Result<Organization, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut problem = |key: &str, message: String| problems.push(Problem::new(format!("{place}.{key}"), message));
        let or = Advice(advice);
        let id = read_id(self.id.as_deref(), or).map_err(|message| problem("id", message));
        let is_client = self.client_id.is_some()
            || self.client_secret.is_some()
            || self.client_secret_file.is_some()
            || self.auth_url.is_some()
            || self.act_as.is_some();
        let token = match (self.token, self.token_file) {
            (None, None) if is_client => {
                let secret = (self.client_secret, self.client_secret_file);
                let act_as = self.act_as.as_deref();
                client(
                    self.client_id.as_deref(),
                    secret,
                    self.auth_url.as_deref(),
                    act_as,
                    &mut problem,
                )
            }
            (_, _) if is_client => {
                problem("client_id", "give a token or a client, not both".to_owned());
                None
            }
            (token, file) => read_token(token, file, or)
                .map_err(|message| problem("token", message))
                .ok(),
        };
        let secrets = webhook_secrets(self.webhook_secrets, self.webhook_secrets_file, webhooks, or);
        let secrets = secrets.map_err(|(key, message)| problem(key, message));
        match (id, token, secrets) {
            (Ok(id), Some(token), Ok(secrets)) if problems.is_empty() => Ok(Organization::new(id, token, secrets)),
            _ => Err(problems),
        }
    }
}

/// Whether environment variables could have given a value; then a message says which.
#[derive(Clone, Copy)]
struct Advice(bool);

impl Advice {
    fn or(self, name: &str) -> String {
        if self.0 {
            format!(" (or the environment variable {name})")
        } else {
            String::new()
        }
    }
}

fn read_id(id: Option<&str>, advice: Advice) -> Result<OrgId, String> {
    match as_meant(id.unwrap_or_default())? {
        "" => Err(format!(
            "the organization's id is missing{}",
            advice.or("TALLYFY_ORG_ID")
        )),
        id => Ok(OrgId::new(id)),
    }
}

fn read_token(token: Option<SecretString>, file: Option<PathBuf>, advice: Advice) -> Result<TokenSetting, String> {
    match (token, file) {
        (Some(_), Some(_)) => Err("give token or token_file, not both".to_owned()),
        (None, Some(file)) => Ok(TokenSetting::File(file)),
        (token, None) => {
            let token = token.unwrap_or_default();
            match as_meant(token.expose_secret())? {
                "" => Err(format!(
                    "the access token is missing{}",
                    advice.or("TALLYFY_TOKEN or TALLYFY_TOKEN_FILE")
                )),
                token => as_a_header_carries_it(token).map(|()| TokenSetting::Inline(token.into())),
            }
        }
    }
}

/// The secrets of the webhook path, or the key of what is wrong with them.
fn webhook_secrets(
    inline: Vec<SecretString>,
    file: Option<PathBuf>,
    needed: bool,
    advice: Advice,
) -> Result<Vec<SecretString>, (&'static str, String)> {
    let (key, given) = match file {
        Some(_) if !inline.is_empty() => {
            let message = "give webhook_secrets or webhook_secrets_file, not both";
            return Err(("webhook_secrets", message.to_owned()));
        }
        Some(file) => {
            let key = "webhook_secrets_file";
            (key, read_secrets(&file).map_err(|message| (key, message))?)
        }
        None => ("webhook_secrets", inline),
    };
    let mut secrets = Vec::new();
    for secret in given {
        match as_meant(secret.expose_secret()).map_err(|message| (key, message))? {
            "" => {}
            secret => {
                path_safe(secret).map_err(|message| (key, message))?;
                secrets.push(secret.into());
            }
        }
    }
    if secrets.is_empty() && needed {
        let message = format!(
            "the secret of the webhook path is missing{}; make one with `openssl rand -hex 32`",
            advice.or("TALLYFY_WEBHOOK_SECRET or TALLYFY_WEBHOOK_SECRET_FILE")
        );
        return Err((key, message));
    }
    Ok(secrets)
}

/// A value without the byte-order mark and the white space that files and shells leave around it. Quotes around it are
/// refused: an env file of a container engine keeps them, and a value that has them would be refused by everybody else.
fn as_meant(value: &str) -> Result<&str, String> {
    let value = value.trim_start_matches('\u{feff}').trim();
    let quotes = ['"', '\'', '`', '“', '”', '‘', '’'];
    if value.starts_with(quotes) || value.ends_with(quotes) {
        return Err("is in quotes, which would be part of it; write it without them".to_owned());
    }
    Ok(value)
}

/// What a shell, an env file or a web page leaves beside a token would make the API refuse it.
fn as_a_header_carries_it(token: &str) -> Result<(), String> {
    if token
        .get(..7)
        .is_some_and(|start| start.eq_ignore_ascii_case("bearer "))
    {
        return Err("starts with `Bearer`; write the token alone".to_owned());
    }
    match token.chars().position(|letter| !letter.is_ascii_graphic()) {
        None => Ok(()),
        Some(position) => Err(format!(
            "has a space or another character that no token has, at position {}; a comment behind a value is part of it",
            position + 1
        )),
    }
}

/// Other characters than these are written in several ways on the road, and then a secret is neither recognized nor taken
/// out of what is logged.
fn path_safe(secret: &str) -> Result<(), String> {
    let is_safe = |letter: char| letter.is_ascii_alphanumeric() || "-._~".contains(letter);
    match secret.chars().find(|letter| !is_safe(*letter)) {
        None => Ok(()),
        Some(letter) => Err(format!(
            "a secret contains `{letter}`, which is written in several ways in a URL; letters, digits, `-`, `.`, `_` and `~` \
             are safe. Make another one with `openssl rand -hex 32` and enter the new URL in Tallyfy"
        )),
    }
}

/// The client that an auth server issues tokens to.
fn client(
    id: Option<&str>,
    secret: (Option<SecretString>, Option<PathBuf>),
    auth_url: Option<&str>,
    act_as: Option<&str>,
    problem: &mut impl FnMut(&str, String),
) -> Option<TokenSetting> {
    let id = match as_meant(id.unwrap_or_default()) {
        Ok("") => Err("is missing: the id of the client".to_owned()),
        id => id.map(str::to_owned),
    };
    let id = id.map_err(|message| problem("client_id", message)).ok();
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
    let secret = secret.and_then(|secret| match as_meant(secret.expose_secret()) {
        Ok(secret) => Some(SecretString::from(secret)),
        Err(message) => {
            problem("client_secret", message);
            None
        }
    });
    let act_as = act_as.map(str::trim);
    if act_as.is_some_and(|email| !email.contains('@') || email.chars().any(char::is_whitespace)) {
        problem(
            "act_as",
            "expected the e-mail address of a user of the organization".to_owned(),
        );
        return None;
    }
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
        act_as: act_as.map(str::to_owned),
    })
}

fn read_secrets(file: &Path) -> Result<Vec<SecretString>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => format!("{} is no text in UTF-8; save it as such", file.display()),
        _ => format!("{}: {error}", file.display()),
    })?;
    let secrets: Vec<_> = text
        .trim_start_matches('\u{feff}')
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
