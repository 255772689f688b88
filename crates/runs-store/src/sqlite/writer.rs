//! Group commit: one thread writes, and everything that waits for it shares one transaction and one fsync.
//!
//! The verbs run one after the other, and if one fails, all of them run again, each in a savepoint of its own: what fails is
//! then undone alone and answered with its error. Savepoints from the start would copy each page that is written once more
//! for each verb. Nobody is answered before the commit, and if that fails, everybody is told so.

use std::any::Any;
use std::cell::Cell;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension, Params, Row};
use tokio::sync::{oneshot, watch};

use super::checkpoint::Checkpointer;
use super::failure::Failure;
use super::lock::Lock;
use crate::error::StoreError;
use crate::torture;

/// The transaction as a verb sees it.
pub(super) struct Transaction<'c> {
    connection: &'c Connection,
    due: Cell<bool>,
    deliverable: Cell<bool>,
}

impl<'c> Transaction<'c> {
    /// A transaction that was begun on a connection, and is ended there.
    pub(super) fn on(connection: &'c Connection) -> Self {
        Self {
            connection,
            due: Cell::new(false),
            deliverable: Cell::new(false),
        }
    }

    /// The connection that it runs on.
    pub(super) fn connection(&self) -> &'c Connection {
        self.connection
    }

    /// Runs a statement; how many rows it changed.
    pub(super) fn execute(&self, sql: &str, params: impl Params) -> Result<usize, Failure> {
        Ok(self.connection.prepare_cached(sql)?.execute(params)?)
    }

    /// The only row of a query, if there is one.
    pub(super) fn row<T, P: Params>(
        &self,
        sql: &str,
        params: P,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Failure> {
        Ok(self
            .connection
            .prepare_cached(sql)?
            .query_row(params, read)
            .optional()?)
    }

    /// All rows of a query.
    pub(super) fn rows<T, P: Params>(
        &self,
        sql: &str,
        params: P,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Failure> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params, read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Does something that is undone by itself if it fails.
    pub(super) fn in_savepoint<T>(&self, name: &str, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
        self.execute(&format!("SAVEPOINT {name}"), [])?;
        let outcome = work();
        if outcome.is_err() {
            self.execute(&format!("ROLLBACK TO {name}"), [])?;
        }
        self.execute(&format!("RELEASE {name}"), [])?;
        outcome
    }

    /// A row was just inserted: its key.
    pub(super) fn inserted(&self) -> i64 {
        self.connection.last_insert_rowid()
    }

    /// Notes that a subject may have become due.
    pub(super) fn wake_due(&self) {
        self.due.set(true);
    }

    /// Notes that a delivery may have become due.
    pub(super) fn wake_deliverable(&self) {
        self.deliverable.set(true);
    }
}

/// A verb that waits for its turn.
pub(super) trait Request: Send {
    /// Runs it, possibly not for the first time. It is answered later.
    fn run(&mut self, transaction: &Transaction<'_>) -> Result<(), Failure>;
    /// Takes back what it did, because it was not kept.
    fn fail(&mut self, failure: Failure);
    /// Tells the caller.
    fn answer(self: Box<Self>);
}

/// What a caller gets.
type Outcome<T> = Result<T, Failure>;

struct Verb<T, F> {
    work: F,
    outcome: Option<Outcome<T>>,
    caller: oneshot::Sender<Outcome<T>>,
}

impl<T, F> Request for Verb<T, F>
where
    T: Send,
    F: Fn(&Transaction<'_>) -> Outcome<T> + Send,
{
    fn run(&mut self, transaction: &Transaction<'_>) -> Result<(), Failure> {
        // A bug in one verb must not take the store from all the others. What it did is rolled back.
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.work)(transaction)))
            .unwrap_or_else(|panic| Err(Failure::Panicked(panic_message(panic.as_ref()))));
        match outcome {
            Ok(value) => {
                self.outcome = Some(Ok(value));
                Ok(())
            }
            Err(failure) => {
                self.outcome = Some(Err(failure.clone()));
                Err(failure)
            }
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.outcome = Some(Err(failure));
    }

    fn answer(self: Box<Self>) {
        if let Some(outcome) = self.outcome {
            // A caller that does not wait any more is no harm: the verb is done, or will be found due.
            let _: Result<(), _> = self.caller.send(outcome);
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(message), _) => (*message).to_owned(),
        (None, Some(message)) => message.clone(),
        (None, None) => "panicked".to_owned(),
    }
}

/// Makes a request of a verb, and the place where its outcome will appear.
pub(super) fn verb<T, F>(work: F) -> (Box<dyn Request>, oneshot::Receiver<Outcome<T>>)
where
    T: Send + 'static,
    F: Fn(&Transaction<'_>) -> Outcome<T> + Send + 'static,
{
    let (caller, answer) = oneshot::channel();
    let verb = Verb {
        work,
        outcome: None,
        caller,
    };
    (Box::new(verb), answer)
}

/// What the writing thread owns.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    pub(super) due: watch::Sender<u64>,
    pub(super) deliverable: watch::Sender<u64>,
    /// How many transactions were committed.
    pub(super) commits: Arc<AtomicU64>,
    pub(super) place: Place,
}

/// What a writer has beside its connection.
pub(super) enum Place {
    /// The file, as its owner.
    File(Owned),
    /// The same file as another worker, which owns it.
    Beside,
    /// Nothing. What is in memory is with the connection, which is left here at the end.
    Memory(Left),
}

/// Where a writer leaves the connection, and with it the store, when it ends.
#[derive(Clone, Default)]
pub(super) struct Left(Arc<Mutex<Option<Connection>>>);

impl Left {
    fn leave(&self, connection: Connection) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
    }

    pub(super) fn take(&self) -> Option<Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What the owner of a store holds beside its connection, and lets go of after it.
pub(super) struct Owned {
    pub(super) checkpointer: Checkpointer,
    /// The file that the connection is to.
    pub(super) database: Arc<File>,
    pub(super) lock: Arc<Lock>,
}

impl Writer {
    /// Runs a batch, and answers it.
    pub(super) fn serve(&mut self, mut batch: Vec<Box<dyn Request>>) {
        let transaction = Transaction::on(&self.connection);
        let outcome = run_together(&transaction, &mut batch);
        if let Err(failure) = &outcome {
            tracing::warn!(requests = batch.len(), error = %failure, "commit failed");
            for request in &mut batch {
                request.fail(failure.clone());
            }
        } else {
            torture::point("writer.committed");
            self.commits.fetch_add(1, Ordering::Relaxed);
            if transaction.due.get() {
                self.due.send_modify(|count| *count = count.wrapping_add(1));
            }
            if transaction.deliverable.get() {
                self.deliverable.send_modify(|count| *count = count.wrapping_add(1));
            }
        }
        torture::point("writer.woken");
        for request in batch {
            request.answer();
        }
        torture::point("writer.answered");
        let Place::File(owned) = &mut self.place else { return };
        match outcome {
            Err(failure) if failure.is_full() => owned.checkpointer.move_rest(&self.connection),
            _ => owned.checkpointer.after_commit(&self.connection),
        }
    }

    /// Moves what is in the write-ahead log into the database file, if it is ours, and lets go of both.
    pub(super) fn end(self) {
        let Self {
            connection,
            path,
            place,
            ..
        } = self;
        let owned = match place {
            Place::File(owned) => owned,
            Place::Beside => return said(connection.close().map_err(|(_, error)| error), &path),
            Place::Memory(left) => {
                left.leave(connection);
                return;
            }
        };
        let Owned {
            checkpointer,
            database,
            lock,
        } = owned;
        drop(checkpointer);
        torture::point("checkpoint.before");
        let marked = super::open_mark::mark_closed(&connection);
        let checkpoint = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        torture::point("checkpoint.after");
        said(
            marked
                .and(checkpoint)
                .and(connection.close().map_err(|(_, error)| error)),
            &path,
        );
        drop(database);
        drop(lock);
    }
}

fn said(closed: rusqlite::Result<()>, path: &Path) {
    if let Err(error) = closed {
        // Nothing is lost: the next open reads the log.
        tracing::warn!(path = %path.display(), %error, "the store was not closed cleanly");
    }
}

/// Runs and commits a batch. An error means that nothing of it was kept.
fn run_together(transaction: &Transaction<'_>, batch: &mut [Box<dyn Request>]) -> Result<(), Failure> {
    begin(transaction)?;
    let ran = match batch.iter_mut().try_for_each(|request| request.run(transaction)) {
        Ok(()) => Ok(()),
        Err(_) => begin(transaction).and_then(|()| run_each(transaction, batch)),
    };
    let committed = ran.and_then(|()| {
        torture::point("writer.before-commit");
        transaction.execute("COMMIT", []).map(drop)
    });
    if committed.is_err() && !transaction.connection.is_autocommit() {
        // Otherwise the connection would stay inside the failed transaction for ever.
        transaction.execute("ROLLBACK", [])?;
    }
    committed
}

/// Begins anew: what was done since the last commit is undone.
fn begin(transaction: &Transaction<'_>) -> Result<(), Failure> {
    transaction.due.set(false);
    transaction.deliverable.set(false);
    if !transaction.connection.is_autocommit() {
        transaction.execute("ROLLBACK", [])?;
    }
    transaction.execute("BEGIN IMMEDIATE", []).map(drop)
}

fn run_each(transaction: &Transaction<'_>, batch: &mut [Box<dyn Request>]) -> Result<(), Failure> {
    for next in 0..batch.len() {
        transaction.execute("SAVEPOINT verb", [])?;
        let woken = (transaction.due.get(), transaction.deliverable.get());
        let (before, rest) = batch.split_at_mut(next);
        let Some(request) = rest.first_mut() else { break };
        let Err(failure) = request.run(transaction) else {
            transaction.execute("RELEASE verb", [])?;
            continue;
        };
        transaction.due.set(woken.0);
        transaction.deliverable.set(woken.1);
        // Some errors, a full disk among them, may make SQLite roll back all that was done, not only the statement.
        if undo(transaction).is_err() {
            for request in before {
                request.fail(failure.clone());
            }
            begin(transaction)?;
        }
    }
    Ok(())
}

fn undo(transaction: &Transaction<'_>) -> Result<(), Failure> {
    transaction.execute("ROLLBACK TO verb", [])?;
    transaction.execute("RELEASE verb", []).map(drop)
}

/// Waits for a verb's outcome.
pub(super) async fn outcome<T>(answer: oneshot::Receiver<Outcome<T>>) -> Result<Outcome<T>, StoreError> {
    // The writer answers everything that it took; a dropped answer means that its thread is gone.
    answer.await.map_err(|_| StoreError::Closed)
}
