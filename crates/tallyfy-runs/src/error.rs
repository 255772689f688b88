//! Why there is no run, by what the caller can do about it.

use std::fmt;
use std::time::Duration;

use http::{Method, StatusCode};
use tallyfy_model::{ApiError, RunId, TaskId};
use tallyfy_transport::{ErrorKind, Request, Response, TransportError};
use thiserror::Error;

/// Why a use case has no result.
///
/// Messages name what was asked for. They repeat what the API says of its 4xx answers, shortened; nothing of a 5xx
/// answer, which may leak the vendor's internals; and never a token or a body.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The API knows no such thing (404). It may never have existed, or be deleted, or belong to another organization.
    #[error("{0}: not found{reason}", reason = .0.reason())]
    NotFound(Box<Answer>),
    /// The token's owner may not see it (403).
    #[error("{0}: no access{reason}", reason = .0.reason())]
    NoAccess(Box<Answer>),
    /// The token is not valid, or not any more (401).
    #[error("{0}: the token is refused{reason}", reason = .0.reason())]
    TokenRefused(Box<Answer>),
    /// Too many requests (429).
    #[error("{answer}: rate limited{}{}", retry_text(*.retry_after), .answer.reason())]
    RateLimited {
        /// The answer.
        answer: Box<Answer>,
        /// How long to wait, if the API says.
        retry_after: Option<Duration>,
    },
    /// The API refuses the request as such (400, 409, 422 and other 4xx).
    #[error("{0}: the request is invalid{reason}", reason = .0.reason())]
    InvalidRequest(Box<Answer>),
    /// The request cannot be sent, because an id is empty for example.
    #[error("the request cannot be made")]
    Unsendable(#[source] TransportError),
    /// The address exists for nobody (404 for the path, not for the thing): the base URL is wrong, or the API changed.
    #[error("{0}: there is no such endpoint, check the base URL{reason}", reason = .0.reason())]
    NoSuchEndpoint(Box<Answer>),
    /// The server is in trouble (5xx), gave up waiting for the request (408), or answered with a redirect, which is not
    /// followed.
    #[error("{0}: {trouble}", trouble = .0.trouble())]
    ServerTrouble(Box<Answer>),
    /// There is an answer, but it is not what the API is known to send.
    #[error("{answer}: {mismatch}")]
    NotTheExpectedJson {
        /// The answer.
        answer: Box<Answer>,
        /// What is wrong with it, and where.
        mismatch: Mismatch,
    },
    /// There is no answer.
    #[error("there is no answer from the API")]
    NotReachable(#[source] TransportError),
    /// There is no usable token.
    #[error("there is no usable token")]
    Credentials(#[source] TransportError),
    /// The answer is larger than the transport accepts.
    #[error("the answer is too large")]
    TooLarge(#[source] TransportError),
}

impl Error {
    /// Whether the same request may succeed later, with nothing changed on this side.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::ServerTrouble(_) | Self::NotTheExpectedJson { .. } => true,
            Self::NotReachable(source) => source.is_retryable(),
            Self::NotFound(_)
            | Self::NoAccess(_)
            | Self::TokenRefused(_)
            | Self::InvalidRequest(_)
            | Self::Unsendable(_)
            | Self::NoSuchEndpoint(_)
            | Self::Credentials(_)
            | Self::TooLarge(_) => false,
        }
    }

    /// The error of an answer that is not 2xx.
    pub(crate) fn of_answer(request: &Request, response: &Response, clock: fn() -> jiff::Timestamp) -> Self {
        let answer = Box::new(Answer::new(request, response));
        match response.status {
            StatusCode::UNAUTHORIZED => Self::TokenRefused(answer),
            StatusCode::FORBIDDEN => Self::NoAccess(answer),
            StatusCode::NOT_FOUND if is_about_the_path(&answer.api, &response.body) => Self::NoSuchEndpoint(answer),
            StatusCode::NOT_FOUND => Self::NotFound(answer),
            StatusCode::TOO_MANY_REQUESTS => Self::RateLimited {
                retry_after: response.retry_after(response.date().unwrap_or_else(clock)),
                answer,
            },
            // The server gave up waiting for the request: nothing is wrong with it.
            StatusCode::REQUEST_TIMEOUT => Self::ServerTrouble(answer),
            status if status.is_client_error() => Self::InvalidRequest(answer),
            _ => Self::ServerTrouble(answer),
        }
    }
}

/// A 404 can be about the thing or about the path (API reference, section f.1). To a request that asks for JSON, a page
/// is sent by something other than the API.
fn is_about_the_path(api: &ApiError, body: &[u8]) -> bool {
    api.code.as_deref() == Some("ENDPOINT_NOT_FOUND")
        || api
            .message
            .as_deref()
            .is_some_and(|message| message.to_ascii_lowercase().contains("endpoint not found"))
        || body.trim_ascii_start().starts_with(b"<")
}

impl From<TransportError> for Error {
    fn from(source: TransportError) -> Self {
        match source.kind() {
            ErrorKind::InvalidRequest => Self::Unsendable(source),
            ErrorKind::Credentials => Self::Credentials(source),
            ErrorKind::TooLarge => Self::TooLarge(source),
            _ => Self::NotReachable(source),
        }
    }
}

fn retry_text(retry_after: Option<Duration>) -> String {
    match retry_after {
        None => String::new(),
        Some(Duration::ZERO) => ", try again now".to_owned(),
        Some(wait) => format!(", try again in {wait:?}"),
    }
}

/// What was asked, and how it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// The method.
    pub method: Method,
    /// The path, without the base URL and the query.
    pub path: String,
    /// The status.
    pub status: StatusCode,
    /// The vendor's id of the request, for a question to its support.
    pub request_id: Option<String>,
    /// What the API says of a 4xx answer; says nothing for any other.
    pub api: ApiError,
}

