//! Deliveries that were given up.

use super::{BATCH, EVENT_IS_MEANT, Meant, events, put_back};
use crate::desks::{DeadLetter, HandlerName, Query};
use crate::postgres::column::{Columns as _, limit as rows};
use crate::postgres::failure::Failure;
use crate::postgres::outbox::{Place, columns};
use crate::postgres::params::{params, text, typed};
use crate::postgres::session::Transaction;
use crate::time::SchedulingTime;

/// What else a query says of dead letters, for its values $3, $4 and $7.
const MEANT: &str = "
        ($3 IS NULL OR given_up.at >= $3) AND ($4 IS NULL OR given_up.at < $4)
    AND ($7 IS NULL OR given_up.handler = $7)";

const GIVEN_UP: &str = "
    JOIN dead_letters given_up ON given_up.subject = e.subject AND given_up.number = e.number
    JOIN handlers given_up_for ON given_up_for.key = given_up.handler";

/// What comes after the dead letter of the event $9 for the handler $10.
const AFTER: &str = "
    ($9 IS NULL OR (given_up.at, given_up.subject, given_up.number, given_up.handler) <
        (SELECT d.at, d.subject, d.number, d.handler
           FROM dead_letters d
           JOIN events e ON e.subject = d.subject AND e.number = d.number
           JOIN handlers h ON h.key = d.handler
          WHERE e.id = $9 AND h.name = $10))";

/// Dead letters, the latest first.
pub(in crate::postgres) async fn latest(
    view: &Transaction,
    query: &Query,
    limit: usize,
) -> Result<Vec<DeadLetter>, Failure> {
    let (of_event, from) = (events::COLUMNS, events::FROM);
    let sql = format!(
        "SELECT given_up_for.name, given_up.attempts, given_up.reason, given_up.at, given_up.answer, {of_event}
           FROM {from} {GIVEN_UP} WHERE {EVENT_IS_MEANT} AND {MEANT} AND {AFTER}
          ORDER BY given_up.at DESC, given_up.subject DESC, given_up.number DESC, given_up.handler DESC LIMIT $8"
    );
    let (meant, limit) = (Meant::by(view, query).await?, rows(limit));
    let after = query.after.as_ref().map(|after| after.id);
    let handler = query.after.as_ref().and_then(|after| after.handler.as_ref());
    let handler = handler.map(|handler| text(handler.as_str()));
    let values = meant.and(&[typed(&limit), typed(&after), typed(&handler)]);
    let found = view.rows(&sql, &values).await?;
    let letters = found.iter().map(|row| {
        Ok(DeadLetter {
            handler: HandlerName::new(row.at::<String>(0)?),
            attempts: row.attempts(1)?,
            reason: row.at(2)?,
            at: row.time(3)?,
            answer: row.at(4)?,
            event: events::summary(row, 5)?,
        })
    });
    letters.collect()
}

/// Ends some dead letters, at most a batch, and says how many. With a time, they are put back into their lines.
pub(in crate::postgres) async fn end_some(
    transaction: &Transaction,
    query: &Query,
    back_at: Option<SchedulingTime>,
) -> Result<usize, Failure> {
    let from = events::FROM;
    let sql = format!(
        "SELECT given_up.handler, given_up.subject, given_up.number FROM {from} {GIVEN_UP}
          WHERE {EVENT_IS_MEANT} AND {MEANT} LIMIT $8 FOR UPDATE OF given_up"
    );
    let (meant, batch) = (Meant::by(transaction, query).await?, rows(BATCH));
    let found = transaction.rows(&sql, &meant.and(&[typed(&batch)])).await?;
    let places = found.iter().map(|row| Ok((row.at(0)?, row.at(1)?, row.at(2)?)));
    let places: Vec<Place> = places.collect::<Result<_, Failure>>()?;
    if places.is_empty() {
        return Ok(0);
    }
    let (handlers, subjects, numbers) = columns(&places);
    transaction
        .execute(
            "DELETE FROM dead_letters d USING unnest($1, $2, $3) AS p (handler, subject, number)
              WHERE d.subject = p.subject AND d.number = p.number AND d.handler = p.handler",
            params![; handlers, subjects, numbers],
        )
        .await?;
    let ended = places.len();
    if let Some(now) = back_at {
        put_back(transaction, places, now).await?;
    }
    Ok(ended)
}
