//! Deliveries that are not settled.

use rusqlite::params;

use super::{BATCH, EVENT_IS_MEANT, Meant, events, few_events};
use crate::desks::{HandlerName, Query, WaitingDelivery};
use crate::sqlite::column::{Column, limit as rows};
use crate::sqlite::failure::Failure;
use crate::sqlite::writer::Transaction;
use crate::time::SchedulingTime;

/// A delivery with its handler, and with the head of its line if it is that.
const WAITING: &str = "
    JOIN deliveries ON deliveries.subject = events.subject AND deliveries.number = events.number
    JOIN handlers ON handlers.key = deliveries.handler
    LEFT JOIN cursors ON cursors.handler = deliveries.handler AND cursors.subject = deliveries.subject
                     AND cursors.number = deliveries.number AND cursors.due_at IS NOT NULL";

/// What else a query says of deliveries, for its values ?3, ?4, ?7 and ?8.
const MEANT: &str = "
        (?3 IS NULL OR events.created_at >= ?3) AND (?4 IS NULL OR events.created_at < ?4)
    AND (?7 IS NULL OR handlers.name = ?7)
    AND (NOT ?8 OR cursors.reason IS NOT NULL)";

/// Deliveries by handler and run, in their order.
pub(in crate::sqlite) fn in_order(
    view: &Transaction<'_>,
    query: &Query,
    limit: usize,
) -> Result<Vec<WaitingDelivery>, Failure> {
    let (columns, from, few) = (events::COLUMNS, events::FROM, few_events(query));
    let sql = format!(
        "SELECT handlers.name, cursors.due_at, cursors.lease_until IS NOT NULL, coalesce(cursors.attempts, 0),
                cursors.reason, {columns}
           FROM {from} {WAITING} WHERE {EVENT_IS_MEANT}{few} AND {MEANT}
          ORDER BY handlers.name, events.subject, events.number LIMIT ?9"
    );
    let (meant, limit) = (Meant::by(query), rows(limit));
    view.rows(&sql, meant.and(&[&query.failing, &limit]).as_slice(), |row| {
        Ok(WaitingDelivery {
            handler: HandlerName::new(row.get::<_, String>(0)?),
            due_at: row.get::<_, Option<Column<SchedulingTime>>>(1)?.map(|at| at.0),
            is_out: row.get(2)?,
            attempts: row.get(3)?,
            reason: row.get(4)?,
            event: events::summary(row, 5)?,
        })
    })
}

/// Makes some deliveries due that wait for their next try, at most a batch, and says how many.
pub(in crate::sqlite) fn retry_some(
    transaction: &Transaction<'_>,
    query: &Query,
    now: SchedulingTime,
) -> Result<usize, Failure> {
    let (from, few) = (events::FROM, few_events(query));
    let sql = format!(
        "SELECT deliveries.handler, deliveries.subject FROM {from} {WAITING}
          WHERE {EVENT_IS_MEANT}{few} AND {MEANT} AND cursors.due_at > ?9 AND cursors.lease_until IS NULL LIMIT ?10"
    );
    let (meant, now_in_column, batch) = (Meant::by(query), Column(now), rows(BATCH));
    let values = meant.and(&[&query.failing, &now_in_column, &batch]);
    let some: Vec<(i64, i64)> = transaction.rows(&sql, values.as_slice(), |row| Ok((row.get(0)?, row.get(1)?)))?;
    for (handler, subject) in &some {
        transaction.execute(
            "UPDATE cursors SET due_at = ? WHERE handler = ? AND subject = ?",
            params![Column(now), handler, subject],
        )?;
    }
    if !some.is_empty() {
        transaction.wake_deliverable();
    }
    Ok(some.len())
}