impl Answer {
    pub(crate) fn new(request: &Request, response: &Response) -> Self {
        let says = response.status.is_client_error();
        Self {
            method: request.method().clone(),
            path: request.path().to_owned(),
            status: response.status,
            request_id: response.request_id().map(str::to_owned),
            api: if says {
                ApiError::parse(&response.body)
            } else {
                ApiError::default()
            },
        }
    }

    fn trouble(&self) -> &'static str {
        if self.status.is_redirection() {
            "a redirect, which is not followed; check the base URL"
        } else if self.status == StatusCode::REQUEST_TIMEOUT {
            "the server gave up waiting for the request"
        } else {
            "the server is in trouble"
        }
    }

    fn reason(&self) -> String {
        if self.api == ApiError::default() {
            String::new()
        } else {
            format!(": {}", self.api)
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} {} answered {}",
            self.method,
            self.path,
            self.status.as_u16()
        )?;
        if let Some(id) = &self.request_id {
            write!(formatter, " (request {})", one_line(id))?;
        }
        Ok(())
    }
}

/// What is wrong with an answer, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// There is no body.
    #[error("expected JSON, found an empty body")]
    Empty,
    /// It is a page for a browser.
    #[error("expected JSON, found an HTML page")]
    Html,
    /// It is no text.
    #[error("expected JSON, found bytes that are not UTF-8 at byte {at}")]
    NotText {
        /// Where, counted from 0.
        at: usize,
    },
    /// The JSON ends before it is complete.
    #[error("the JSON ends early, at byte {at}")]
    EndsEarly {
        /// How many bytes came.
        at: usize,
    },
    /// It is not JSON.
    #[error("expected JSON, found something else at line {line}, column {column}")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// It is JSON, but something else is expected in a place.
    #[error("expected {expected} at {}, found {found}", shown(.pointer))]
    Unexpected {
        /// The place, as a JSON Pointer.
        pointer: String,
        /// What belongs there.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// It is another run than the one that was asked for.
    #[error("expected run {asked}, found run {}", one_line(.found.as_str()))]
    AnotherRun {
        /// The one asked for.
        asked: RunId,
        /// The one that came.
        found: RunId,
    },
    /// It is another task than the one that was asked for.
    #[error("expected task {asked}, found task {}", one_line(.found.as_str()))]
    AnotherTask {
        /// The one asked for.
        asked: TaskId,
        /// The one that came.
        found: TaskId,
    },
}

fn shown(pointer: &str) -> &str {
    if pointer.is_empty() { "the top" } else { pointer }
}

/// A text from outside that cannot flood or forge a log.
fn one_line(text: &str) -> String {
    let longest = 64;
    let mut line: String = text.chars().take(longest).flat_map(char::escape_debug).collect();
    if text.chars().nth(longest).is_some() {
        line.push('…');
    }
    line
}
