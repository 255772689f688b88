//! The tables, and how an older file becomes a newer one.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::torture;

/// What `PRAGMA application_id` says in a store: "RUNS" in ASCII.
pub(super) const APPLICATION_ID: i64 = 0x5255_4E53;

/// The steps from an empty file to the present schema. `PRAGMA user_version` is the number of steps taken, so a step
/// that was released is never changed; what is missing is added in a new one.
const STEPS: &[&str] = &[
    include_str!("schema/v1.sql"),
    include_str!("schema/v2.sql"),
    include_str!("schema/v3.sql"),
    include_str!("schema/v4.sql"),
    include_str!("schema/v5.sql"),
    include_str!("schema/v6.sql"),
    include_str!("schema/v7.sql"),
    include_str!("schema/v8.sql"),
    include_str!("schema/v9.sql"),
    include_str!("schema/v10.sql"),
];

/// The schema version that this software writes.
pub(super) const VERSION: i64 = STEPS.len() as i64;

/// Which version a file has; 0 for an empty one.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// An empty store in memory as this version has it.
pub(super) fn of(version: i64) -> rusqlite::Result<Connection> {
    let connection = Connection::open_in_memory()?;
    for (step, _) in STEPS.iter().zip(0..version) {
        connection.execute_batch(step)?;
    }
    Ok(connection)
}

/// Takes the steps that are missing, each in a transaction of its own.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    for (step, next) in STEPS.iter().zip(1_i64..) {
        if next <= version(connection)? {
            continue;
        }
        let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        torture::point("migrate.step-taken");
        transaction.pragma_update(None, "user_version", next)?;
        torture::point("migrate.before-commit");
        transaction.commit()?;
        torture::point("migrate.committed");
        tracing::info!(version = next, "store schema migrated");
    }
    Ok(())
}
