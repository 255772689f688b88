//! The store in one SQLite file, for one worker.
//!
//! # Invariants
//!
//! - The file has exactly one owner, who holds the lock beside it from before the file is opened until after it is
//!   closed. A second one is refused.
//! - One thread writes. What arrives while it commits is committed together next, with one fsync for all; nobody is
//!   answered before.
//! - Every path to work that is due goes through a partial index, and every count is kept by a trigger: no verb gets
//!   slower because much is waiting, or because much was done.

mod checkpoint;
mod claim;
mod column;
mod connect;
mod failure;
mod file;
mod inbox;
mod inspect;
mod lock;
mod operator;
mod outbox;
mod refresh;
mod retention;
mod schema;
mod stats;
mod sweep;
mod takeover;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
use tallyfy_model::{OrgId, RunId};
use tokio::sync::{oneshot, watch};

pub use self::inspect::{Inspection, inspect};
pub use self::operator::SqliteOperator;
pub use self::verify::{Verification, verify};

use self::checkpoint::Checkpointer;
use self::failure::{Failure, store_error};
use self::lock::Lock;
use self::stats::Question;
use self::writer::{Request, Transaction, Writer};
use crate::error::StoreError;
use crate::store::{Store, Wakeups};
use crate::sweep::{Finding, ListedPage, Sweep, SweepOrder, SweepPhase, Sweeps};
use crate::thread::ConnectionThread;
use crate::torture;
use crate::types::{
    Appended, Claim, Claimed, Delivery, DueRefresh, HandlerName, Lane, Lanes, Lease, NewNotification, Postponement,
    Prune, Pruned, Refreshed, Settlement, Stats, Subject,
};

/// The store in one SQLite file, for one worker.
///
/// Dropping it finishes what was asked of it, moves the write-ahead log into the file and lets go of the file; it
/// blocks until that is done. [`close`](Self::close) does the same without blocking.
pub struct SqliteStore {
    path: PathBuf,
    // First in, last out: who closes the file last empties the write-ahead log.
    reader: ConnectionThread<Question>,
    writer: ConnectionThread<Box<dyn Request>>,
    commits: Arc<AtomicU64>,
    wakeups: Wakeups,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SqliteStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the store in this file, which is created if it is not there; its folder is not.
    ///
    /// Leases of an earlier owner are void, and what it worked on is due at `now`, as after an attempt that failed.
    /// Blocks while a small file is checked for damage.
    pub fn open(path: impl AsRef<Path>, now: Timestamp) -> Result<Self, StoreError> {
        let path = file::resolve(path.as_ref())?;
        file::look(&path)?;
        let lock = Arc::new(Lock::take(&path, now)?);
        torture::point("open.locked");
        let mut connection = connect::writing(&path)?;
        let opening = format!("opening {}", path.display());
        takeover::take_over(&mut connection, now).map_err(|error| store_error(error, &path, &opening))?;
        torture::point("open.taken-over");
        let following = connect::following(&path).map_err(|error| store_error(error, &path, &opening))?;
        let unusable = |error| file::opening(&path, error);
        let database = Arc::new(File::open(&path).map_err(unusable)?);
        let checkpointer = Checkpointer::start(&mut connection, following, Arc::clone(&database)).map_err(unusable)?;
        let reading = connect::reading(&path).map_err(|error| store_error(error, &path, &opening))?;

        let (due, due_changed) = watch::channel(0);
        let (deliverable, deliverable_changed) = watch::channel(0);
        let commits = Arc::new(AtomicU64::new(0));
        let writer = Writer {
            checkpointer,
            connection,
            database,
            path: path.clone(),
            due,
            deliverable,
            commits: Arc::clone(&commits),
            lock: Arc::clone(&lock),
        };
        let threads = || {
            let reader = ConnectionThread::start("store-reader", (reading, lock), serve_reader, drop)?;
            let writer = ConnectionThread::start("store-writer", writer, Writer::serve, Writer::end)?;
            Ok((reader, writer))
        };
        let (reader, writer) = threads().map_err(|error| file::opening(&path, error))?;
        Ok(Self {
            path,
            reader,
            writer,
            commits,
            wakeups: Wakeups {
                due: due_changed,
                deliverable: deliverable_changed,
            },
        })
    }

    /// How many transactions were committed since the store was opened. Under load, fewer than verbs.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Runs a verb in the next transaction of the writing thread.
    async fn write<T, F>(&self, doing: &str, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    {
        let (request, answer) = writer::verb(work);
        self.writer.request(request).await?;
        let outcome = writer::outcome(answer).await?;
        outcome.map_err(|failure| failure.into_store_error(&self.path, doing))
    }
}

fn serve_reader(state: &mut (rusqlite::Connection, Arc<Lock>), questions: Vec<Question>) {
    stats::serve(&mut state.0, questions);
}

#[async_trait]
impl Store for SqliteStore {
    async fn append(&self, notification: NewNotification, now: Timestamp) -> Result<Appended, StoreError> {
        self.write("storing a notification", move |transaction| {
            inbox::append(transaction, &notification, now)
        })
        .await
    }

    async fn request_refresh(&self, org: &OrgId, run: &RunId, lane: Lane, now: Timestamp) -> Result<(), StoreError> {
        let (org, run) = (org.clone(), Subject::Run(run.clone()));
        self.write("requesting a refresh", move |transaction| {
            inbox::request_refresh(transaction, &org, &run, lane, now)
        })
        .await
    }

