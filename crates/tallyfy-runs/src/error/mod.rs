//! Why there is no result, by what the caller can do about it.

mod exchange;
mod mismatch;
mod unknown;

use std::error::Error as _;
use std::time::Duration;

use http::StatusCode;
use tallyfy_model::{ApiError, FieldProblem};
use tallyfy_transport::{ErrorKind, Request, Response, TransportError};
use thiserror::Error;

pub use exchange::Exchange;
pub use mismatch::Mismatch;
pub use unknown::WhyUnknown;

/// Why a use case has no result.
///
/// Messages name what was asked for. They repeat what the API says of its 4xx answers, shortened; nothing of a 5xx
/// answer, which may leak the vendor's internals; and never a token or a body.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The API knows no such thing (404). It may never have existed, or be deleted, or belong to another organization.
    #[error("{0}: not found{reason}", reason = .0.reason())]
    NotFound(Box<Exchange>),
    /// The token's owner may not see it, or not do it (403).
    #[error("{0}: no access{reason}", reason = .0.reason())]
    NoAccess(Box<Exchange>),
    /// The token is not valid, or not any more (401).
    #[error("{0}: the token is refused{reason}", reason = .0.reason())]
    TokenRefused(Box<Exchange>),
    /// Too many requests (429). A write that is answered so was not done.
    #[error("{answer}: rate limited{}{}", retry_text(*.retry_after), .answer.reason())]
    RateLimited {
        /// The answer.
        answer: Box<Exchange>,
        /// How long to wait, if the API says.
        retry_after: Option<Duration>,
    },
    /// The API refuses the request as such (400, 409, 422 and other 4xx); see
    /// [`invalid_fields`](Self::invalid_fields).
    #[error("{0}: the request is invalid{reason}", reason = .0.reason())]
    InvalidRequest(Box<Exchange>),
    /// The request cannot be sent, because an id is empty for example. Nothing was sent.
    #[error("the request cannot be made: {}", in_one_line(.0))]
    Unsendable(#[source] TransportError),
    /// The address exists for nobody (404 for the path, not for the thing): the base URL is wrong, or the API changed.
    #[error("{0}: there is no such endpoint, check the base URL{reason}", reason = .0.reason())]
    NoSuchEndpoint(Box<Exchange>),
    /// The server is in trouble (5xx), gave up waiting for the request (408), or answered with a redirect, which is not
    /// followed.
    #[error("{0}: {trouble}", trouble = .0.trouble())]
    ServerTrouble(Box<Exchange>),
    /// There is an answer, but it is not what the API is known to send.
    #[error("{answer}: {mismatch}")]
    NotTheExpectedJson {
        /// The answer.
        answer: Box<Exchange>,
        /// What is wrong with it, and where.
        mismatch: Mismatch,
    },
    /// There is no answer. A write that fails so was not done: it did not reach the API.
    #[error("there is no answer from the API: {}", in_one_line(.0))]
    NotReachable(#[source] TransportError),
    /// Nothing was sent: this client's own budget of requests is spent for longer than it waits. [`Error::retry_after`]
    /// says for how long.
    #[error("nothing was asked: {}", in_one_line(.0))]
    BudgetSpent(#[source] TransportError),
    /// There is no usable token. Nothing was sent.
    #[error("there is no usable token: {}", with_causes(.0))]
    Credentials(#[source] TransportError),
    /// The answer is larger than the transport accepts.
    #[error("the answer is too large: {}", in_one_line(.0))]
    TooLarge(#[source] TransportError),
    /// A write was sent, and whether it was done is not known. It is never sent again by itself: see how things stand
    /// before you do.
    #[error("{0}")]
    OutcomeUnknown(Box<WhyUnknown>),
}

impl Error {
    /// Whether the same request may succeed later, with nothing changed on this side. For a write, `true` says also that it
    /// was not done.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::RateLimited { .. }
            | Self::ServerTrouble(_)
            | Self::NotTheExpectedJson { .. }
            | Self::BudgetSpent(_) => true,
            Self::NotReachable(source) => source.is_retryable(),
            Self::NotFound(_)
            | Self::NoAccess(_)
            | Self::TokenRefused(_)
            | Self::InvalidRequest(_)
            | Self::Unsendable(_)
            | Self::NoSuchEndpoint(_)
            | Self::Credentials(_)
            | Self::TooLarge(_)
            | Self::OutcomeUnknown(_) => false,
        }
    }

    /// What was asked and how it was answered, if it was.
    pub fn exchange(&self) -> Option<&Exchange> {
        match self {
            Self::NotFound(answer)
            | Self::NoAccess(answer)
            | Self::TokenRefused(answer)
            | Self::RateLimited { answer, .. }
            | Self::InvalidRequest(answer)
            | Self::NoSuchEndpoint(answer)
            | Self::ServerTrouble(answer)
            | Self::NotTheExpectedJson { answer, .. } => Some(answer),
            Self::OutcomeUnknown(why) => why.exchange(),
            Self::Unsendable(_)
            | Self::NotReachable(_)
            | Self::BudgetSpent(_)
            | Self::Credentials(_)
            | Self::TooLarge(_) => None,
        }
    }

    /// The status of the answer, if there is one.
    pub fn status(&self) -> Option<StatusCode> {
        Some(self.exchange()?.status)
    }

    /// The vendor's id of the request, for a question to its support.
    pub fn request_id(&self) -> Option<&str> {
        self.exchange()?.request_id.as_deref()
    }

    /// After how long the same request may be sent again, as far as the API, the budget or the circuit says.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } => *retry_after,
            Self::NotReachable(source) | Self::BudgetSpent(source) => source.retry_after(),
            _ => None,
        }
    }

    /// The fields that the API finds fault with (422); none if it does not name any.
    pub fn invalid_fields(&self) -> &[FieldProblem] {
        match self {
            Self::InvalidRequest(answer) => &answer.api.fields,
            _ => &[],
        }
    }

    /// The error of an answer that is not 2xx.
    pub(crate) fn of_answer(request: &Request, response: &Response, clock: fn() -> jiff::Timestamp) -> Self {
        let answer = Box::new(Exchange::new(request, response));
        match response.status {
            StatusCode::UNAUTHORIZED => Self::TokenRefused(answer),
            StatusCode::FORBIDDEN => Self::NoAccess(answer),
            StatusCode::NOT_FOUND if is_about_the_path(&answer.api, &response.body) => Self::NoSuchEndpoint(answer),
            StatusCode::NOT_FOUND => Self::NotFound(answer),
            StatusCode::TOO_MANY_REQUESTS => Self::RateLimited {
                retry_after: response.retry_after(response.date().unwrap_or_else(clock)),
                answer,
            },
            // The server may have begun before it failed, or before something between gave up on it.
            status if !request.method().is_safe() && may_have_acted(status) => {
                Self::OutcomeUnknown(Box::new(WhyUnknown::Answered(*answer)))
            }
            // The server gave up waiting for the request: nothing is wrong with it.
            StatusCode::REQUEST_TIMEOUT => Self::ServerTrouble(answer),
            status if status.is_client_error() => Self::InvalidRequest(answer),
            _ => Self::ServerTrouble(answer),
        }
    }

    /// The error of a 2xx answer that cannot be read.
    pub(crate) fn of_body(request: &Request, response: &Response, mismatch: Mismatch) -> Self {
        let answer = Exchange::new(request, response);
        if request.method().is_safe() {
            Self::NotTheExpectedJson {
                answer: Box::new(answer),
                mismatch,
            }
        } else {
            Self::OutcomeUnknown(Box::new(WhyUnknown::Unreadable { answer, mismatch }))
        }
    }
}

fn may_have_acted(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT
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
            kind if kind.may_have_acted() && !source.method().is_safe() => {
                Self::OutcomeUnknown(Box::new(WhyUnknown::NoAnswer(source)))
            }
            ErrorKind::InvalidRequest => Self::Unsendable(source),
            ErrorKind::Credentials => Self::Credentials(source),
            ErrorKind::TooLarge => Self::TooLarge(source),
            ErrorKind::BudgetSpent => Self::BudgetSpent(source),
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

/// A failure of the transport with every cause, in the order in which they led to it.
fn with_causes(error: &TransportError) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        line.push_str(": ");
        line.push_str(&deeper.to_string());
        cause = deeper.source();
    }
    on_one_line(&line)
}

fn on_one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A failure of the transport with what it comes from in the end, such as a refused connection.
fn in_one_line(error: &TransportError) -> String {
    let mut line = error.to_string();
    let mut root = None;
    let mut cause = error.source();
    while let Some(deeper) = cause {
        root = Some(deeper.to_string());
        cause = deeper.source();
    }
    if let Some(root) = root.filter(|root| !line.contains(root)) {
        line.push_str(": ");
        line.push_str(&root);
    }
    on_one_line(&line)
}
