//! Events as messages of NATS JetStream.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::{self, Context, ErrorCode};
use async_nats::{Client, ConnectOptions, HeaderMap, ServerAddr};
use async_trait::async_trait;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::OnceCell;
use tracing::{info, warn};

use super::{Event, Handler, HandlerError};
use crate::event::Most;
use crate::telemetry;

/// A longer one makes a server close the connection: the whole line may have 4096 bytes.
const MAX_SUBJECT_BYTES: usize = 3072;
/// What the server counts beside the event: our headers are shorter.
const HEADERS: usize = 512;
/// What may stand in a token of a subject as it is.
const TOKEN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');

/// Where events are published, and as whom.
#[derive(Clone, Debug)]
pub(crate) struct NatsTarget {
    pub(crate) servers: Vec<ServerAddr>,
    pub(crate) subject: Subject,
    pub(crate) login: NatsLogin,
    pub(crate) ca_file: Option<PathBuf>,
}

/// How the worker says who it is.
#[derive(Clone, Debug, Default)]
pub(crate) enum NatsLogin {
    #[default]
    Nobody,
    Token(SecretString),
    User(String, SecretString),
    CredentialsFile(PathBuf),
}

/// A template of subjects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Org,
    Run,
    Type,
}

impl Subject {
    /// The template if none is configured.
    pub(crate) const DEFAULT: &'static str = "tallyfy.{org}.{run}.{type}";

    /// Reads a template: tokens separated by dots, in which `{org}`, `{run}` and `{type}` stand for those of an event.
    pub(crate) fn read(template: &str) -> Result<Self, String> {
        if template.split('.').any(str::is_empty) {
            return Err(format!("`{template}` has an empty part between dots"));
        }
        let refused = |character: char| character.is_whitespace() || character.is_control() || "*>".contains(character);
        if let Some(character) = template.chars().find(|&character| refused(character)) {
            return Err(format!(
                "`{template}` contains {character:?}, which no subject to publish to can"
            ));
        }
        let mut pieces = Vec::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                return Err(format!("`{template}` has a `{{` without a `}}`"));
            };
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(match name {
                "org" => Piece::Org,
                "run" => Piece::Run,
                "type" => Piece::Type,
                other => {
                    return Err(crate::shared::unknown_word::unknown_word(
                        "placeholder",
                        other,
                        &["org", "run", "type"],
                    ));
                }
            });
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    /// What one of an event may look like.
    fn sample(&self) -> String {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.as_str(),
            Piece::Org | Piece::Run => "0",
            Piece::Type => "seen",
        });
        pieces.collect()
    }

    fn of(&self, event: &Event) -> String {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Org => token(event.org().as_str()),
            Piece::Run => token(event.run_id().as_str()),
            Piece::Type => token(event.kind()),
        });
        pieces.collect()
    }
}

/// A dot would begin another token, and a wildcard is not allowed.
fn token(text: &str) -> String {
    utf8_percent_encode(text, TOKEN).to_string()
}

/// Publishes each event, and counts it as delivered once JetStream has acknowledged it.
pub(crate) struct NatsHandler {
    name: String,
    target: NatsTarget,
    timeout: Duration,
    connection: OnceCell<(Client, Context)>,
}

impl NatsHandler {
    pub(crate) fn new(name: String, target: NatsTarget, timeout: Duration) -> Self {
        Self {
            name,
            target,
            timeout,
            connection: OnceCell::new(),
        }
    }

    /// The stream that takes its subjects, for one who wants to know before there is an event.
    pub(crate) async fn stream(&self) -> Result<String, String> {
        let (_, context) = self.connect_once().await?;
        let subject = self.target.subject.sample();
        let found = context.stream_by_subject(subject.clone()).await;
        found.map_err(|error| format!("no stream takes the subject {subject}: {}", telemetry::chain(&error)))
    }

    /// The connection, which is made by the first event and then by itself whenever it is lost.
    async fn connection(&self) -> Result<&(Client, Context), HandlerError> {
        self.connect_once().await.map_err(HandlerError::unavailable)
    }

