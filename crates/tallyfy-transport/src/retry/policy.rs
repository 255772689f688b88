//! When to try again. Decides only; it neither waits nor looks at a clock.

use std::num::NonZeroU32;
use std::time::Duration;

use http::{Method, StatusCode};

use crate::{Backoff, ErrorKind, Response, TransportError};

/// How often, and after which waits, a request is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// The most attempts, the first one included.
    pub max_attempts: NonZeroU32,
    /// The longest wait after the first attempt; it doubles with each further one. The wait itself is anything between
    /// nothing and that ("full jitter"), so that callers that failed together do not come back together.
    pub initial: Duration,
    /// The longest wait. When the server asks for a longer one, nothing is sent again: the answer goes to the caller,
    /// who can wait better.
    pub max_wait: Duration,
    /// No attempt begins later than this after the first one.
    pub max_elapsed: Duration,
}

/// Four attempts, 500 ms doubling to at most 30 s, within two minutes: what the vendor's own clients do, in the middle
/// (API reference, f.3).
impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: const { NonZeroU32::new(4).unwrap() },
            initial: Duration::from_millis(500),
            max_wait: Duration::from_secs(30),
            max_elapsed: Duration::from_secs(120),
        }
    }
}

impl RetryPolicy {
    /// Sets the most attempts, the first one included; none is one.
    #[must_use]
    pub fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = NonZeroU32::new(attempts).unwrap_or(NonZeroU32::MIN);
        self
    }

    /// Sets the longest wait after the first attempt.
    #[must_use]
    pub fn with_initial(mut self, initial: Duration) -> Self {
        self.initial = initial;
        self
    }

    /// Sets the longest wait.
    #[must_use]
    pub fn with_max_wait(mut self, wait: Duration) -> Self {
        self.max_wait = wait;
        self
    }

    /// Sets how late an attempt may begin.
    #[must_use]
    pub fn with_max_elapsed(mut self, elapsed: Duration) -> Self {
        self.max_elapsed = elapsed;
        self
    }

    /// How long to wait before the next attempt, or `None` if there is to be none. `random` is between 0 and 1.
    pub(super) fn wait(
        &self,
        method: &Method,
        outcome: &Result<Response, TransportError>,
        attempt: u32,
        retry_after: Option<Duration>,
        random: f64,
    ) -> Option<Duration> {
        if attempt >= self.max_attempts.get() || !method.is_safe() || !may_help(outcome) {
            return None;
        }
        let backoff = Backoff {
            initial: self.initial,
            max: self.max_wait,
        };
        let wait = backoff.full(attempt).mul_f64(random.clamp(0.0, 1.0));
        match retry_after {
            Some(asked) if asked > self.max_wait => None,
            Some(asked) => Some(asked.max(wait)),
            None => Some(wait),
        }
    }
}

fn may_help(outcome: &Result<Response, TransportError>) -> bool {
    match outcome {
        Ok(response) => matches!(
            response.status,
            StatusCode::REQUEST_TIMEOUT
                | StatusCode::TOO_MANY_REQUESTS
                | StatusCode::INTERNAL_SERVER_ERROR
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        ),
        // An open circuit and a spent budget have their own time, and are there to spare the server.
        Err(error) => error.is_retryable() && !matches!(error.kind(), ErrorKind::CircuitOpen | ErrorKind::BudgetSpent),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn answered(status: u16) -> Result<Response, TransportError> {
        Ok(Response::new(
            StatusCode::from_u16(status).unwrap(),
            HeaderMap::new(),
            "",
        ))
    }

    fn failed(kind: ErrorKind) -> Result<Response, TransportError> {
        Err(TransportError::new(kind, Method::GET, "/x"))
    }

    fn is_retried(method: &Method, outcome: &Result<Response, TransportError>) -> bool {
        RetryPolicy::default().wait(method, outcome, 1, None, 1.0).is_some()
    }

    #[test]
    fn only_what_may_be_repeated_and_may_help_is_tried_again() {
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(is_retried(&Method::GET, &answered(status)), "{status}");
        }
        for status in [200, 204, 301, 400, 401, 403, 404, 409, 410, 422, 501, 505] {
            assert!(!is_retried(&Method::GET, &answered(status)), "{status}");
        }
        for kind in [
            ErrorKind::Connect,
            ErrorKind::Tls,
            ErrorKind::Timeout,
            ErrorKind::Interrupted,
        ] {
            assert!(is_retried(&Method::GET, &failed(kind)), "{kind:?}");
            assert!(!is_retried(&Method::POST, &failed(kind)), "{kind:?}");
        }
        for kind in [
            ErrorKind::InvalidRequest,
            ErrorKind::Credentials,
            ErrorKind::TooLarge,
            ErrorKind::CircuitOpen,
            ErrorKind::BudgetSpent,
        ] {
            assert!(!is_retried(&Method::GET, &failed(kind)), "{kind:?}");
        }
        for (method, expected) in [
            (Method::HEAD, true),
            (Method::OPTIONS, true),
            (Method::PUT, false),
            (Method::DELETE, false),
            (Method::POST, false),
            (Method::PATCH, false),
        ] {
            assert_eq!(is_retried(&method, &answered(503)), expected, "{method}");
            assert_eq!(is_retried(&method, &answered(429)), expected, "{method}");
        }
    }

    #[test]
    fn waits_double_up_to_the_longest_and_are_anything_below() {
        let policy = RetryPolicy::default()
            .with_max_attempts(u32::MAX)
            .with_initial(SECOND)
            .with_max_wait(5 * SECOND);
        let wait = |attempt, random| {
            policy
                .wait(&Method::GET, &answered(503), attempt, None, random)
                .unwrap()
        };
        assert_eq!(
            [1, 2, 3, 4, 1000].map(|attempt| wait(attempt, 1.0).as_secs()),
            [1, 2, 4, 5, 5]
        );
        assert_eq!(wait(3, 0.0), Duration::ZERO);
        assert_eq!(wait(3, 0.5), 2 * SECOND);
    }

    #[test]
    fn the_server_may_ask_for_a_wait_up_to_the_longest() {
        let policy = RetryPolicy::default().with_max_wait(10 * SECOND);
        let wait = |asked| policy.wait(&Method::GET, &answered(429), 1, Some(asked), 1.0);
        assert_eq!(wait(7 * SECOND), Some(7 * SECOND));
        assert_eq!(wait(10 * SECOND), Some(10 * SECOND));
        assert_eq!(wait(11 * SECOND), None);
        assert_eq!(wait(Duration::ZERO), Some(policy.initial));
    }

    #[test]
    fn the_attempts_end() {
        let policy = RetryPolicy::default().with_max_attempts(3);
        let waits = [1, 2, 3, 4].map(|attempt| policy.wait(&Method::GET, &answered(500), attempt, None, 1.0).is_some());
        assert_eq!(waits, [true, true, false, false]);
        assert_eq!(RetryPolicy::default().with_max_attempts(0).max_attempts.get(), 1);
    }
}
