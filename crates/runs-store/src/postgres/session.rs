//! Transactions. Whatever is needed of a session is said in each of them, so that it does not matter which of a pooler's
//! connections it reaches, and none is open during anything but SQL.
//!
//! Statements that do not need the outcome of each other are sent without waiting for it, by `try_join!`, and carried out in
//! their order. It is `biased`, because of several that fail only the first says why.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::{Object, Pool, PoolError};
use futures_util::TryStreamExt as _;
use metrics::histogram;
use tokio::time::Instant;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, Statement};
use uuid::Uuid;

use super::failure::{Failure, connection_ended};
use super::params::Typed;
use super::sabotage::spoilt;
use crate::torture;

/// How long a statement may take, and a transaction may wait for its client.
pub(super) const STATEMENT: Duration = Duration::from_secs(30);
/// How long a statement may wait for a lock.
const LOCK: Duration = Duration::from_secs(10);
/// How long a verb may take, whatever the server or the network does.
const VERB: Duration = Duration::from_secs(60);

/// How often a verb is tried that other workers got in the way of.
const TRIES: u32 = 10;

/// How many connections that the server has closed are tried before it is given up to find one.
const CONNECTIONS: u32 = 20;

/// For how many transactions of a connection statements are prepared. Their plans are at most as old (the server plans again after
/// each ANALYZE), and one that was made when a table was small may not be the best when it has grown.
const PREPARED_FOR: usize = 1000;

/// The few rows that a webhook or an event needs are found by an index each. Left to itself, the planner reads the whole
/// of a table that holds little: with all that is dead in it, and long after it holds much.
const BY_INDEX: &str = "; SET LOCAL enable_seqscan TO off; SET LOCAL enable_hashjoin TO off; \
    SET LOCAL enable_mergejoin TO off; SET LOCAL jit TO off";

/// One plan for any values: the server would otherwise often plan anew for those of the moment, which takes longer than the statement.
const FOR_ANY_VALUES: &str = "; SET LOCAL plan_cache_mode TO force_generic_plan";

/// What a transaction may do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Read, from one moment's view.
    Read,
    /// Write.
    Write,
    /// Write what each webhook and each event needs: a few rows, which are found by an index.
    Often,
}

/// How statements are sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Statements {
    /// Without a name, each time anew: it does not matter which of a pooler's connections one reaches.
    Unnamed,
    /// Each is prepared on a connection, which must be the server's own, and used for a while: this saves most of the server's
    /// work.
    Prepared,
}

/// A transaction. One that is dropped before its end takes its connection with it, and the server rolls it back.
pub(super) struct Transaction {
    connection: Option<Object>,
    statements: Statements,
    due: AtomicBool,
    deliverable: AtomicBool,
}

/// Which stages a transaction may have given something to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Woken {
    pub(super) due: bool,
    pub(super) deliverable: bool,
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(Object::take(connection));
        }
    }
}

impl Transaction {
    /// Begins one in this schema.
    pub(super) async fn begin(pool: &Pool, schema: &str, access: Access) -> Result<Self, Failure> {
        Self::begin_with(pool, schema, access, Statements::Unnamed).await
    }

