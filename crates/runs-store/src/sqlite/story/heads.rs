//! The heads of lines.

use rusqlite::{Row, params};
use tallyfy_model::{OrgId, RunId};

use crate::desks::{HandlerName, Head, HeadsPage, RunPlace};
use crate::sqlite::column::{Column, limit as rows};
use crate::sqlite::failure::Failure;
use crate::sqlite::writer::Transaction;

const COLUMNS: &str = "
    handlers.name, orgs.name, subjects.id, subjects.name, events.id, cursors.number, cursors.due_at,
    cursors.lease_until IS NOT NULL, cursors.attempts, cursors.reason, cursors.failed_at, cursors.subject";

const JOINED: &str = "
    CROSS JOIN subjects ON subjects.key = cursors.subject
    CROSS JOIN orgs ON orgs.key = subjects.org
    CROSS JOIN events ON events.subject = cursors.subject AND events.number = cursors.number";

/// The heads of a handler whose last try failed, the latest failure first.
pub(in crate::sqlite) fn page(
    view: &Transaction<'_>,
    handler: &HandlerName,
    after: Option<RunPlace>,
    limit: usize,
) -> Result<HeadsPage, Failure> {
    let sql = format!(
        "SELECT {COLUMNS} FROM handlers
           CROSS JOIN cursors INDEXED BY cursors_failing ON cursors.handler = handlers.key AND cursors.failed_at IS NOT NULL
           {JOINED}
          WHERE handlers.name = ? AND cursors.failed_at <= ? AND (cursors.failed_at, cursors.subject) < (?, ?)
            AND cursors.due_at IS NOT NULL
          ORDER BY cursors.failed_at DESC, cursors.subject DESC LIMIT ?"
    );
    let (at, key) = after.map_or((i64::MAX, i64::MAX), |after| (after.at, after.key));
    let mut last = None;
    let params = params![handler.as_str(), at, at, key, rows(limit)];
    let heads = view.rows(&sql, params, |row| {
        last = Some(RunPlace {
            at: row.get(10)?,
            key: row.get(11)?,
        });
        read(row)
    })?;
    let next = last.filter(|_| heads.len() == limit);
    Ok(HeadsPage { heads, next })
}

/// The heads of a run, by handler.
pub(super) fn of_run(view: &Transaction<'_>, subject: i64) -> Result<Vec<Head>, Failure> {
    let sql = format!(
        "SELECT {COLUMNS} FROM handlers
           CROSS JOIN cursors ON cursors.handler = handlers.key AND cursors.subject = ? AND cursors.due_at IS NOT NULL
           {JOINED}
          ORDER BY handlers.name"
    );
    view.rows(&sql, [subject], read)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Head> {
    Ok(Head {
        handler: HandlerName::new(row.get::<_, String>(0)?),
        org: OrgId::new(row.get::<_, String>(1)?),
        run: RunId::new(row.get::<_, String>(2)?),
        name: row.get(3)?,
        event: row.get::<_, Column<_>>(4)?.0,
        number: row.get(5)?,
        due_at: row.get::<_, Column<_>>(6)?.0,
        is_out: row.get(7)?,
        attempts: row.get(8)?,
        reason: row.get(9)?,
        failed_at: row.get::<_, Option<Column<_>>>(10)?.map(|Column(at)| at),
    })
}
