//! Deliveries that were given up.

use jiff::Timestamp;

use super::{BATCH, EVENT_IS_MEANT, Meant, events, put_back};
use crate::desks::{DeadLetter, HandlerName, Query};
use crate::sqlite::column::{Column, limit as rows};
use crate::sqlite::failure::Failure;
use crate::sqlite::writer::Transaction;
use crate::time::SchedulingTime;

/// What else a query says of dead letters, for its values ?3, ?4 and ?7.
const MEANT: &str = "
        (?3 IS NULL OR given_up.at >= ?3) AND (?4 IS NULL OR given_up.at < ?4)
    AND (?7 IS NULL OR given_up_for.name = ?7)";

const GIVEN_UP: &str = "
    JOIN dead_letters AS given_up ON given_up.subject = events.subject AND given_up.number = events.number
    JOIN handlers AS given_up_for ON given_up_for.key = given_up.handler";

/// Dead letters, the latest first.
pub(in crate::sqlite) fn latest(
    view: &Transaction<'_>,
    query: &Query,
    limit: usize,
) -> Result<Vec<DeadLetter>, Failure> {
    let (columns, from) = (events::COLUMNS, events::FROM);
    let sql = format!(
        "SELECT given_up_for.name, given_up.attempts, given_up.reason, given_up.at, given_up.answer, {columns}
           FROM {from} {GIVEN_UP} WHERE {EVENT_IS_MEANT} AND {MEANT} ORDER BY given_up.at DESC LIMIT ?8"
    );
    let (meant, limit) = (Meant::by(query), rows(limit));
    view.rows(&sql, meant.and(&[&limit]).as_slice(), |row| {
        Ok(DeadLetter {
            handler: HandlerName::new(row.get::<_, String>(0)?),
            attempts: row.get(1)?,
            reason: row.get(2)?,
            at: row.get::<_, Column<Timestamp>>(3)?.0,
            answer: row.get(4)?,
            event: events::summary(row, 5)?,
        })
    })
}

/// Ends some dead letters, at most a batch, and says how many. With a time, they are put back into their lines.
pub(in crate::sqlite) fn end_some(
    transaction: &Transaction<'_>,
    query: &Query,
    back_at: Option<SchedulingTime>,
) -> Result<usize, Failure> {
    let from = events::FROM;
    let sql = format!(
        "SELECT given_up.handler, given_up.subject, given_up.number FROM {from} {GIVEN_UP} WHERE {EVENT_IS_MEANT} AND {MEANT} LIMIT ?8"
    );
    let (meant, batch) = (Meant::by(query), rows(BATCH));
    let some: Vec<(i64, i64, i64)> = transaction.rows(&sql, meant.and(&[&batch]).as_slice(), |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    for (handler, subject, number) in &some {
        if let Some(now) = back_at {
            put_back(transaction, *handler, *subject, *number, now)?;
        }
        transaction.execute(
            "DELETE FROM dead_letters WHERE handler = ? AND subject = ? AND number = ?",
            [handler, subject, number],
        )?;
    }
    Ok(some.len())
}
