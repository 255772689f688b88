//! The heads of lines.

use tallyfy_model::{OrgId, RunId};
use tokio_postgres::Row;

use crate::desks::{HandlerName, Head, HeadsPage, RunPlace};
use crate::postgres::column::{Columns as _, limit as rows};
use crate::postgres::failure::Failure;
use crate::postgres::params::{params, text};
use crate::postgres::session::Transaction;

const COLUMNS: &str = "
    h.name, o.name, s.id, s.name, e.id, c.number, c.due_at, c.lease_until IS NOT NULL, c.attempts, c.reason,
    c.failed_at, c.subject";

/// Every line that fails is due. The sum hides that from the planner, which would take the two for independent, expect few rows, and
/// sort them all.
const FROM: &str = "
    handlers h
    JOIN cursors c ON c.handler = h.key AND c.due_at + 0 IS NOT NULL
    JOIN subjects s ON s.key = c.subject
    JOIN orgs o ON o.key = s.org
    JOIN events e ON e.subject = c.subject AND e.number = c.number";

/// The heads of a handler whose last try failed, the latest failure first.
pub(super) async fn page(
    view: &Transaction,
    handler: &HandlerName,
    after: Option<RunPlace>,
    limit: usize,
) -> Result<HeadsPage, Failure> {
    let sql = format!(
        "SELECT {COLUMNS} FROM {FROM}
          WHERE c.handler = (SELECT key FROM handlers WHERE name = $1)
            AND c.failed_at <= $2 AND (c.failed_at < $2 OR c.subject < $3)
          ORDER BY c.failed_at DESC, c.subject DESC LIMIT $4"
    );
    let (at, key) = after.map_or((i64::MAX, i64::MAX), |after| (after.at, after.key));
    let found = view
        .rows(&sql, params![text(handler.as_str()), at, key, rows(limit)])
        .await?;
    let last = found.last().filter(|_| found.len() == limit);
    let next = last.map(|row| {
        Ok::<_, Failure>(RunPlace {
            at: row.at(10)?,
            key: row.at(11)?,
        })
    });
    let heads = found.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let next = next.transpose()?;
    Ok(HeadsPage { heads, next })
}

/// The heads of a run, by handler.
pub(super) async fn of_run(view: &Transaction, subject: i64) -> Result<Vec<Head>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM {FROM} WHERE c.subject = $1 ORDER BY h.name");
    let found = view.rows(&sql, params![subject]).await?;
    found.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Head, Failure> {
    Ok(Head {
        handler: HandlerName::new(row.at::<String>(0)?),
        org: OrgId::new(row.at::<String>(1)?),
        run: RunId::new(row.at::<String>(2)?),
        name: row.at(3)?,
        event: row.at(4)?,
        number: row.count(5)?,
        due_at: row.time(6)?,
        is_out: row.at(7)?,
        attempts: row.attempts(8)?,
        reason: row.at(9)?,
        failed_at: row.time_if_any(10)?,
    })
}
