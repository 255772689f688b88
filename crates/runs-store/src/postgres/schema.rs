//! The tables, and how an older schema becomes a newer one.
//!
//! A step only adds: the version of the software before it goes on working on what it makes. What is not needed any more is
//! removed a version later. Each schema says which version of it a program must know to use it.

use deadpool_postgres::Pool;
use tracing::info;

use super::column::Columns as _;
use super::connect::{explain, lacks_rights};
use super::failure::Failure;
use super::params::params;
use super::session::{Access, Transaction, quoted};
use super::settings::Target;
use crate::error::StoreError;
use crate::torture;

/// The steps from an empty schema to the present one. A step that was released is never changed; what is missing is added
/// in a new one. With each goes the oldest version that a program must know to use what it makes.
const STEPS: &[(&str, i64)] = &[
    (include_str!("schema/v1.sql"), 1),
    (include_str!("schema/v2.sql"), 1),
    (include_str!("schema/v3.sql"), 1),
];

/// The schema version that this software writes.
pub(super) const VERSION: i64 = STEPS.len() as i64;

/// Says whose schema it is, and which version it has.
const MARK: &str = "
    CREATE TABLE runs_worker_schema (
        version     bigint NOT NULL,
        -- A program that knows this version may use it.
        usable_from bigint NOT NULL
    );
    INSERT INTO runs_worker_schema VALUES (0, 0);";

/// What is found in a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// There is no such schema, or it is empty.
    Nothing,
    /// A store, with its version and the one that a program must know.
    Store { version: i64, usable_from: i64 },
    /// Tables of another program.
    Foreign,
}

/// Looks which schema there is.
pub(super) async fn look(view: &Transaction, schema: &str) -> Result<Found, Failure> {
    let tables = "SELECT count(*), coalesce(bool_or(tablename = 'runs_worker_schema'), false)
                    FROM pg_tables WHERE schemaname = $1";
    let tables = view.row(tables, params![schema]).await?.ok_or(Failure::Conflict)?;
    match (tables.at::<i64>(0)?, tables.at::<bool>(1)?) {
        (0, _) => return Ok(Found::Nothing),
        (_, false) => return Ok(Found::Foreign),
        (_, true) => {}
    }
    let mark = view
        .row("SELECT version, usable_from FROM runs_worker_schema", &[])
        .await?;
    Ok(match mark {
        Some(mark) => Found::Store {
            version: mark.at(0)?,
            usable_from: mark.at(1)?,
        },
        None => Found::Foreign,
    })
}

/// Whether the user may make tables in this schema, or the schema if it is not there.
async fn may(view: &Transaction, schema: &str) -> Result<bool, Failure> {
    let rights = "
        SELECT coalesce((SELECT has_schema_privilege(oid, 'CREATE') AND has_schema_privilege(oid, 'USAGE')
                           FROM pg_namespace WHERE nspname = $1),
                        has_database_privilege(current_database(), 'CREATE'))";
    view.row(rights, params![schema]).await?.ok_or(Failure::Conflict)?.at(0)
}

/// Takes the steps that are missing. Of several workers that start at the same time, one does, and the others wait for it.
pub(super) async fn migrate(target: &Target, pool: &Pool) -> Result<(), StoreError> {
    if let Found::Store { version, .. } = inspect(target, pool).await?
        && version >= VERSION
    {
        return Ok(());
    }
    let migrated = async {
        let transaction = Transaction::begin(pool, &target.schema, Access::Write).await?;
        let done = take_steps(&transaction, &target.schema).await;
        match done {
            Ok(()) => transaction.commit().await.map(drop),
            Err(failure) => {
                transaction.roll_back().await;
                Err(failure)
            }
        }
    };
    migrated.await.map_err(|failure| explain(target, failure))
}

async fn take_steps(transaction: &Transaction, schema: &str) -> Result<(), Failure> {
    // A large table takes longer than a verb may.
    transaction
        .batch("SET LOCAL statement_timeout TO 0; SET LOCAL lock_timeout TO 0")
        .await?;
    let lock = "SELECT pg_advisory_xact_lock(hashtextextended('runs-worker schema ' || $1, 0))";
    transaction.row(lock, params![schema]).await?;
    let there = "SELECT 1 FROM pg_namespace WHERE nspname = $1";
    if transaction.row(there, params![schema]).await?.is_none() {
        transaction.batch(&format!("CREATE SCHEMA {}", quoted(schema))).await?;
    }
    let version = match look(transaction, schema).await? {
        Found::Store { version, .. } => version,
        Found::Nothing => {
            transaction.batch(MARK).await?;
            0
        }
        Found::Foreign => return Err(Failure::Conflict),
    };
    for ((step, usable_from), next) in STEPS.iter().zip(1_i64..) {
        if next > version {
            transaction.batch(step).await?;
            torture::point("postgres.step-taken");
            let note = "UPDATE runs_worker_schema SET version = $1, usable_from = $2";
            transaction.execute(note, params![next, *usable_from]).await?;
            info!(version = next, schema, "store schema migrated");
        }
    }
    Ok(())
}

/// Looks which schema there is. One that cannot be used is an error.
pub(super) async fn inspect(target: &Target, pool: &Pool) -> Result<Found, StoreError> {
    let looked = async {
        let view = Transaction::begin(pool, &target.schema, Access::Read).await?;
        let found = async { Ok((may(&view, &target.schema).await?, look(&view, &target.schema).await?)) }.await;
        view.roll_back().await;
        found
    };
    let (may, found) = looked.await.map_err(|failure| explain(target, failure))?;
    match found {
        Found::Nothing if !may => Err(lacks_rights(target, "it may not make tables in this schema")),
        Found::Foreign => Err(StoreError::NotAStore {
            path: target.place.clone(),
            detail: "there are tables of another program in this schema".to_owned(),
        }),
        Found::Store { version, usable_from } if usable_from > VERSION => Err(StoreError::NewerSchema {
            path: target.place.clone(),
            found: version,
            supported: VERSION,
        }),
        found => Ok(found),
    }
}
