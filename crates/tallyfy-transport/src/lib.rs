//! One HTTP request in, one response out.
//!
//! [`HttpTransport`] is the whole interface between the Tallyfy API and the code that uses it. It is object safe, knows
//! nothing of runs or tasks, and has no type of an HTTP client in its signatures. `ReqwestTransport` implements it on
//! real sockets; the other implementations are layers, which wrap any transport.
//!
//! ```
//! # #[cfg(feature = "reqwest")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use tallyfy_transport::{
//!     Authenticated, CircuitBreaker, Guarded, HttpTransport, RateLimited, RateLimiter, RateLimits, Request,
//!     ReqwestTransport, RetryPolicy, Retrying, StaticToken,
//! };
//!
//! let wire = ReqwestTransport::builder("http://127.0.0.1:8080".parse()?).build()?;
//! let signed = Authenticated::new(wire, Arc::new(StaticToken::new("a personal access token")));
//! let limited = RateLimited::new(signed, RateLimiter::new(RateLimits::default()));
//! let guarded = Guarded::new(limited, CircuitBreaker::default());
//! let transport: Arc<dyn HttpTransport> = Arc::new(Retrying::new(guarded, RetryPolicy::default()));
//!
//! let request = Request::get(["organizations", "acme", "runs", "r?1"])?.query("with", "checklist,tasks");
//! assert_eq!(request.path_and_query(), "/organizations/acme/runs/r%3F1?with=checklist,tasks");
//! // transport.send(request).await?
//! # drop(transport);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "reqwest"))]
//! # fn main() {}
//! ```
//!
//! From the outside in, the layers belong in this order: [`Retrying`], so that each attempt passes everything else;
//! [`Guarded`], so that what an open circuit refuses takes no permit; [`RateLimited`], so that a token is read after the
//! wait for a permit; [`Authenticated`]; [`Recorded`] anywhere, since it writes no request headers.
//!
//! Invariants:
//! - An answer is an answer: a transport returns every status the server sent, and an error only when there is none.
//! - Redirects are not followed, and nothing but [`Retrying`] sends a request again.
//! - No secret is in a message, a `Debug` output, a log line or a recording of this crate.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod transport;
pub use transport::HttpTransport;

mod request;
pub use request::Request;

mod response;
pub use response::Response;

mod error;
pub use error::{ErrorKind, TransportError};

mod base_url;
pub use base_url::{BaseUrl, BaseUrlError};

#[cfg(feature = "reqwest")]
mod reqwest;
#[cfg(feature = "reqwest")]
#[cfg_attr(docsrs, doc(cfg(feature = "reqwest")))]
pub use self::reqwest::{BuildError, ReqwestTransport, ReqwestTransportBuilder};

mod auth;
pub use auth::{
    Authenticated, ClientCredentials, CredentialsError, Generation, ReplaceableTokens, Secret, StaticToken, TokenFile,
    TokenSource, Tokens,
};

mod rate_limit;
pub use rate_limit::{Permit, RateLimited, RateLimiter, RateLimits, UsedBudget};

mod backoff;
pub use backoff::Backoff;

mod breaker;
pub use breaker::{BreakerSettings, CircuitBreaker, CircuitState, Guarded};

mod retry;
pub use retry::{RetryBudget, RetryPolicy, Retrying};

mod record;
pub use record::{Recorded, Recording, RecordingError, Replay};

#[cfg(feature = "mock")]
mod mock;
#[cfg(feature = "mock")]
#[cfg_attr(docsrs, doc(cfg(feature = "mock")))]
pub use mock::MockHttpTransport;

#[cfg(all(doctest, feature = "reqwest"))]
#[doc = include_str!("../README.md")]
struct Readme;
