//! How far the import is, for those who look from outside.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use runs_store::intake_log::{IntakeLog, Position};
use tokio::time::Instant;

/// A batch takes milliseconds; longer than this is worth a word.
const SLOW: Duration = Duration::from_secs(1);

/// How far the import is, and what keeps it.
pub(crate) struct Progress {
    log: Arc<IntakeLog>,
    imported: AtomicU64,
    /// Up to where the log was found to hold nothing more: numbers may be left out, so the last one says too much.
    drained: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Since when the store has a batch in hand.
    asked_at: Option<Instant>,
    trouble: Option<String>,
}

impl Progress {
    pub(crate) fn new(log: Arc<IntakeLog>) -> Self {
        Self {
            log,
            imported: AtomicU64::new(0),
            drained: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    /// Says that the store has everything up to here.
    pub(super) fn imported(&self, position: Position) {
        self.imported.store(position.get(), Ordering::Relaxed);
        *self.state() = State::default();
    }

    /// Says that there was nothing more in the log up to here.
    pub(super) fn drained(&self, end: Position) {
        self.drained.store(end.get(), Ordering::Relaxed);
    }

    /// Says that the store is asked to take a batch.
    pub(super) fn asked(&self) {
        self.state().asked_at = Some(Instant::now());
    }

    /// Says that nothing could be imported. Whether that is news.
    pub(super) fn failed(&self, reason: &str) -> bool {
        let mut state = self.state();
        state.asked_at = None;
        state.trouble.replace(reason.to_owned()).is_none()
    }

    /// How many notifications are in the log and not in the store, at the most.
    pub(crate) fn waiting(&self) -> u64 {
        let done = self
            .imported
            .load(Ordering::Relaxed)
            .max(self.drained.load(Ordering::Relaxed));
        self.log.end().get().saturating_sub(done)
    }

    /// How many bytes the log takes up that cannot be let go of yet.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        self.log.waiting_bytes()
    }

    /// What keeps notifications from the store, if anything does.
    pub(crate) fn problem(&self) -> Option<String> {
        let reason = {
            let state = self.state();
            let slow = state.asked_at.map(|since| since.elapsed()).filter(|time| *time >= SLOW);
            let slow = slow.map(|time| format!("the store has not taken them for {} s", time.as_secs()));
            state.trouble.clone().or(slow)?
        };
        Some(format!(
            "{} notifications wait in the intake log: {reason}",
            self.waiting()
        ))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
