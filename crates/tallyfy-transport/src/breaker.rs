//! A layer that stops asking a server that is down.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::{Backoff, ErrorKind, HttpTransport, Request, Response, TransportError};

/// When a circuit opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerSettings {
    /// After how many failures in a row the circuit opens.
    pub failures: u32,
    /// About how many different paths these failures must be: one thing that the server cannot serve is no server that is
    /// down.
    pub paths: usize,
    /// For how long it is open the first time; twice as long each time that the trial after it fails too.
    pub open_for: Duration,
    /// The longest time that it is open.
    pub max_open_for: Duration,
}

/// Five failures in a row open it for 5 s, doubling up to two minutes.
impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            failures: 5,
            paths: 1,
            open_for: Duration::from_secs(5),
            max_open_for: Duration::from_secs(120),
        }
    }
}

impl BreakerSettings {
    /// Sets after how many failures in a row the circuit opens; none is one.
    #[must_use]
    pub fn with_failures(mut self, failures: u32) -> Self {
        self.failures = failures.max(1);
        self
    }

    /// Sets about how many different paths these failures must be.
    #[must_use]
    pub fn with_paths(mut self, paths: usize) -> Self {
        self.paths = paths.max(1);
        self
    }

    /// Sets for how long it is open, the first time and at most.
    #[must_use]
    pub fn with_open_for(mut self, first: Duration, longest: Duration) -> Self {
        self.open_for = first;
        self.max_open_for = longest.max(first);
        self
    }

    fn backoff(&self) -> Backoff {
        Backoff {
            initial: self.open_for,
            max: self.max_open_for,
        }
    }
}

/// Whether a server is asked. Clones share one state.
///
/// A failure is no answer (no connection, a time-out, an answer that broke off) or an answer of 5xx. Any other answer shows
/// that the server works, a 401 or a 429 too; what was never sent shows nothing.
///
/// After enough failures in a row, about enough different paths, the circuit is *open*: requests fail at once. Then one request is let through as a
/// trial: if it is answered the circuit is *closed* again, if it fails the circuit opens for twice as long. A trial whose
/// caller gave up is no trial.
#[derive(Clone, Debug)]
pub struct CircuitBreaker {
    settings: BreakerSettings,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    failures: u32,
    /// The different paths that failed, as many as matter.
    paths: Vec<String>,
    /// How often it opened since it was closed.
    openings: u32,
    open_until: Option<Instant>,
    trial: bool,
}

/// What a circuit is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CircuitState {
    /// Requests go through.
    Closed,
    /// Requests fail at once, until this instant.
    Open(Instant),
    /// One request shows whether the server works again; the others fail at once.
    Trial,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self::new(BreakerSettings::default())
    }
}

impl CircuitBreaker {
    /// A closed circuit.
    #[must_use]
    pub fn new(settings: BreakerSettings) -> Self {
        Self {
            settings,
            inner: Arc::default(),
        }
    }

    /// What it is doing.
    #[must_use]
    pub fn state(&self) -> CircuitState {
        let inner = self.inner();
        match inner.open_until {
            None => CircuitState::Closed,
            Some(until) if until > Instant::now() => CircuitState::Open(until),
            Some(_) => CircuitState::Trial,
        }
    }

