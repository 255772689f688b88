//! Whether a handler can work at all.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use metrics::gauge;
use runs_store::HandlerName;
use tallyfy_transport::Backoff;
use tokio::time::Instant;
use tracing::{error, info};

use crate::handler::HandlerError;

/// Longer than any worker runs.
const FOR_GOOD: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// How long it is left alone.
const PAUSE: Backoff = Backoff {
    initial: Duration::from_secs(1),
    max: Duration::from_secs(60),
};

/// What is known of a handler: that it works, or since when it cannot, and when it is tried again.
pub(crate) struct HandlerHealth {
    name: HandlerName,
    trouble: Mutex<Option<Trouble>>,
}

struct Trouble {
    since: Timestamp,
    reason: String,
    /// In a row; `None` if it is not to be tried again.
    failures: Option<u32>,
    try_at: Instant,
}

impl HandlerHealth {
    pub(crate) fn new(name: HandlerName) -> Self {
        gauge!("runs_worker_handler_unavailable", "handler" => name.to_string()).set(0.0);
        Self {
            name,
            trouble: Mutex::new(None),
        }
    }

    /// Notes what the results of a call say of the handler.
    pub(super) fn note<'r>(&self, results: impl Iterator<Item = &'r Result<(), HandlerError>>, now: Timestamp) {
        for result in results {
            match result {
                Err(HandlerError::Unavailable { reason }) => self.unavailable(reason, now),
                Err(HandlerError::Stop { reason }) => self.stopped(reason, now),
                Ok(()) | Err(HandlerError::Retry { .. } | HandlerError::Reject { .. }) => self.works(),
            }
        }
    }

    /// Says that the handler cannot handle anything. Each time, it is left alone for twice as long.
    fn unavailable(&self, reason: &str, now: Timestamp) {
        let mut trouble = self.lock();
        let begun = Instant::now();
        // What was under way with the first failure is no further one.
        if trouble.as_ref().is_some_and(|trouble| begun < trouble.try_at) {
            return;
        }
        let (since, failures) = match &*trouble {
            Some(Trouble { since, failures, .. }) => (*since, failures.unwrap_or(u32::MAX).saturating_add(1)),
            None => (now, 1),
        };
        let pause = PAUSE.full(failures);
        error!(handler = %self.name, reason, again_in = ?pause, "the handler cannot work: its events wait");
        gauge!("runs_worker_handler_unavailable", "handler" => self.name.to_string()).set(1.0);
        *trouble = Some(Trouble {
            since,
            reason: reason.to_owned(),
            failures: Some(failures),
            try_at: begun + pause,
        });
    }

    /// Says that the handler is to get nothing more, until the worker is started again.
    fn stopped(&self, reason: &str, now: Timestamp) {
        error!(
            handler = %self.name, reason,
            "the receiver wants no more events: they wait until the worker is started again, or the handler is removed"
        );
        gauge!("runs_worker_handler_unavailable", "handler" => self.name.to_string()).set(1.0);
        *self.lock() = Some(Trouble {
            since: now,
            reason: reason.to_owned(),
            failures: None,
            try_at: Instant::now() + FOR_GOOD,
        });
    }

    /// Says that the handler has handled something, or said what is wrong with it.
    fn works(&self) {
        // What was under way when the receiver had enough does not mean that it wants more.
        let mended = self.lock().take_if(|trouble| trouble.failures.is_some());
        if mended.is_some() {
            info!(handler = %self.name, "the handler works again");
            gauge!("runs_worker_handler_unavailable", "handler" => self.name.to_string()).set(0.0);
        }
    }

    /// How long it is to be left alone still.
    pub(crate) fn pause(&self) -> Option<Duration> {
        let trouble = self.lock();
        let left = trouble.as_ref()?.try_at.saturating_duration_since(Instant::now());
        Some(left).filter(|left| !left.is_zero())
    }

    /// Whether it is doubtful that it works: one delivery then shows as much as many.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.lock().is_some()
    }

    /// What is wrong with it, if something is.
    pub(crate) fn trouble(&self) -> Option<String> {
        let trouble = self.lock();
        let trouble = trouble.as_ref()?;
        Some(format!(
            "nothing is delivered since {}: {}",
            trouble.since, trouble.reason
        ))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Trouble>> {
        // Whoever panicked while holding it left a whole value: it is only ever replaced.
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
