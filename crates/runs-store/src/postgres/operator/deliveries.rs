//! Deliveries that are not settled.

use super::{BATCH, EVENT_IS_MEANT, Meant, events};
use crate::desks::{HandlerName, Query, WaitingDelivery};
use crate::postgres::column::{Columns as _, limit as rows, micros};
use crate::postgres::failure::Failure;
use crate::postgres::params::{params, typed};
use crate::postgres::session::Transaction;
use crate::time::SchedulingTime;

/// A delivery with its handler, and with the head of its line if it is that.
const WAITING: &str = "
    JOIN deliveries d ON d.subject = e.subject AND d.number = e.number
    JOIN handlers h ON h.key = d.handler
    LEFT JOIN cursors c ON c.handler = d.handler AND c.subject = d.subject AND c.number = d.number
                       AND c.due_at IS NOT NULL";

/// What else a query says of deliveries, for its values $3, $4, $7 and $8.
const MEANT: &str = "
        ($3 IS NULL OR e.created_at >= $3) AND ($4 IS NULL OR e.created_at < $4)
    AND ($7 IS NULL OR d.handler = $7) AND (NOT $8 OR c.reason IS NOT NULL)";

/// Deliveries by handler and run, in their order.
pub(in crate::postgres) async fn in_order(
    view: &Transaction,
    query: &Query,
    limit: usize,
) -> Result<Vec<WaitingDelivery>, Failure> {
    let (columns, from) = (events::COLUMNS, events::FROM);
    let sql = format!(
        "SELECT h.name, c.due_at, c.lease_until IS NOT NULL, coalesce(c.attempts, 0), c.reason, {columns}
           FROM {from} {WAITING} WHERE {EVENT_IS_MEANT} AND {MEANT} ORDER BY h.name, e.subject, e.number LIMIT $9"
    );
    let (meant, limit) = (Meant::by(view, query).await?, rows(limit));
    let found = view
        .rows(&sql, &meant.and(&[typed(&query.failing), typed(&limit)]))
        .await?;
    let waiting = found.iter().map(|row| {
        Ok(WaitingDelivery {
            handler: HandlerName::new(row.at::<String>(0)?),
            due_at: row.due_if_any(1)?,
            is_out: row.at(2)?,
            attempts: row.attempts(3)?,
            reason: row.at(4)?,
            event: events::summary(row, 5)?,
        })
    });
    waiting.collect()
}

/// Makes some deliveries due that wait for their next try, at most a batch, and says how many.
pub(in crate::postgres) async fn retry_some(
    transaction: &Transaction,
    query: &Query,
    now: SchedulingTime,
) -> Result<usize, Failure> {
    let from = events::FROM;
    let sql = format!(
        "SELECT d.handler, d.subject FROM {from} {WAITING}
          WHERE {EVENT_IS_MEANT} AND {MEANT} AND c.due_at > $9 AND c.lease_until IS NULL LIMIT $10"
    );
    let (meant, at, batch) = (Meant::by(transaction, query).await?, micros(now), rows(BATCH));
    let found = transaction
        .rows(&sql, &meant.and(&[typed(&query.failing), typed(&at), typed(&batch)]))
        .await?;
    let heads = found.iter().map(|row| Ok((row.at(0)?, row.at(1)?)));
    let heads: Vec<(i64, i64)> = heads.collect::<Result<_, Failure>>()?;
    let (handlers, subjects): (Vec<i64>, Vec<i64>) = heads.into_iter().unzip();
    let made_due = transaction
        .execute(
            "UPDATE cursors c SET due_at = $1
               FROM (SELECT c.handler, c.subject FROM unnest($2, $3) AS h (handler, subject)
                       JOIN cursors c ON c.handler = h.handler AND c.subject = h.subject
                      WHERE c.due_at > $1 AND c.lease_until IS NULL
                      ORDER BY c.handler, c.subject FOR NO KEY UPDATE OF c) w
              WHERE c.handler = w.handler AND c.subject = w.subject",
            params![at; handlers, subjects],
        )
        .await?;
    if made_due > 0 {
        transaction.wake_deliverable();
    }
    Ok(usize::try_from(made_due).unwrap_or(usize::MAX))
}