    async fn claim_due(&self, org: &OrgId, lanes: Lanes, claim: Claim) -> Result<Claimed<DueRefresh>, StoreError> {
        let org = org.clone();
        self.write("claiming runs that are due", move |transaction| {
            claim::claim_due(transaction, &org, lanes, claim)
        })
        .await
    }

    async fn commit_refresh(&self, lease: &Lease, refreshed: Refreshed, now: Timestamp) -> Result<(), StoreError> {
        let lease = lease.clone();
        self.write("committing a refresh", move |transaction| {
            refresh::commit_refresh(transaction, &lease, &refreshed, now)
        })
        .await
    }

    async fn postpone(&self, lease: &Lease, postponement: Postponement, _now: Timestamp) -> Result<(), StoreError> {
        let lease = lease.clone();
        self.write("postponing a refresh", move |transaction| {
            refresh::postpone(transaction, &lease, &postponement)
        })
        .await
    }

    async fn resolve_task(&self, lease: &Lease, run: &RunId, now: Timestamp) -> Result<(), StoreError> {
        let (lease, run) = (lease.clone(), run.clone());
        self.write("resolving a task", move |transaction| {
            refresh::resolve_task(transaction, &lease, &run, now)
        })
        .await
    }

    async fn set_handlers(&self, handlers: &[HandlerName], now: Timestamp) -> Result<(), StoreError> {
        let handlers = handlers.to_vec();
        self.write("setting the handlers", move |transaction| {
            outbox::set_handlers(transaction, &handlers, now)
        })
        .await
    }

    async fn claim_deliveries(&self, handler: &HandlerName, claim: Claim) -> Result<Claimed<Delivery>, StoreError> {
        let handler = handler.clone();
        self.write("claiming deliveries", move |transaction| {
            outbox::claim_deliveries(transaction, &handler, claim)
        })
        .await
    }

    async fn settle(&self, lease: &Lease, settlement: Settlement, now: Timestamp) -> Result<(), StoreError> {
        let lease = lease.clone();
        self.write("settling a delivery", move |transaction| {
            outbox::settle(transaction, &lease, &settlement, now)
        })
        .await
    }

    async fn release_delivery(&self, lease: &Lease, _now: Timestamp) -> Result<(), StoreError> {
        let lease = lease.clone();
        self.write("releasing a delivery", move |transaction| {
            outbox::release_delivery(transaction, &lease)
        })
        .await
    }

    async fn sweeps(&self, org: &OrgId) -> Result<Sweeps, StoreError> {
        let org = org.clone();
        self.write("looking at sweeps", move |transaction| sweep::sweeps(transaction, &org))
            .await
    }

    async fn ask_for_sweep(&self, org: &OrgId, order: SweepOrder) -> Result<u64, StoreError> {
        let org = org.clone();
        self.write("asking for a sweep", move |transaction| {
            sweep::ask(transaction, &org, order)
        })
        .await
    }

    async fn start_sweep(&self, org: &OrgId, order: SweepOrder, now: Timestamp) -> Result<Sweep, StoreError> {
        let org = org.clone();
        self.write("starting a sweep", move |transaction| {
            sweep::start(transaction, &org, order, now)
        })
        .await
    }

    async fn record_page(&self, org: &OrgId, page: ListedPage, now: Timestamp) -> Result<Sweep, StoreError> {
        let org = org.clone();
        self.write("recording a page of the run list", move |transaction| {
            sweep::record_page(transaction, &org, &page, now)
        })
        .await
    }

    async fn move_sweep(&self, org: &OrgId, sweep: &Sweep, phase: SweepPhase) -> Result<Sweep, StoreError> {
        let (org, sweep) = (org.clone(), sweep.clone());
        self.write("going on with a sweep", move |transaction| {
            sweep::move_on(transaction, &org, &sweep, phase)
        })
        .await
    }

    async fn close_sweep(
        &self,
        org: &OrgId,
        sweep: u64,
        limit: usize,
        now: Timestamp,
    ) -> Result<(Sweep, bool), StoreError> {
        let org = org.clone();
        self.write("closing a sweep", move |transaction| {
            sweep::close(transaction, &org, sweep, limit, now)
        })
        .await
    }

    async fn findings(&self, org: &OrgId, limit: usize) -> Result<Vec<(RunId, Finding)>, StoreError> {
        let org = org.clone();
        self.write("listing what a sweep found", move |transaction| {
            sweep::findings(transaction, &org, limit)
        })
        .await
    }

    async fn prune(&self, prune: Prune) -> Result<Pruned, StoreError> {
        self.write("removing what is old", move |transaction| {
            retention::prune(transaction, &prune)
        })
        .await
    }

    async fn stats(&self, now: Timestamp) -> Result<Stats, StoreError> {
        let (sender, answer) = oneshot::channel();
        let question = move |connection: &rusqlite::Connection| {
            // Whoever asked may have gone.
            let _: Result<(), _> = sender.send(stats::stats(connection, now));
        };
        self.reader.request(Box::new(question)).await?;
        let counted = answer.await.map_err(|_| StoreError::Closed)?;
        counted.map_err(|error| store_error(error, &self.path, "counting what waits"))
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.write("trying to write", |transaction| {
            transaction
                .execute("UPDATE counters SET value = value + 1 WHERE name = 'probes'", [])
                .map(drop)
        })
        .await
    }

    fn wakeups(&self) -> Wakeups {
        self.wakeups.clone()
    }

    /// Moves the write-ahead log into the file, too.
    async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}
