//! Import: brings what the intake log holds into the store, in order, hundreds of notifications in one transaction.
//!
//! The store says how far it got, in the transaction that got there; so a crash at any point imports nothing twice. The log
//! is told only after that, and lets go of what no power cut can take back.
//!
//! Bodies move into the store. They could stay in the log, which would spare SQLite some 14 us each; but then every backup,
//! every retention and every check would be about two places that must agree. The position is committed like everything
//! else, with a sync: for a batch that is a small part of what it costs, and what is committed may be let go of at once.

mod progress;

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use runs_store::intake_log::{IntakeLog, IntakeLogError, LogBatch, Position};
use runs_store::{Store, StoreError, torture};
use tallyfy_transport::Backoff;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::clock::Clock;
use crate::shared::notified::Notified;
use crate::telemetry;

pub(crate) use progress::Progress;

/// The most notifications in one transaction, and the most bytes of bodies. Larger ones keep the others who write waiting
/// for longer than a fetch takes.
const MOST: usize = 1024;
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// After all that there was, and so many at once, more are to come: the next batch waits for a moment, so that it is larger. A
/// page of the database that many of them change is then written once, and processors and disk are left to the door.
const MANY: usize = 64;
const MOMENT: Duration = Duration::from_millis(100);
/// The waits after failures.
const PAUSE: Backoff = Backoff {
    initial: Duration::from_millis(250),
    max: Duration::from_secs(5),
};

/// The importing stage.
pub(crate) struct Importer {
    pub(crate) log: Arc<IntakeLog>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) progress: Arc<Progress>,
}

/// Why a batch was not imported.
#[derive(Debug, Error)]
enum Failed {
    #[error("the intake log cannot be read")]
    Log(#[from] IntakeLogError),
    #[error("the store does not take notifications")]
    Store(#[from] StoreError),
}

/// What a step found in the log.
enum Found {
    Nothing,
    /// A batch, and more behind it.
    Part,
    /// All that was there when it was read: so many.
    All(usize),
}

impl Importer {
    /// Runs until `stop`. What is not imported then is imported after the next start.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let damage = self.log.damage();
        if damage.places > 0 {
            error!(
                places = damage.places, bytes = damage.bytes, kept_at = ?damage.kept_at,
                "the intake log is damaged; everything whole in it is imported, and a copy is kept"
            );
        }
        let mut appended = self.log.appended();
        let mut position = None;
        let mut failures = 0;
        while !stop.is_cancelled() {
            // Before the look: what arrives in between is then seen as a change.
            appended.mark_unchanged();
            match self.step(&mut position).await {
                Ok(Found::Nothing) => {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        changed = appended.changed() => if changed.is_err() { break },
                    }
                }
                Ok(Found::Part) => failures = 0,
                Ok(Found::All(count)) => {
                    failures = 0;
                    if count >= MANY {
                        stop.run_until_cancelled(tokio::time::sleep(MOMENT)).await;
                    }
                }
                Err(failed) => {
                    self.note_failure(&failed);
                    position = None;
                    failures += 1;
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(PAUSE.full(failures)) => {}
                    }
                }
            }
        }
    }

    /// Imports one batch. `position` is how far the store is, once that is known.
    async fn step(&self, position: &mut Option<Position>) -> Result<Found, Failed> {
        let after = match *position {
            Some(position) => position,
            None => self.begin().await?,
        };
        *position = Some(after);
        let end = self.log.end();
        let batch = self.log.read(after, MOST, MOST_BYTES).await?;
        if batch.through <= after {
            self.progress.drained(end);
            return Ok(Found::Nothing);
        }
        torture::point("import.begin");
        let (through, count) = (batch.through, batch.records.len());
        self.commit(after, batch).await?;
        torture::point("import.committed");
        *position = Some(through);
        self.progress.imported(through);
        // What is committed is on the disk, so it may go from the log.
        self.log.release(through).await?;
        torture::point("import.released");
        Ok(if through < end { Found::Part } else { Found::All(count) })
    }

    /// Where the store is in this log. What it has may go from the log, which may not have been told before a crash.
    async fn begin(&self) -> Result<Position, Failed> {
        self.progress.asked();
        let position = self.store.imported(self.log.id()).await?;
        self.progress.imported(position);
        self.log.release(position).await?;
        Ok(position)
    }

    async fn commit(&self, after: Position, batch: LogBatch) -> Result<(), StoreError> {
        let LogBatch { records, through, .. } = batch;
        let notifications: Vec<_> = records.into_iter().map(|(_, notification)| notification).collect();
        let told: Vec<_> = notifications.iter().map(Notified::of).collect();
        let now = self.clock.now();
        self.progress.asked();
        let appended = self
            .store
            .import(self.log.id(), after, notifications, through, now)
            .await?;
        counter!("runs_worker_imports_total").increment(1);
        for (notified, appended) in told.iter().zip(&appended) {
            notified.tell(appended);
        }
        Ok(())
    }

    fn note_failure(&self, failed: &Failed) {
        let reason = telemetry::chain(failed);
        match failed {
            Failed::Store(StoreError::LeaseLost) => {
                debug!("the log was imported by somebody else meanwhile");
            }
            Failed::Store(StoreError::Closed) | Failed::Log(IntakeLogError::Closed) => info!(reason, "import ends"),
            _ if self.progress.failed(&reason) => {
                warn!(reason, "notifications wait in the intake log for the store");
            }
            _ => debug!(reason, "notifications still wait in the intake log"),
        }
    }
}
