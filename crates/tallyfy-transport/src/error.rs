//! Why there is no answer.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Method;

/// What kept a request from being answered, by what the caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request cannot be sent as it is, for example because an id is empty. Nothing was sent.
    ///
    /// Trying again cannot help.
    InvalidRequest,
    /// There is no usable token. Nothing was sent.
    ///
    /// Trying again helps once the token has been renewed, which [`TokenSource::generation`] tells.
    ///
    /// [`TokenSource::generation`]: crate::TokenSource::generation
    Credentials,
    /// The server was not reached: the name did not resolve, the connection was refused or took too long. Nothing was
    /// sent.
    ///
    /// Trying again can help.
    Connect,
    /// The server was reached, but no TLS connection that can be trusted came about. Nothing was sent.
    ///
    /// Trying again can help, but rarely soon: a certificate, a clock or the system's root certificates are wrong.
    Tls,
    /// The answer did not come, or did not come completely, in the time that was set for it. The server may have acted
    /// on the request.
    ///
    /// Trying again can help, if the request may be repeated.
    Timeout,
    /// The connection broke, the body was cut short, or what came was not HTTP. The server may have acted on the
    /// request.
    ///
    /// Trying again can help, if the request may be repeated.
    Interrupted,
    /// Nothing was sent, because the server did not answer the requests before.
    ///
    /// Trying again can help, once the time that the message names has passed.
    CircuitOpen,
    /// Nothing was sent, because the budget of requests is spent for longer than the caller waits.
    ///
    /// Trying again can help, once the time that [`TransportError::retry_after`] names has passed.
    BudgetSpent,
    /// The answer is larger than the limit that was set. The server has acted on the request.
    ///
    /// Trying again cannot help.
    TooLarge,
}

impl ErrorKind {
    /// Whether the same request may be answered when it is sent again, with nothing changed on this side.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        match self {
            Self::Connect | Self::Tls | Self::Timeout | Self::Interrupted | Self::CircuitOpen | Self::BudgetSpent => {
                true
            }
            Self::InvalidRequest | Self::Credentials | Self::TooLarge => false,
        }
    }

    /// Whether the server may have acted on the request, although there is no answer to it.
    ///
    /// A write that failed otherwise was not done, and may be sent again.
    #[must_use]
    pub fn may_have_acted(self) -> bool {
        match self {
            Self::Timeout | Self::Interrupted | Self::TooLarge => true,
            Self::InvalidRequest
            | Self::Credentials
            | Self::Connect
            | Self::Tls
            | Self::CircuitOpen
            | Self::BudgetSpent => false,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid request",
            Self::Credentials => "no usable credentials for",
            Self::Connect => "could not connect for",
            Self::Tls => "no trusted connection for",
            Self::Timeout => "timed out during",
            Self::Interrupted => "connection lost or answer broken off during",
            Self::CircuitOpen => "the API does not answer, not even asked for",
            Self::BudgetSpent => "the request budget is spent, not sent:",
            Self::TooLarge => "answer too large for",
        }
    }
}

/// There is no complete answer to a request.
///
/// The message names the method and the path, never the query, a header or a body. The cause is the
/// [`source`](Error::source).
#[derive(Clone, Debug)]
pub struct TransportError(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    method: Method,
    path: String,
    detail: Option<String>,
    attempts: u32,
    retry_after: Option<Duration>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl TransportError {
    /// An error of a request with this method and path. A query in `path` is dropped.
    #[must_use]
    pub fn new(kind: ErrorKind, method: Method, path: impl Into<String>) -> Self {
        let mut path = path.into();
        path.truncate(path.find('?').unwrap_or(path.len()));
        Self(Box::new(Inner {
            kind,
            method,
            path,
            detail: None,
            attempts: 1,
            retry_after: None,
            source: None,
        }))
    }

    /// Adds what the kind alone does not tell, in a few words.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into().into());
        self
    }

    /// Says after how long the same request may be sent.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// After how long the same request may be sent, where that is known: the circuit closes or the budget has room again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Says how many attempts were made.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// How many attempts were made; more than one only behind [`Retrying`](crate::Retrying).
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The method of the request.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.0.method
    }

    /// The escaped path of the request, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// Whether sending again can help; see [`ErrorKind::is_retryable`].
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind().is_retryable()
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            method,
            path,
            detail,
            attempts,
            ..
        } = &*self.0;
        write!(formatter, "{} {method} {path}", kind.as_str())?;
        if let Some(detail) = detail {
            write!(formatter, ": {detail}")?;
        }
        if *attempts > 1 {
            write!(formatter, " (after {attempts} attempts)")?;
        }
        Ok(())
    }
}

impl Error for TransportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [ErrorKind; 9] = [
        ErrorKind::InvalidRequest,
        ErrorKind::Credentials,
        ErrorKind::Connect,
        ErrorKind::Tls,
        ErrorKind::Timeout,
        ErrorKind::Interrupted,
        ErrorKind::CircuitOpen,
        ErrorKind::BudgetSpent,
        ErrorKind::TooLarge,
    ];

    #[test]
    fn each_kind_has_a_message_and_says_whether_to_try_again() {
        let lines = KINDS.map(|kind| {
            let error = TransportError::new(kind, Method::GET, "/organizations/acme/runs/r1?code=hidden");
            let acted = kind.may_have_acted();
            format!("{error} | retryable: {}, may have acted: {acted}", error.is_retryable())
        });
        insta::assert_snapshot!("error_kinds", lines.join("\n"));
    }

    #[test]
    fn the_cause_and_the_detail_are_kept() {
        let error = TransportError::new(ErrorKind::TooLarge, Method::PUT, "/x")
            .with_detail("more than 10 bytes")
            .with_source("the cause");
        assert_eq!(error.to_string(), "answer too large for PUT /x: more than 10 bytes");
        assert_eq!(error.source().unwrap().to_string(), "the cause");
        assert_eq!((error.method(), error.path()), (&Method::PUT, "/x"));
    }
}
