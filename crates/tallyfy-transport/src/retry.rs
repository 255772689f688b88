//! A layer that sends again what may be sent again.
//!
//! It is for programs that ask once and want the call to succeed. A stage whose retries are durable has no use for it: each
//! of its tries is to wait for its turn and for the budget.

mod budget;
mod policy;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use crate::{HttpTransport, Request, Response, TransportError};

pub use budget::RetryBudget;
pub use policy::RetryPolicy;

/// Sends a request again while the answer, or that there is none, says that this may help.
///
/// - Only what changes nothing (RFC 9110, section 9.2.1) is sent again: `GET`, `HEAD` and `OPTIONS`. A `POST` that was not
///   answered may have launched a run, and the API has no keys to tell a repetition; a `PUT` or a `DELETE` that is sent
///   again tells webhooks and mailboxes again.
/// - Sent again are 408, 429, 500, 502, 503 and 504, and what was not answered at all: no connection, a time-out, an answer
///   that broke off.
/// - Between attempts it waits as the [`RetryPolicy`] says, or as long as the server asks for.
/// - Retries of all callers have one [`RetryBudget`], so that an outage does not multiply the load.
///
/// The last answer or error is returned, and [tells](Response::attempts) how many attempts were made.
///
/// Put it around [`RateLimited`](crate::RateLimited), so that every attempt takes a permit of its own.
///
/// ```
/// # #[cfg(feature = "reqwest")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tallyfy_transport::{BaseUrl, ReqwestTransport, RetryPolicy, Retrying};
///
/// let wire = ReqwestTransport::builder(BaseUrl::default()).build()?;
/// let transport = Retrying::new(wire, RetryPolicy::default());
/// # drop(transport);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "reqwest"))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug)]
pub struct Retrying<T> {
    inner: T,
    policy: RetryPolicy,
    budget: RetryBudget,
    clock: fn() -> Timestamp,
    random: fn() -> f64,
}

impl<T> Retrying<T> {
    /// Wraps a transport, with a budget of its own, which its clones share.
    pub fn new(inner: T, policy: RetryPolicy) -> Self {
        Self {
            inner,
            policy,
            budget: RetryBudget::default(),
            clock: Timestamp::now,
            random: fastrand::f64,
        }
    }

    /// Takes its retries from this budget, which other transports may share.
    #[must_use]
    pub fn with_budget(mut self, budget: RetryBudget) -> Self {
        self.budget = budget;
        self
    }

    /// Replaces the system's clock. It is asked only when an answer has a date in `Retry-After` and no `Date` of its own.
    #[must_use]
    pub fn with_clock(mut self, clock: fn() -> Timestamp) -> Self {
        self.clock = clock;
        self
    }

    /// Replaces the source of numbers between 0 and 1, of which the waits are a part.
    #[must_use]
    pub fn with_random(mut self, random: fn() -> f64) -> Self {
        self.random = random;
        self
    }
}

#[async_trait]
impl<T: HttpTransport> HttpTransport for Retrying<T> {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let started = Instant::now();
        self.budget.deposit();
        let mut attempt = 1;
        loop {
            let outcome = self.inner.send(request.clone()).await;
            let retry_after = |response: &Response| response.retry_after(response.date().unwrap_or_else(self.clock));
            let asked = outcome.as_ref().ok().and_then(retry_after);
            let wait = self
                .policy
                .wait(request.method(), &outcome, attempt, asked, (self.random)());
            let wait = wait.filter(|wait| started.elapsed() + *wait <= self.policy.max_elapsed);
            let Some(wait) = wait.filter(|_| self.budget.withdraw()) else {
                return outcome
                    .map(|response| response.with_attempts(attempt))
                    .map_err(|error| error.with_attempts(attempt));
            };
            tracing::debug!(method = %request.method(), path = request.path(), attempt, ?wait, "trying again");
            sleep(wait).await;
            attempt += 1;
        }
    }
}
