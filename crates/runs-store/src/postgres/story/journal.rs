//! The journal.

use tallyfy_model::{OrgId, RunId};
use tokio_postgres::Row;

use super::short;
use crate::desks::{HandlerName, Journal, JournalEntry, JournalQuery};
use crate::postgres::column::{Columns as _, limit as rows, micros};
use crate::postgres::failure::Failure;
use crate::postgres::params::{params, text};
use crate::postgres::session::Transaction;

/// How many entries there are at most.
const MOST: i64 = 10_000;

const COLUMNS: &str = "place, at, who, kind, org, run, handler, text";

pub(super) async fn note(transaction: &Transaction, entry: &JournalEntry) -> Result<(), Failure> {
    let noted = transaction
        .row(
            "INSERT INTO journal (at, who, kind, org, run, handler, text) VALUES ($1, $2, $3, $4, $5, $6, $7)
             RETURNING place",
            params![
                micros(entry.at),
                short(&entry.who),
                text(&entry.kind),
                entry.org.as_ref().map(OrgId::as_str).map(text),
                entry.run.as_ref().map(RunId::as_str).map(text),
                entry.handler.as_ref().map(HandlerName::as_str).map(text),
                short(&entry.text)
            ],
        )
        .await?;
    let place: i64 = noted.ok_or(Failure::Conflict)?.at(0)?;
    transaction
        .execute("DELETE FROM journal WHERE place <= $1", params![place - MOST])
        .await?;
    Ok(())
}

pub(super) async fn entries(
    view: &Transaction,
    query: &JournalQuery,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<Journal>, Failure> {
    let sql = format!(
        "SELECT {COLUMNS} FROM journal
          WHERE place < $1 AND ($2 IS NULL OR kind = $2) AND ($3 IS NULL OR org = $3) AND ($4 IS NULL OR handler = $4)
          ORDER BY place DESC LIMIT $5"
    );
    let found = view
        .rows(
            &sql,
            params![
                before.unwrap_or(i64::MAX),
                query.kind.as_deref().map(text),
                query.org.as_ref().map(OrgId::as_str).map(text),
                query.handler.as_ref().map(HandlerName::as_str).map(text),
                rows(limit)
            ],
        )
        .await?;
    found.iter().map(read).collect()
}

/// What the journal says of a run, the newest first.
pub(super) async fn of_run(
    view: &Transaction,
    org: &OrgId,
    run: &RunId,
    limit: usize,
) -> Result<Vec<Journal>, Failure> {
    let sql = format!(
        "SELECT {COLUMNS} FROM journal WHERE run = $1 AND (org IS NULL OR org = $2) ORDER BY place DESC LIMIT $3"
    );
    let found = view
        .rows(&sql, params![text(run.as_str()), text(org.as_str()), rows(limit)])
        .await?;
    found.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Journal, Failure> {
    Ok(Journal {
        place: row.at(0)?,
        entry: JournalEntry {
            at: row.time(1)?,
            who: row.at(2)?,
            kind: row.at(3)?,
            org: row.at::<Option<String>>(4)?.map(OrgId::new),
            run: row.at::<Option<String>>(5)?.map(RunId::new),
            handler: row.at::<Option<String>>(6)?.map(HandlerName::new),
            text: row.at(7)?,
        },
    })
}
