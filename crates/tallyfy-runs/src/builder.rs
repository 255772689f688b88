//! A client that is ready for the real API.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tallyfy_model::OrgId;
use tallyfy_transport::{
    Authenticated, BaseUrl, BuildError, CircuitBreaker, Guarded, HttpTransport, RateLimited, RateLimiter, RateLimits,
    Recorded, Recording, ReqwestTransport, RetryPolicy, Retrying, Secret, StaticToken, TokenFile, TokenSource,
};

use crate::client::Client;

/// Puts a client together: real sockets, a token, the API's budget, a circuit breaker, and retries.
///
/// ```
/// use tallyfy_runs::Client;
///
/// let client = Client::builder("ORG_ID", "a personal access token").build()?;
/// # drop(client);
/// # Ok::<(), tallyfy_transport::BuildError>(())
/// ```
#[must_use]
pub struct ClientBuilder {
    org: OrgId,
    tokens: Arc<dyn TokenSource>,
    base_url: BaseUrl,
    limiter: RateLimiter,
    breaker: CircuitBreaker,
    retry: RetryPolicy,
    timeout: Duration,
    user_agent: Option<String>,
    recording: Option<Recording>,
}

impl Client {
    /// Starts from the defaults: the vendor's API, 100 requests a minute and 1000 an hour, four attempts, 30 s for each.
    pub fn builder(org: impl Into<OrgId>, token: impl Into<Secret>) -> ClientBuilder {
        ClientBuilder {
            org: org.into(),
            tokens: Arc::new(StaticToken::new(token)),
            base_url: BaseUrl::default(),
            limiter: RateLimiter::new(RateLimits::default()),
            breaker: CircuitBreaker::default(),
            retry: RetryPolicy::default(),
            timeout: Duration::from_secs(30),
            user_agent: None,
            recording: None,
        }
    }
}

impl ClientBuilder {
    /// Takes the token from this source, such as
    /// [`ClientCredentials`](tallyfy_transport::ClientCredentials), in the place of the one that was given.
    pub fn tokens(mut self, tokens: impl TokenSource + 'static) -> Self {
        self.tokens = Arc::new(tokens);
        self
    }

    /// Takes the token from this file, which may be replaced at any time.
    pub fn token_file(self, path: impl Into<PathBuf>) -> Self {
        self.tokens(TokenFile::new(path))
    }

    /// Asks the API here.
    pub fn base_url(mut self, base_url: BaseUrl) -> Self {
        self.base_url = base_url;
        self
    }

    /// Keeps within these limits.
    pub fn rate_limits(self, limits: RateLimits) -> Self {
        self.rate_limiter(RateLimiter::new(limits))
    }

    /// Shares a budget with other clients of the same organization.
    pub fn rate_limiter(mut self, limiter: RateLimiter) -> Self {
        self.limiter = limiter;
        self
    }

    /// Shares a circuit with other clients of the same API.
    pub fn circuit_breaker(mut self, breaker: CircuitBreaker) -> Self {
        self.breaker = breaker;
        self
    }

    /// Tries again like this.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Gives one attempt this long, from the connection to the last byte.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sends this as `User-Agent`.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = Some(user_agent.into());
        self
    }

    /// Writes every exchange down, without secrets.
    pub fn record(mut self, recording: Recording) -> Self {
        self.recording = Some(recording);
        self
    }

    /// Makes the client. It connects to nothing yet.
    ///
    /// # Errors
    /// [`BuildError`], for example because the system has no root certificates.
    pub fn build(self) -> Result<Client, BuildError> {
        let mut wire = ReqwestTransport::builder(self.base_url).timeout(self.timeout);
        if let Some(user_agent) = self.user_agent {
            wire = wire.user_agent(user_agent);
        }
        let wire = wire.build()?;
        // Next to the wire, so that it sees each attempt.
        let signed: Arc<dyn HttpTransport> = match self.recording {
            Some(recording) => Arc::new(Authenticated::new(Recorded::new(wire, recording), self.tokens)),
            None => Arc::new(Authenticated::new(wire, self.tokens)),
        };
        let limited = RateLimited::new(signed, self.limiter);
        let guarded = Guarded::new(limited, self.breaker);
        Ok(Client::new(Retrying::new(guarded, self.retry), self.org))
    }
}
