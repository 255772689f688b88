//! What a handler of the type `nats` needs.

use std::path::PathBuf;

use async_nats::ServerAddr;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::HandlerKind;
use super::text;
use super::told::Told;
use crate::handler::{NatsLogin, NatsTarget, Subject};

/// `[handlers.nats]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct NatsTable {
    /// The URLs of the servers, any of which will do.
    #[serde(deserialize_with = "text::list")]
    servers: Vec<String>,
    /// A template of the subject that events are published to.
    subject: Option<String>,
    /// A token to log in with.
    token: Option<SecretString>,
    /// A user to log in as, with a password.
    user: Option<String>,
    /// The user's password.
    password: Option<SecretString>,
    /// A file with a user's JWT and its seed.
    credentials_file: Option<PathBuf>,
    /// A file with the certificates of authorities to trust beside the system's.
    ca_file: Option<PathBuf>,
    /// Whether a server elsewhere may be spoken to without TLS.
    allow_plain: bool,
}

impl NatsTable {
    pub(super) fn kind(&self, told: &mut Told<'_>) -> Option<HandlerKind> {
        let target = self.target(told)?;
        Some(HandlerKind::Nats(Box::new(target)))
    }

    fn target(&self, told: &mut Told<'_>) -> Option<NatsTarget> {
        let servers = self.read_servers(told);
        let template = self.subject.as_deref().unwrap_or(Subject::DEFAULT);
        let subject = Subject::read(template)
            .map_err(|message| told.problem("nats.subject", message))
            .ok();
        for (key, file) in [
            ("nats.credentials_file", &self.credentials_file),
            ("nats.ca_file", &self.ca_file),
        ] {
            if let Some(file) = file.as_ref().filter(|file| !file.is_file()) {
                told.problem(key, format!("there is no file {}", file.display()));
            }
        }
        let login = self.login(told);
        Some(NatsTarget {
            servers,
            subject: subject?,
            login: login?,
            ca_file: self.ca_file.clone(),
        })
    }

    fn read_servers(&self, told: &mut Told<'_>) -> Vec<ServerAddr> {
        let mut servers = Vec::new();
        if self.servers.is_empty() {
            told.problem("nats.servers", "is missing: the URLs of the servers".to_owned());
        }
        for (position, server) in self.servers.iter().enumerate() {
            match self.server(server) {
                Ok(server) => servers.push(server),
                Err(message) => told.problem(&format!("nats.servers[{position}]"), message),
            }
        }
        servers
    }

    fn login(&self, told: &mut Told<'_>) -> Option<NatsLogin> {
        match (&self.token, &self.user, &self.password, &self.credentials_file) {
            (None, None, None, None) => Some(NatsLogin::Nobody),
            (Some(token), None, None, None) => Some(NatsLogin::Token(token.clone())),
            (None, Some(user), Some(password), None) => Some(NatsLogin::User(user.clone(), password.clone())),
            (None, None, None, Some(file)) => Some(NatsLogin::CredentialsFile(file.clone())),
            _ => {
                let message = "give one of token, user with password, or credentials_file";
                told.problem("nats", message.to_owned());
                None
            }
        }
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
