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
use rusqlite::{Row, ToSql, params};
use tallyfy_model::{OrgId, RunId};

use super::column::Column;
use super::failure::Failure;
use super::writer::Transaction;
use crate::desks::{HandlerName, Query};
use crate::time::SchedulingTime;

/// How many rows are changed in one transaction: the worker writes in between.
pub(super) const BATCH: usize = 500;

/// Which events a query means, for its values ?1, ?2, ?5 and ?6.
const EVENT_IS_MEANT: &str = "
        (?1 IS NULL OR subjects.id = ?1) AND (?2 IS NULL OR orgs.name = ?2)
    AND (?5 = '' OR instr(?5, hex(events.id)) > 0)
    AND (?6 = '' OR instr(?6, ' ' || events.type || ' ') > 0)";

/// What lets an index find the few events that a query means, if it means few.
fn few_events(query: &Query) -> &'static str {
    match (query.ids.is_empty(), query.run.is_some()) {
        (false, _) => " AND events.id IN (SELECT unhex(value) FROM json_each(?5))",
        (true, true) => {
            " AND events.subject IN (SELECT key FROM subjects
                                      WHERE org IN (SELECT key FROM orgs) AND kind = 'run' AND id = ?1)"
        }
        (true, false) => "",
    }
}

/// What a query says, as the values ?1 to ?7 of a statement.
struct Meant<'q> {
    run: Option<&'q str>,
    org: Option<&'q str>,
    since: Option<Column<Timestamp>>,
    until: Option<Column<Timestamp>>,
    /// A JSON array of what `hex` writes; empty for any.
    ids: String,
    /// Each with a space before and after it.
    types: String,
    handler: Option<&'q str>,
}

impl<'q> Meant<'q> {
    fn by(query: &'q Query) -> Self {
        let ids: Vec<String> = query.ids.iter().map(|id| format!("{:X}", id.simple())).collect();
        Self {
            run: query.run.as_ref().map(RunId::as_str),
            org: query.org.as_ref().map(OrgId::as_str),
            since: query.since.map(Column),
            until: query.until.map(Column),
            ids: match ids.as_slice() {
                [] => String::new(),
                ids => format!("[\"{}\"]", ids.join("\",\"")),
            },
            types: match query.types.as_slice() {
                [] => String::new(),
                types => format!(" {} ", types.join(" ")),
            },
            handler: query.handler.as_ref().map(HandlerName::as_str),
        }
    }

    /// The values, and from ?8 on these.
    fn and<'v>(&'v self, more: &[&'v dyn ToSql]) -> Vec<&'v dyn ToSql> {
        let Self {
            run,
            org,
            since,
            until,
            ids,
            types,
            handler,
        } = self;
        let mut values: Vec<&dyn ToSql> = vec![run, org, since, until, ids, types, handler];
        values.extend(more);
        values
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
    now: SchedulingTime,
) -> Result<(), Failure> {
    transaction.execute(
        "INSERT INTO deliveries (handler, subject, number, since) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        params![handler, subject, number, Column(now)],
    )?;
    // That it was delivered once is told along with what becomes of it now.
    transaction.execute(
        "INSERT INTO attempts (subject, number, handler, fence, attempt, at, took, ended, worker)
         SELECT subject, number, handler, fence, attempt, told_at, took, 0, worker FROM outcomes
          WHERE handler = ? AND subject = ? AND number = ? AND fence IS NOT NULL
         ON CONFLICT DO NOTHING",
        [handler, subject, number],
    )?;
    transaction.execute(
        "DELETE FROM outcomes WHERE handler = ? AND subject = ? AND number = ?",
        [handler, subject, number],
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