    /// The same, with statements that are sent like this.
    pub(super) async fn begin_with(
        pool: &Pool,
        schema: &str,
        access: Access,
        statements: Statements,
    ) -> Result<Self, Failure> {
        let begin = opening(schema, access, statements);
        let mut tries = 0;
        loop {
            tries += 1;
            let asked_at = Instant::now();
            let connection = pool.get().await;
            histogram!("runs_worker_store_connection_wait_seconds").record(asked_at.elapsed());
            let connection = connection.map_err(no_connection)?;
            if Object::metrics(&connection).recycle_count.is_multiple_of(PREPARED_FOR) {
                connection.statement_cache.clear();
            }
            let transaction = Self {
                connection: Some(connection),
                statements,
                due: AtomicBool::new(false),
                deliverable: AtomicBool::new(false),
            };
            match transaction.client()?.batch_execute(&begin).await {
                Ok(()) => return Ok(transaction),
                // The server was restarted meanwhile: the next connection may be a new one.
                Err(error) if tries <= CONNECTIONS && connection_ended(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn client(&self) -> Result<&deadpool_postgres::ClientWrapper, Failure> {
        self.connection.as_deref().ok_or(Failure::Closed)
    }

    /// Runs a statement; how many rows it changed.
    pub(super) async fn execute(&self, sql: &str, params: &[Typed<'_>]) -> Result<u64, Failure> {
        let client = self.client()?;
        match self.prepared(sql, params).await? {
            Some(statement) => measured(client.execute_raw(&statement, values(params))).await,
            None => measured(client.execute_typed(&spoilt(sql), params)).await,
        }
    }

    /// All rows of a query.
    pub(super) async fn rows(&self, sql: &str, params: &[Typed<'_>]) -> Result<Vec<Row>, Failure> {
        let client = self.client()?;
        match self.prepared(sql, params).await? {
            Some(statement) => {
                measured(async { client.query_raw(&statement, values(params)).await?.try_collect().await }).await
            }
            None => measured(client.query_typed(&spoilt(sql), params)).await,
        }
    }

    /// The statement, prepared on this connection; none where statements have no names.
    async fn prepared(&self, sql: &str, params: &[Typed<'_>]) -> Result<Option<Statement>, Failure> {
        if self.statements == Statements::Unnamed {
            return Ok(None);
        }
        let types: Vec<Type> = params.iter().map(|(_, of)| of.clone()).collect();
        Ok(Some(self.client()?.prepare_typed_cached(&spoilt(sql), &types).await?))
    }

    /// The first row of a query, if there is one.
    pub(super) async fn row(&self, sql: &str, params: &[Typed<'_>]) -> Result<Option<Row>, Failure> {
        Ok(self.rows(sql, params).await?.into_iter().next())
    }

    /// Statements without values.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), Failure> {
        measured(self.client()?.batch_execute(sql)).await
    }

    /// Notes that a subject may have become due.
    pub(super) fn wake_due(&self) {
        self.due.store(true, Ordering::Relaxed);
    }

    /// Notes that a delivery may have become due.
    pub(super) fn wake_deliverable(&self) {
        self.deliverable.store(true, Ordering::Relaxed);
    }

    /// Ends it. Whom it may have given something to do.
    pub(super) async fn commit(mut self) -> Result<Woken, Failure> {
        torture::point("postgres.before-commit");
        let begun = Instant::now();
        let ended = self.client()?.batch_execute("COMMIT").await;
        note(begun);
        match ended {
            Ok(()) => self.connection = None,
            // The server may have done it before it closed the connection.
            Err(error) if connection_ended(&error) => return Err(Failure::NoConnection(error.into())),
            Err(error) => return Err(error.into()),
        }
        torture::point("postgres.committed");
        Ok(Woken {
            due: self.due.load(Ordering::Relaxed),
            deliverable: self.deliverable.load(Ordering::Relaxed),
        })
    }

    /// Takes back what it did.
    pub(super) async fn roll_back(mut self) {
        if let Ok(client) = self.client()
            && client.batch_execute("ROLLBACK").await.is_ok()
        {
            self.connection = None;
        }
    }
}

fn values<'v>(params: &'v [Typed<'v>]) -> impl ExactSizeIterator<Item = &'v (dyn ToSql + Sync)> {
    params.iter().map(|(value, _)| *value)
}

/// Runs a statement, and says how long it took, however it ended.
async fn measured<T>(statement: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, Failure> {
    let begun = Instant::now();
    let ended = statement.await;
    note(begun);
    Ok(ended?)
}

fn note(begun: Instant) {
    histogram!("runs_worker_store_statement_seconds").record(begun.elapsed());
}

fn opening(schema: &str, access: Access, statements: Statements) -> String {
    let how = match access {
        Access::Read => "ISOLATION LEVEL REPEATABLE READ READ ONLY",
        Access::Write | Access::Often => "ISOLATION LEVEL READ COMMITTED READ WRITE",
    };
    let by_index = match access {
        Access::Often => BY_INDEX,
        Access::Read | Access::Write => "",
    };
    let for_any_values = match statements {
        Statements::Prepared => FOR_ANY_VALUES,
        Statements::Unnamed => "",
    };
    let (statement, lock) = (STATEMENT.as_millis(), LOCK.as_millis());
    format!(
        "BEGIN {how}; SET LOCAL search_path TO {}; SET LOCAL statement_timeout TO {statement}; \
         SET LOCAL lock_timeout TO {lock}; SET LOCAL idle_in_transaction_session_timeout TO {statement}\
         {by_index}{for_any_values}",
        quoted(schema)
    )
}

/// A name in SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(super) fn no_connection(error: PoolError) -> Failure {
    match error {
        PoolError::Backend(error) => Failure::Postgres(error),
        PoolError::Closed => Failure::Closed,
        error => Failure::NoConnection(error.into()),
    }
}

/// A limit for a whole verb, for a server or a network that does not answer at all.
pub(super) async fn in_time<T>(verb: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::time::timeout(VERB, verb).await.unwrap_or(Err(Failure::TooLong))
}

/// Counts the tries of a verb.
#[derive(Default)]
pub(super) struct Tries(u32);

impl Tries {
    /// Whether to try again what failed like this, after a short wait.
    pub(super) async fn again(&mut self, failure: &Failure) -> bool {
        self.0 += 1;
        if !failure.is_passing() || self.0 >= TRIES {
            return false;
        }
        // Two that wait equally long would meet again.
        let jitter = u64::from(Uuid::now_v7().as_bytes()[15]) % 8;
        tokio::time::sleep(Duration::from_millis(u64::from(self.0) * 3 + jitter)).await;
        true
    }
}