    async fn connect_once(&self) -> Result<&(Client, Context), String> {
        let connect = || async {
            // Whoever was first has installed the one that is used; losing the race is as good as winning it.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let client = self.options().await?.connect(&self.target.servers[..]).await;
            let client = client.map_err(|error| format!("cannot connect to NATS: {}", telemetry::chain(&error)))?;
            let mut context = jetstream::new(client.clone());
            context.set_timeout(self.timeout);
            Ok((client, context))
        };
        self.connection.get_or_try_init(connect).await
    }

    async fn options(&self) -> Result<ConnectOptions, String> {
        let name = self.name.clone();
        let mut options = ConnectOptions::new()
            .name(concat!("runs-worker/", env!("CARGO_PKG_VERSION")))
            .connection_timeout(self.timeout.min(Duration::from_secs(5)))
            .event_callback(move |event| {
                let handler = name.clone();
                async move {
                    match event {
                        async_nats::Event::Connected => info!(handler, "connected to NATS"),
                        other => warn!(handler, connection = %other, "the connection to NATS changed"),
                    }
                }
            });
        if let Some(file) = &self.target.ca_file {
            options = options.add_root_certificates(file.clone());
        }
        Ok(match &self.target.login {
            NatsLogin::Nobody => options,
            NatsLogin::Token(token) => options.token(token.expose_secret().to_owned()),
            NatsLogin::User(user, password) => {
                options.user_and_password(user.clone(), password.expose_secret().to_owned())
            }
            NatsLogin::CredentialsFile(file) => options
                .credentials_file(file)
                .await
                .map_err(|error| format!("cannot use {}: {error}", file.display()))?,
        })
    }
}

#[async_trait]
impl Handler for NatsHandler {
    async fn handle(&self, event: &Event) -> Result<(), HandlerError> {
        let (client, context) = self.connection().await?;
        // What is published to a connection that is lost waits in the client's memory, and would be counted as tried.
        if client.connection_state() != State::Connected {
            return Err(HandlerError::unavailable("the connection to NATS is lost"));
        }
        let subject = self.target.subject.of(event);
        if subject.len() > MAX_SUBJECT_BYTES {
            return Err(HandlerError::reject(format!(
                "its subject would have {} bytes, a server takes {MAX_SUBJECT_BYTES}",
                subject.len()
            )));
        }
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", event.id().to_string());
        headers.insert("Content-Type", "application/cloudevents+json");
        headers.insert("Runs-Attempt", event.attempt().to_string());
        // In its INFO the server says how much it takes.
        let most = client.server_info().max_payload.saturating_sub(HEADERS);
        let event = event.with_fewer_bodies(Most::OfEvent(most));
        let publish = async {
            let acknowledgement = context
                .publish_with_headers(subject.clone(), headers, event.json().clone())
                .await?;
            acknowledgement.await
        };
        match publish.await {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.kind() {
                PublishErrorKind::StreamNotFound => {
                    HandlerError::unavailable(format!("no JetStream stream takes the subject {subject}"))
                }
                PublishErrorKind::MaxPayloadExceeded => {
                    let most = client.server_info().max_payload;
                    let size = event.json().len();
                    HandlerError::reject(format!("the event has {size} bytes, the server takes {most}"))
                }
                _ => refused(&error),
            }),
        }
    }
}

/// What it means that a stream did not take a message.
fn refused(error: &PublishError) -> HandlerError {
    let text = telemetry::chain(error);
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<jetstream::Error>());
    match source.map(jetstream::Error::error_code) {
        Some(ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM) => HandlerError::reject(text),
        // The stream is full, or its server: no event can be taken.
        Some(
            ErrorCode::STREAM_STORE_FAILED | ErrorCode::STORAGE_RESOURCES_EXCEEDED | ErrorCode::INSUFFICIENT_RESOURCES,
        ) => HandlerError::unavailable(text),
        _ => HandlerError::retry(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_that_cannot_be_published_to_is_refused() {
        let refused = ["", "a..b", "a.", "a.*", "a.>", "a b", "{run", "{rum}"]
            .map(|template| Subject::read(template).err().unwrap_or_default());
        insta::assert_snapshot!(refused.join("\n"));
        assert!(Subject::read(Subject::DEFAULT).is_ok());
    }

    #[test]
    fn no_id_makes_a_token_of_its_own() {
        assert_eq!(token("a-b_c"), "a-b_c");
        assert_eq!(token("a.b*c>d e/ü"), "a%2Eb%2Ac%3Ed%20e%2F%C3%BC");
    }
}
