//! A layer that keeps all callers together within the API's limits.

mod bucket;
mod limiter;

use async_trait::async_trait;
use http::StatusCode;
use jiff::Timestamp;

use crate::{HttpTransport, Request, Response, TransportError};

pub use limiter::{Permit, RateLimiter, RateLimits};

/// Sends a request when the limiter has a permit for it, and tells the limiter how it was answered.
///
/// Every request takes its own permit. [`Retrying`](crate::Retrying) therefore goes around this one. Put this one around
/// [`Authenticated`](crate::Authenticated), so that the token is read after the wait and not before.
#[derive(Clone, Debug)]
pub struct RateLimited<T> {
    inner: T,
    limiter: RateLimiter,
    clock: fn() -> Timestamp,
}

impl<T> RateLimited<T> {
    /// Wraps a transport. Clones of one limiter share one budget.
    pub fn new(inner: T, limiter: RateLimiter) -> Self {
        Self {
            inner,
            limiter,
            clock: Timestamp::now,
        }
    }

    /// Replaces the system's clock. It is asked only when a 429 has a date in `Retry-After` and no `Date` of its own.
    #[must_use]
    pub fn with_clock(mut self, clock: fn() -> Timestamp) -> Self {
        self.clock = clock;
        self
    }
}

#[async_trait]
impl<T: HttpTransport> HttpTransport for RateLimited<T> {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let permit = self.limiter.acquire().await;
        let response = self.inner.send(request).await?;
        if response.status == StatusCode::TOO_MANY_REQUESTS {
            let now = response.date().unwrap_or_else(self.clock);
            self.limiter.throttled(&permit, response.retry_after(now));
        } else {
            self.limiter.answered(&permit);
        }
        Ok(response)
    }
}
