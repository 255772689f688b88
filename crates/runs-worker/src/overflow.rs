//! Overflow: takes what the store cannot, and brings it there once the store can.
//!
//! The receiver hands every notification to the [`Inbox`]. While the store answers in time, that is all there is to it. When
//! it does not, the notification goes to the journal, and so does everything after it, without waiting for the store
//! again, until the [`Drain`] finds that the store works.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metrics::counter;
use runs_store::{Appended, Journal, JournalError, NewNotification, StoreError};
use thiserror::Error;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::clock::Clock;
use crate::opening::{LateStore, NotOpen};
use crate::telemetry;

/// The waits between looks whether the store works again: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// How many notifications are taken out of the journal at a time.
const BATCH: usize = 64;

/// Where notifications go.
#[derive(Clone)]
pub(crate) struct Inbox {
    store: LateStore,
    journal: Option<Arc<Journal>>,
    clock: Clock,
    /// How long the store may take.
    patience: Duration,
    /// Whether the store is given a rest.
    detour: Arc<AtomicBool>,
}

/// What became of a notification.
pub(crate) enum Kept {
    Store(Appended),
    /// It is in the journal, on its way to the store.
    Journal,
}

/// Why a notification was not kept.
#[derive(Debug, Error)]
pub(crate) enum Lost {
    /// The store failed, and there is no journal.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store is not open, and there is no journal.
    #[error(transparent)]
    NotOpen(#[from] NotOpen),
    /// The store did not answer, and there is no journal.
    #[error("the store did not answer within {0:?}")]
    Slow(Duration),
    /// Both failed.
    #[error("neither the store nor the journal took it")]
    Both(#[source] JournalError),
}

impl Inbox {
    pub(crate) fn new(store: LateStore, journal: Option<Arc<Journal>>, clock: Clock, patience: Duration) -> Self {
        Self {
            store,
            journal,
            clock,
            patience,
            detour: Arc::default(),
        }
    }

    /// Keeps a notification. When this returns `Ok`, it survives a power cut.
    pub(crate) async fn keep(&self, notification: NewNotification) -> Result<Kept, Lost> {
        let Some(journal) = &self.journal else {
            return self.to_store(notification).await.map(Kept::Store);
        };
        if !self.detour.load(Ordering::Relaxed) {
            match self.to_store(notification.clone()).await {
                Ok(appended) => return Ok(Kept::Store(appended)),
                Err(reason) => {
                    if !self.detour.swap(true, Ordering::Relaxed) {
                        let reason = telemetry::chain(&reason);
                        error!(
                            reason,
                            "the store cannot be written: notifications go to the overflow journal"
                        );
                    }
                }
            }
        }
        match journal.append(notification).await {
            Ok(()) => {
                counter!("runs_worker_overflow_journaled_total").increment(1);
                Ok(Kept::Journal)
            }
            Err(reason) => {
                // Then there is nothing to drain, and nobody else would look whether the store works again.
                self.detour.store(*journal.waiting().borrow() > 0, Ordering::Relaxed);
                Err(Lost::Both(reason))
            }
        }
    }

    /// A notification that the store takes after its time was up is not kept twice: it has the same id.
    async fn to_store(&self, notification: NewNotification) -> Result<Appended, Lost> {
        let appended = self.store.get()?.append(notification, self.clock.now());
        match timeout(self.patience, appended).await {
            Ok(appended) => Ok(appended?),
            Err(_) => Err(Lost::Slow(self.patience)),
        }
    }

    async fn store_works(&self) -> bool {
        match self.store.get() {
            Ok(store) => store.probe().await.is_ok(),
            Err(_) => false,
        }
    }

    /// How many notifications wait in the journal.
    pub(crate) fn waiting(&self) -> u64 {
        self.journal.as_ref().map_or(0, |journal| *journal.waiting().borrow())
    }

    /// What keeps notifications from the store, if anything does.
    pub(crate) fn trouble(&self) -> Option<String> {
        let journal = self.journal.as_ref()?;
        let waiting = self.waiting();
        (waiting > 0).then(|| {
            format!(
                "{waiting} notifications wait in the overflow journal {} for the store",
                journal.path().display()
            )
        })
    }

    /// The stage that empties the journal; none without a journal.
    pub(crate) fn drain(&self) -> Option<Drain> {
        let journal = Arc::clone(self.journal.as_ref()?);
        Some(Drain {
            inbox: self.clone(),
            journal,
        })
    }
}

/// Brings what is in the journal to the store.
pub(crate) struct Drain {
    inbox: Inbox,
    journal: Arc<Journal>,
}

/// How a pass over the journal ended.
enum Pass {
    /// Everything that was there is in the store.
    Done,
    /// The store does not take anything.
    StoreFails,
    /// The store works, but does not take some of it.
    SomeStay,
}

impl Drain {
    /// Runs until `stop`, and closes the journal.
    pub(crate) async fn run(self, stop: CancellationToken) {
        self.report_damage();
        let mut waiting = self.journal.waiting();
        let mut pause = PAUSES.0;
        while !stop.is_cancelled() {
            let count = *waiting.borrow_and_update();
            if count == 0 {
                self.inbox.detour.store(false, Ordering::Relaxed);
                tokio::select! {
                    () = stop.cancelled() => {}
                    _ = waiting.changed() => pause = PAUSES.0,
                }
                continue;
            }
            let pass = tokio::select! {
                () = stop.cancelled() => break,
                pass = self.pass() => pass,
            };
            match pass {
                Ok(Pass::Done) => {
                    pause = PAUSES.0;
                    continue;
                }
                Ok(Pass::StoreFails | Pass::SomeStay) => {}
                Err(reason) => error!(
                    reason = telemetry::chain(&reason),
                    "the overflow journal cannot be read"
                ),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    fn report_damage(&self) {
        let damage = self.journal.damage();
        if damage.places > 0 {
            error!(
                path = %self.journal.path().display(), places = damage.places, bytes = damage.bytes,
                kept_at = damage.kept_at.as_ref().map(|path| path.display().to_string()),
                "the overflow journal was damaged: what was whole in it is kept, the file as it was is kept aside"
            );
        }
        let waiting = *self.journal.waiting().borrow();
        if waiting > 0 {
            info!(waiting, path = %self.journal.path().display(), "the overflow journal is not empty");
        }
    }

    async fn pass(&self) -> Result<Pass, JournalError> {
        let (mut after, mut stayed) = (None, 0_u64);
        loop {
            let batch = self.journal.oldest(after, BATCH).await?;
            let Some((last, _)) = batch.last() else { break };
            after = Some(*last);
            let mut done = Vec::with_capacity(batch.len());
            let mut store_fails = false;
            for (number, notification) in batch {
                let id = notification.id;
                match self.inbox.to_store(notification).await {
                    Ok(_) => {
                        self.inbox.detour.store(false, Ordering::Relaxed);
                        done.push(number);
                    }
                    Err(reason) if self.inbox.store_works().await => {
                        stayed += 1;
                        let reason = telemetry::chain(&reason);
                        error!(notification = %id, reason, "a notification stays in the overflow journal: the store works, but does not take it");
                    }
                    Err(reason) => {
                        debug!(reason = telemetry::chain(&reason), "the store cannot be written yet");
                        store_fails = true;
                        break;
                    }
                }
            }
            let drained = done.len();
            if drained > 0 {
                self.journal.forget(done).await?;
                counter!("runs_worker_overflow_drained_total").increment(drained as u64);
                info!(
                    notifications = drained,
                    "notifications went from the overflow journal to the store"
                );
            }
            if store_fails {
                warn!(
                    waiting = *self.journal.waiting().borrow(),
                    "the store still cannot be written"
                );
                return Ok(Pass::StoreFails);
            }
        }
        Ok(if stayed == 0 { Pass::Done } else { Pass::SomeStay })
    }
}
