//! What a person looks at and sets right, a file for each thing.

pub(super) mod dead_letters;
pub(super) mod deliveries;
pub(super) mod events;
pub(super) mod handlers;
pub(super) mod ids;
pub(super) mod notifications;
pub(super) mod replay;

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{Row, params};
use tallyfy_model::{OrgId, RunId};

use super::column::Column;
use super::failure::Failure;
use super::writer::Transaction;
use crate::desks::{HandlerName, Query};

/// How many rows are changed in one transaction: the worker writes in between.
pub(super) const BATCH: usize = 500;

fn run_of(query: &Query) -> Option<&str> {
    query.run.as_ref().map(RunId::as_str)
}

fn org_of(query: &Query) -> Option<&str> {
    query.org.as_ref().map(OrgId::as_str)
}

fn handler_of(query: &Query) -> Option<&str> {
    query.handler.as_ref().map(HandlerName::as_str)
}

fn since(query: &Query) -> Option<Column<Timestamp>> {
    query.since.map(Column)
}

fn until(query: &Query) -> Option<Column<Timestamp>> {
    query.until.map(Column)
}

/// As `hex` writes them, one after another with something in between.
fn ids_of(query: &Query) -> String {
    let ids: Vec<String> = query.ids.iter().map(|id| format!("{:X}", id.simple())).collect();
    ids.join(" ")
}

/// Each with a space before and after it.
fn types(query: &Query) -> String {
    match query.types.as_slice() {
        [] => String::new(),
        types => format!(" {} ", types.join(" ")),
    }
}

fn body(row: &Row<'_>) -> rusqlite::Result<Bytes> {
    row.get::<_, Vec<u8>>(0).map(Bytes::from)
}

/// Puts an event at the head of its run's line for a handler, unless an earlier one is there; if the head is out for
/// delivery, it is the next.
fn put_back(
    transaction: &Transaction<'_>,
    handler: i64,
    subject: i64,
    number: i64,
    now: Timestamp,
) -> Result<(), Failure> {
    transaction.execute(
        "INSERT INTO deliveries (handler, subject, number, since) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        params![handler, subject, number, Column(now)],
    )?;
    transaction.execute(
        "INSERT INTO cursors (handler, subject, number, due_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (handler, subject) DO UPDATE
            SET number = excluded.number, due_at = excluded.due_at, attempts = 0, reason = NULL,
                tried_since = NULL, failed_at = NULL
          WHERE cursors.due_at IS NULL OR (cursors.lease_until IS NULL AND excluded.number < cursors.number)",
        params![handler, subject, number, Column(now)],
    )?;
    transaction.wake_deliverable();
    Ok(())
}
