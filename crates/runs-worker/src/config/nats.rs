//! What a handler of the type `nats` needs.

use std::path::PathBuf;

use async_nats::ServerAddr;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::text;
use crate::handler::{NatsLogin, NatsTarget, Subject};

/// `[handlers.nats]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct NatsTable {
    /// The URLs of the servers, any of which will do.
    #[serde(deserialize_with = "text::list")]
    pub servers: Vec<String>,
    /// A template of the subject that events are published to.
    pub subject: Option<String>,
    /// A token to log in with.
    pub token: Option<SecretString>,
    /// A user to log in as, with a password.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<SecretString>,
    /// A file with a user's JWT and its seed.
    pub credentials_file: Option<PathBuf>,
    /// A file with the certificates of authorities to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether a server elsewhere may be spoken to without TLS.
    pub allow_plain: bool,
}

impl NatsTable {
    pub(super) fn target(&self, problem: &mut impl FnMut(&str, String)) -> Option<NatsTarget> {
        let mut servers = Vec::new();
        if self.servers.is_empty() {
            problem("nats.servers", "is missing: the URLs of the servers".to_owned());
        }
        for (position, server) in self.servers.iter().enumerate() {
            match self.server(server) {
                Ok(server) => servers.push(server),
                Err(message) => problem(&format!("nats.servers[{position}]"), message),
            }
        }
        let template = self.subject.as_deref().unwrap_or(Subject::DEFAULT);
        let subject = Subject::read(template)
            .map_err(|message| problem("nats.subject", message))
            .ok();
        for (key, file) in [
            ("nats.credentials_file", &self.credentials_file),
            ("nats.ca_file", &self.ca_file),
        ] {
            if let Some(file) = file.as_ref().filter(|file| !file.is_file()) {
                problem(key, format!("there is no file {}", file.display()));
            }
        }
        let login = match (&self.token, &self.user, &self.password, &self.credentials_file) {
            (None, None, None, None) => Some(NatsLogin::Nobody),
            (Some(token), None, None, None) => Some(NatsLogin::Token(token.clone())),
            (None, Some(user), Some(password), None) => Some(NatsLogin::User(user.clone(), password.clone())),
            (None, None, None, Some(file)) => Some(NatsLogin::CredentialsFile(file.clone())),
            _ => {
                problem(
                    "nats",
                    "give one of token, user with password, or credentials_file".to_owned(),
                );
                None
            }
        };
        Some(NatsTarget {
            servers,
            subject: subject?,
            login: login?,
            ca_file: self.ca_file.clone(),
        })
    }

    /// The URL is not repeated: it may hold a password.
    fn server(&self, text: &str) -> Result<ServerAddr, String> {
        let server: ServerAddr = text.parse().map_err(|error| format!("is not a NATS URL: {error}"))?;
        if server.has_user_pass() {
            return Err("contains a user name or a password; give user and password beside it".to_owned());
        }
        let is_local = matches!(server.host(), "localhost" | "127.0.0.1" | "::1" | "[::1]");
        if server.tls_required() || is_local || self.allow_plain {
            Ok(server)
        } else {
            Err("nats:// would show runs to everybody on the way, expected tls://; or set allow_plain".to_owned())
        }
    }

    pub(super) fn is_set(&self) -> bool {
        !self.servers.is_empty()
            || self.subject.is_some()
            || self
                .token
                .as_ref()
                .is_some_and(|token| !token.expose_secret().is_empty())
            || self.user.is_some()
            || self.password.is_some()
            || self.credentials_file.is_some()
            || self.ca_file.is_some()
            || self.allow_plain
    }
}
