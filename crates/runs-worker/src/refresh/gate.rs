//! Stops fetching while the API refuses the token, and notices when it may work again.
//!
//! A token that is refused stops fetching, and nothing fails for it: what is due stays due. One request now and then, or at
//! once when the token file has changed, shows whether it works again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use metrics::gauge;
use tallyfy_model::OrgId;
use tallyfy_transport::{Generation, RateLimiter, TokenSource};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

/// How often a closed gate looks whether the token is another one.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The gate before the API calls of one organization.
///
/// A refused token is nobody's fault but the token's: while the gate is closed nothing is tried, nothing counts as
/// failed, and everything stays due. It opens by a single request that is answered with anything but a refusal; that
/// request is let through when the token has changed, or else now and then, because a token may be accepted again.
pub(crate) struct TokenGate {
    org: OrgId,
    tokens: Arc<dyn TokenSource>,
    limiter: RateLimiter,
    try_every: Duration,
    closed: Mutex<Option<Closed>>,
}

#[derive(Clone, Debug)]
struct Closed {
    generation: Generation,
    since: Timestamp,
    reason: String,
    try_at: Instant,
}

/// How a request may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// Like any other.
    Open,
    /// Alone, to see whether the token works.
    Trial,
}

impl TokenGate {
    pub(crate) fn new(org: OrgId, tokens: Arc<dyn TokenSource>, limiter: RateLimiter, try_every: Duration) -> Self {
        gauge!("runs_worker_fetching_paused", "org" => org.to_string()).set(0.0);
        Self {
            org,
            tokens,
            limiter,
            try_every,
            closed: Mutex::new(None),
        }
    }

    /// The generation of the token that a request is about to be sent with.
    pub(crate) async fn generation(&self) -> Generation {
        self.tokens.generation().await
    }

    /// Whether requests pass like any other.
    pub(super) fn is_open(&self) -> bool {
        self.lock().is_none()
    }

    /// How a request may pass now, if it may.
    pub(crate) async fn passage_now(&self) -> Option<Passage> {
        let Some(closed) = self.lock().clone() else {
            return Some(Passage::Open);
        };
        let may_try = Instant::now() >= closed.try_at || self.tokens.generation().await != closed.generation;
        may_try.then_some(Passage::Trial)
    }

    /// Waits until a request may pass; `None` if the worker stops first.
    pub(crate) async fn passage(&self, stop: &CancellationToken) -> Option<Passage> {
        loop {
            if let Some(passage) = self.passage_now().await {
                return Some(passage);
            }
            tokio::select! {
                () = stop.cancelled() => return None,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Says that the token of this generation was refused, or that there was none to be had.
    pub(crate) fn refused(&self, generation: Generation, reason: &str, now: Timestamp) {
        let mut closed = self.lock();
        let since = closed.as_ref().map_or(now, |closed| closed.since);
        if closed.is_none() {
            error!(
                org = %self.org, reason,
                "fetching pauses until there is a token that the API accepts; notifications are still stored"
            );
            gauge!("runs_worker_fetching_paused", "org" => self.org.to_string()).set(1.0);
        }
        *closed = Some(Closed {
            generation,
            since,
            reason: reason.to_owned(),
            try_at: Instant::now() + self.try_every,
        });
    }

    /// Says that the token was accepted.
    pub(crate) fn accepted(&self) {
        if self.lock().take().is_some() {
            info!(org = %self.org, "the API accepts the token: fetching goes on");
            gauge!("runs_worker_fetching_paused", "org" => self.org.to_string()).set(0.0);
        }
    }

    /// Why nothing is fetched, if that is so.
    pub(crate) fn trouble(&self) -> Option<String> {
        let closed = self.lock().clone();
        let refused = closed.map(|closed| format!("nothing is fetched since {}: {}", closed.since, closed.reason));
        refused.or_else(|| {
            let left = self.limiter.paused_until()?.saturating_duration_since(Instant::now());
            Some(format!(
                "the API asked for a pause: nothing is fetched for {} s",
                left.as_secs() + 1
            ))
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Closed>> {
        // Whoever panicked while holding it left a whole value: it is only ever replaced.
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
