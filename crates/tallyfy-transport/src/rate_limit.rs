//! A layer that keeps all callers together within the API's limits.

mod bucket;
mod limiter;

use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use jiff::Timestamp;
use tokio::time::{Instant, timeout, timeout_at};

use crate::{ErrorKind, HttpTransport, Request, Response, TransportError};

pub use limiter::{Permit, RateLimiter, RateLimits, UsedBudget};

/// A wait for a permit that is longer than this is logged: whoever looks for what takes so long finds it.
const LONG_WAIT: Duration = Duration::from_secs(5);

/// Sends a request when the limiter has a permit for it, and tells the limiter how it was answered.
///
/// Every request takes its own permit. [`Retrying`](crate::Retrying) therefore goes around this one. Put this one around
/// [`Authenticated`](crate::Authenticated), so that the token is read after the wait and not before.
///
/// Without [`with_max_wait`](Self::with_max_wait) and [`with_timeout`](Self::with_timeout), a request waits for its permit
/// for as long as it takes. A wait of more than five seconds is logged.
#[derive(Clone, Debug)]
pub struct RateLimited<T> {
    inner: T,
    limiter: RateLimiter,
    max_wait: Duration,
    timeout: Option<Duration>,
    clock: fn() -> Timestamp,
}

impl<T> RateLimited<T> {
    /// Wraps a transport. Clones of one limiter share one budget.
    pub fn new(inner: T, limiter: RateLimiter) -> Self {
        Self {
            inner,
            limiter,
            max_wait: Duration::MAX,
            timeout: None,
            clock: Timestamp::now,
        }
    }

    /// Waits for a permit no longer than this. After that, or at once where it is certain that there is none within this
    /// time, the error is [`ErrorKind::BudgetSpent`], and [tells](TransportError::retry_after) for how long.
    #[must_use]
    pub fn with_max_wait(mut self, longest: Duration) -> Self {
        self.max_wait = longest;
        self
    }

    /// Gives a request this long, the wait for its permit included. What is over before there is a permit is
    /// [`ErrorKind::BudgetSpent`], after that it is [`ErrorKind::Timeout`].
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Replaces the system's clock. It is asked only when a 429 has a date in `Retry-After` and no `Date` of its own.
    #[must_use]
    pub fn with_clock(mut self, clock: fn() -> Timestamp) -> Self {
        self.clock = clock;
        self
    }

    async fn permit(&self, request: &Request) -> Result<Permit, TransportError> {
        let longest = self.max_wait.min(self.timeout.unwrap_or(Duration::MAX));
        let mut waiting = std::pin::pin!(self.limiter.acquire_within(longest));
        let outcome = match timeout(LONG_WAIT, &mut waiting).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let (method, path) = (request.method(), request.path());
                tracing::info!(%method, path, waiting = self.limiter.waiting(), "still waiting for the request budget");
                waiting.await
            }
        };
        outcome.map_err(|wait| {
            let error = TransportError::new(ErrorKind::BudgetSpent, request.method().clone(), request.path());
            let detail = format!("room again in {wait:.1?}, which is waited for at most {longest:.1?}");
            error.with_detail(detail).with_retry_after(wait)
        })
    }
}

impl<T: HttpTransport> RateLimited<T> {
    async fn send_until(&self, request: Request, deadline: Option<Instant>) -> Result<Response, TransportError> {
        let Some(deadline) = deadline else {
            return self.inner.send(request).await;
        };
        let (method, path) = (request.method().clone(), request.path().to_owned());
        match timeout_at(deadline, self.inner.send(request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(TransportError::new(ErrorKind::Timeout, method, path)
                .with_detail("the time for it was up, the wait for the request budget included")),
        }
    }
}

#[async_trait]
impl<T: HttpTransport> HttpTransport for RateLimited<T> {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let deadline = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let permit = self.permit(&request).await?;
        let response = self.send_until(request, deadline).await?;
        if response.status == StatusCode::TOO_MANY_REQUESTS {
            let now = response.date().unwrap_or_else(self.clock);
            self.limiter.throttled(&permit, response.retry_after(now));
        } else {
            self.limiter.answered(&permit);
        }
        Ok(response)
    }
}
