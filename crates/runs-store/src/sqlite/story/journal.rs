//! The journal.

use rusqlite::{Row, params};
use tallyfy_model::{OrgId, RunId};

use crate::desks::{HandlerName, Journal, JournalEntry, JournalQuery, bounded};
use crate::sqlite::column::{Column, limit as rows};
use crate::sqlite::failure::Failure;
use crate::sqlite::writer::Transaction;

/// How many entries there are at most.
const MOST: i64 = 10_000;

const COLUMNS: &str = "place, at, who, kind, org, run, handler, text";

pub(in crate::sqlite) fn note(transaction: &Transaction<'_>, entry: &JournalEntry) -> Result<(), Failure> {
    transaction.execute(
        "INSERT INTO journal (at, who, kind, org, run, handler, text) VALUES (?, ?, ?, ?, ?, ?, ?)",
        params![
            Column(entry.at),
            bounded(&entry.who),
            entry.kind,
            entry.org.as_ref().map(OrgId::as_str),
            entry.run.as_ref().map(RunId::as_str),
            entry.handler.as_ref().map(HandlerName::as_str),
            bounded(&entry.text),
        ],
    )?;
    let oldest = transaction.inserted() - MOST;
    transaction.execute("DELETE FROM journal WHERE place <= ?", [oldest])?;
    Ok(())
}

pub(in crate::sqlite) fn entries(
    view: &Transaction<'_>,
    query: &JournalQuery,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<Journal>, Failure> {
    let sql = format!(
        "SELECT {COLUMNS} FROM journal
          WHERE place < ?1 AND (?2 IS NULL OR kind = ?2) AND (?3 IS NULL OR org = ?3) AND (?4 IS NULL OR handler = ?4)
          ORDER BY place DESC LIMIT ?5"
    );
    let params = params![
        before.unwrap_or(i64::MAX),
        query.kind,
        query.org.as_ref().map(OrgId::as_str),
        query.handler.as_ref().map(HandlerName::as_str),
        rows(limit)
    ];
    view.rows(&sql, params, read)
}

/// What the journal says of a run, the newest first.
pub(super) fn of_run(view: &Transaction<'_>, org: &OrgId, run: &RunId, limit: usize) -> Result<Vec<Journal>, Failure> {
    let sql = format!(
        "SELECT {COLUMNS} FROM journal INDEXED BY journal_of_run
          WHERE run = ? AND (org IS NULL OR org = ?) ORDER BY place DESC LIMIT ?"
    );
    view.rows(&sql, params![run.as_str(), org.as_str(), rows(limit)], read)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Journal> {
    Ok(Journal {
        place: row.get(0)?,
        entry: JournalEntry {
            at: row.get::<_, Column<_>>(1)?.0,
            who: row.get(2)?,
            kind: row.get(3)?,
            org: row.get::<_, Option<String>>(4)?.map(OrgId::new),
            run: row.get::<_, Option<String>>(5)?.map(RunId::new),
            handler: row.get::<_, Option<String>>(6)?.map(HandlerName::new),
            text: row.get(7)?,
        },
    })
}