    /// Lets a request through, or says for how long it does not.
    fn enter(&self) -> Result<Passage<'_>, Duration> {
        let mut inner = self.inner();
        let Some(until) = inner.open_until else {
            return Ok(Passage {
                breaker: self,
                trial: false,
                settled: false,
            });
        };
        let left = until.saturating_duration_since(Instant::now());
        if !left.is_zero() || inner.trial {
            return Err(left);
        }
        inner.trial = true;
        Ok(Passage {
            breaker: self,
            trial: true,
            settled: false,
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request on its way through a circuit.
struct Passage<'a> {
    breaker: &'a CircuitBreaker,
    trial: bool,
    settled: bool,
}

impl Passage<'_> {
    fn settle(mut self, path: &str, outcome: Option<Verdict>) {
        let Some(verdict) = outcome else {
            return;
        };
        self.settled = true;
        let settings = self.breaker.settings;
        let mut inner = self.breaker.inner();
        if self.trial {
            inner.trial = false;
        } else if inner.open_until.is_some() {
            // It was sent before the circuit opened, and says nothing of the time since.
            return;
        }
        match verdict {
            Verdict::Works => {
                if inner.openings > 0 {
                    tracing::info!("the API answers again, the circuit is closed");
                }
                *inner = Inner::default();
            }
            Verdict::Failed => {
                inner.failures = inner.failures.saturating_add(1);
                if inner.paths.len() < settings.paths && inner.paths.iter().all(|known| known != path) {
                    inner.paths.push(path.to_owned());
                }
                let is_down = inner.failures >= settings.failures && inner.paths.len() >= settings.paths;
                if self.trial || is_down {
                    inner.openings = inner.openings.saturating_add(1);
                    let open_for = settings.backoff().full(inner.openings);
                    inner.open_until = Some(Instant::now() + open_for);
                    tracing::warn!(
                        failures = inner.failures,
                        ?open_for,
                        "the API does not answer, the circuit is open"
                    );
                }
            }
        }
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        if self.trial && !self.settled {
            self.breaker.inner().trial = false;
        }
    }
}

#[derive(Clone, Copy)]
enum Verdict {
    Works,
    Failed,
}

/// What an outcome shows of the server; `None` if nothing.
fn verdict(outcome: &Result<Response, TransportError>) -> Option<Verdict> {
    match outcome {
        Ok(response) if response.status.is_server_error() => Some(Verdict::Failed),
        Ok(_) => Some(Verdict::Works),
        Err(error) => match error.kind() {
            ErrorKind::Connect | ErrorKind::Tls | ErrorKind::Timeout | ErrorKind::Interrupted => Some(Verdict::Failed),
            ErrorKind::TooLarge => Some(Verdict::Works),
            ErrorKind::InvalidRequest | ErrorKind::Credentials | ErrorKind::CircuitOpen | ErrorKind::BudgetSpent => {
                None
            }
        },
    }
}

/// Sends requests while the circuit is closed. While it is open, they fail at once with [`ErrorKind::CircuitOpen`].
///
/// Put it around [`RateLimited`](crate::RateLimited), so that what fails at once takes no permit.
///
/// ```
/// # #[cfg(feature = "reqwest")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tallyfy_transport::{BaseUrl, CircuitBreaker, CircuitState, Guarded, ReqwestTransport};
///
/// let breaker = CircuitBreaker::default();
/// let wire = ReqwestTransport::builder(BaseUrl::default()).build()?;
/// let transport = Guarded::new(wire, breaker.clone());
/// assert_eq!(breaker.state(), CircuitState::Closed);
/// # drop(transport);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "reqwest"))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug)]
pub struct Guarded<T> {
    inner: T,
    breaker: CircuitBreaker,
}

impl<T> Guarded<T> {
    /// Wraps a transport. Clones of one breaker share one state.
    pub fn new(inner: T, breaker: CircuitBreaker) -> Self {
        Self { inner, breaker }
    }
}

#[async_trait]
impl<T: HttpTransport> HttpTransport for Guarded<T> {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let path = request.path().to_owned();
        let passage = match self.breaker.enter() {
            Ok(passage) => passage,
            Err(left) => {
                let error = TransportError::new(ErrorKind::CircuitOpen, request.method().clone(), request.path());
                let detail = if left.is_zero() {
                    "another request shows whether it answers again".to_owned()
                } else {
                    format!("tried again in {left:.1?}")
                };
                return Err(error.with_detail(detail).with_retry_after(left));
            }
        };
        let outcome = self.inner.send(request).await;
        passage.settle(&path, verdict(&outcome));
        outcome
    }
}
