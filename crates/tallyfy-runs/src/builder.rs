//! A client that is ready for the real API.

use std::sync::Arc;
use std::time::Duration;

use tallyfy_model::OrgId;
use tallyfy_transport::{
    Authenticated, BaseUrl, BaseUrlError, BuildError, CircuitBreaker, Guarded, HttpTransport, RateLimited, RateLimiter,
    RateLimits, Recorded, Recording, ReqwestTransport, RetryPolicy, Retrying, Secret, Tokens,
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
///
/// A client for tests, or over a transport of your own, with all the rest:
///
/// ```
/// use tallyfy_runs::Client;
/// use tallyfy_runs::transport::{HttpTransport, TokenFile};
///
/// # fn make(own: impl HttpTransport + 'static) -> Result<Client, tallyfy_runs::transport::BuildError> {
/// Client::builder("ORG_ID", TokenFile::new("/run/secrets/tallyfy-token")).transport(own).build()
/// # }
/// ```
#[must_use]
pub struct ClientBuilder {
    org: OrgId,
    tokens: Tokens,
    base_url: Result<BaseUrl, BaseUrlError>,
    wire: Option<Arc<dyn HttpTransport>>,
    layers: Vec<Layer>,
    proxy: Option<Secret>,
    max_response_bytes: Option<usize>,
    max_wait: Option<Duration>,
    limiter: RateLimiter,
    breaker: CircuitBreaker,
    retry: RetryPolicy,
    timeout: Duration,
    user_agent: Option<String>,
    recording: Option<Recording>,
}

impl Client {
    /// Starts from the defaults: the vendor's API, 10 requests in five seconds, 100 a minute and 1000 an hour, four attempts, 30 s
    /// for each.
    ///
    /// The token is a text, a [`TokenFile`](tallyfy_transport::TokenFile), which may be replaced at any time,
    /// [`ClientCredentials`](tallyfy_transport::ClientCredentials), or any other [`Tokens`].
    pub fn builder(org: impl Into<OrgId>, token: impl Into<Tokens>) -> ClientBuilder {
        ClientBuilder {
            org: org.into(),
            tokens: token.into(),
            base_url: Ok(BaseUrl::default()),
            wire: None,
            layers: Vec::new(),
            proxy: None,
            max_response_bytes: None,
            max_wait: None,
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
    /// Asks the API here: a [`BaseUrl`], or a text, which [`build`](Self::build) refuses if it is none.
    pub fn base_url<B>(mut self, base_url: B) -> Self
    where
        B: TryInto<BaseUrl>,
        B::Error: Into<BaseUrlError>,
    {
        self.base_url = base_url.try_into().map_err(Into::into);
        self
    }

    /// Sends through this transport in the place of real sockets: what it is given is signed and within the budget. The base
    /// URL, the proxy, the size limit and `User-Agent` are then its own.
    pub fn transport(mut self, transport: impl HttpTransport + 'static) -> Self {
        self.wire = Some(Arc::new(transport));
        self
    }

    /// Wraps a layer of your own around each attempt, to measure or log it: inside the retries, the circuit breaker and the
    /// budget, outside the token, which it does not see. A layer that is added later goes around the earlier ones.
    ///
    /// ```no_run
    /// use tallyfy_runs::Client;
    /// use tallyfy_runs::transport::{Recorded, Recording};
    ///
    /// let recording = Recording::to_file("exchanges.jsonl")?;
    /// let client = Client::builder("ORG_ID", "token").layer(move |inner| Recorded::new(inner, recording)).build()?;
    /// # drop(client);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn layer<T: HttpTransport + 'static>(
        mut self,
        wrap: impl FnOnce(Arc<dyn HttpTransport>) -> T + Send + 'static,
    ) -> Self {
        self.layers.push(Box::new(|inner| Arc::new(wrap(inner))));
        self
    }

    /// Sends everything through this proxy, in the place of the one that the environment names.
    pub fn proxy(mut self, url: impl Into<Secret>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// Refuses answers that are larger than this, after decompression. 64 MiB by default.
    pub fn max_response_bytes(mut self, limit: usize) -> Self {
        self.max_response_bytes = Some(limit);
        self
    }

    /// Waits no longer than this for the request budget to have room. The wait is part of the
    /// [`timeout`](Self::timeout), which is the longest one in any case; then the error is
    /// [`Error::BudgetSpent`](crate::Error::BudgetSpent), and says for how long.
    pub fn max_wait(mut self, longest: Duration) -> Self {
        self.max_wait = Some(longest);
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

    /// Gives one attempt this long, from the wait for the request budget to the last byte of the answer.
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
    /// [`BuildError`], for example because the base URL is none, or the system has no root certificates.
    pub fn build(self) -> Result<Client, BuildError> {
        let base_url = self.base_url?;
        let wire = match self.wire {
            Some(wire) => wire,
            None => {
                let mut wire = ReqwestTransport::builder(base_url).timeout(self.timeout);
                if let Some(user_agent) = self.user_agent {
                    wire = wire.user_agent(user_agent);
                }
                if let Some(proxy) = self.proxy {
                    wire = wire.proxy(proxy);
                }
                if let Some(limit) = self.max_response_bytes {
                    wire = wire.max_response_bytes(limit);
                }
                Arc::new(wire.build()?)
            }
        };
        let tokens = self.tokens.into_source();
        // Next to the wire, so that it sees each attempt.
        let mut attempt: Arc<dyn HttpTransport> = match self.recording {
            Some(recording) => Arc::new(Authenticated::new(Recorded::new(wire, recording), tokens)),
            None => Arc::new(Authenticated::new(wire, tokens)),
        };
        for wrap in self.layers {
            attempt = wrap(attempt);
        }
        let mut limited = RateLimited::new(attempt, self.limiter).with_timeout(self.timeout);
        if let Some(longest) = self.max_wait {
            limited = limited.with_max_wait(longest);
        }
        let guarded = Guarded::new(limited, self.breaker);
        Ok(Client::new(Retrying::new(guarded, self.retry), self.org))
    }
}

/// Wraps what sends one attempt.
type Layer = Box<dyn FnOnce(Arc<dyn HttpTransport>) -> Arc<dyn HttpTransport> + Send>;
