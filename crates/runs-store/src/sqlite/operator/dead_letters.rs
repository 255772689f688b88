//! Deliveries that were given up.

use jiff::Timestamp;

use super::{BATCH, EVENT_IS_MEANT, Meant, events, few_events, put_back};
use crate::desks::{After, DeadLetter, HandlerName, Query};
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

/// By the index of their times: of all of them, or of one handler.
const BY_TIME: &str = "
    dead_letters AS given_up INDEXED BY dead_letters_latest
    CROSS JOIN events ON events.subject = given_up.subject AND events.number = given_up.number
    JOIN subjects ON subjects.key = events.subject JOIN orgs ON orgs.key = subjects.org
    JOIN handlers AS given_up_for ON given_up_for.key = given_up.handler";
const OF_HANDLER: &str = "
    handlers AS given_up_for
    CROSS JOIN dead_letters AS given_up INDEXED BY dead_letters_of_handler ON given_up.handler = given_up_for.key
    CROSS JOIN events ON events.subject = given_up.subject AND events.number = given_up.number
    JOIN subjects ON subjects.key = events.subject JOIN orgs ON orgs.key = subjects.org";

/// What comes after the dead letter of the event ?9 for the handler ?10. The first line is for the index.
const AFTER: &str = "
    AND given_up.at <= (SELECT max(at) FROM dead_letters JOIN events USING (subject, number) WHERE events.id = ?9)
    AND (given_up.at, given_up.subject, given_up.number, given_up.handler) <
        (SELECT at, dead_letters.subject, dead_letters.number, handler
           FROM dead_letters
           JOIN events ON events.subject = dead_letters.subject AND events.number = dead_letters.number
           JOIN handlers ON handlers.key = dead_letters.handler
          WHERE events.id = ?9 AND handlers.name = ?10)";

/// Dead letters, the latest first.
pub(in crate::sqlite) fn latest(
    view: &Transaction<'_>,
    query: &Query,
    limit: usize,
) -> Result<Vec<DeadLetter>, Failure> {
    let (columns, few) = (events::COLUMNS, few_events(query));
    let (after, after_handler) = match &query.after {
        Some(After { id, handler }) => (Some(Column(*id)), handler.as_ref().map(HandlerName::as_str)),
        None => (None, None),
    };
    let on = after.as_ref().map_or("", |_| AFTER);
    // By an index of their times, unless a few events are meant.
    let from = match (few, &query.handler) {
        ("", Some(_)) => OF_HANDLER.to_owned(),
        ("", None) => BY_TIME.to_owned(),
        _ => format!("{} {GIVEN_UP}", events::FROM),
    };
    let by_name = if query.handler.is_some() {
        " AND given_up_for.name = ?7"
    } else {
        ""
    };
    let sql = format!(
        "SELECT given_up_for.name, given_up.attempts, given_up.reason, given_up.at, given_up.answer, {columns}
           FROM {from} WHERE {EVENT_IS_MEANT}{few} AND {MEANT}{by_name}{on}
          ORDER BY given_up.at DESC, given_up.subject DESC, given_up.number DESC, given_up.handler DESC LIMIT ?8"
    );
    let (meant, limit) = (Meant::by(query), rows(limit));
    let mut values = meant.and(&[&limit]);
    if let Some(after) = &after {
        values.push(after);
        values.push(&after_handler);
    }
    view.rows(&sql, values.as_slice(), |row| {
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
    let (from, few) = (events::FROM, few_events(query));
    let sql = format!(
        "SELECT given_up.handler, given_up.subject, given_up.number FROM {from} {GIVEN_UP}
          WHERE {EVENT_IS_MEANT}{few} AND {MEANT} LIMIT ?8"
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
