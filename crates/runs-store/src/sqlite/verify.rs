//! A whole examination of a store: its pages, and what this crate promises of its rows.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, Transaction};

use super::connect::identify;
use super::failure::{Failure, store_error};
use super::inspect::{connect, has_log};
use super::{file, lock, open_mark, trust};
use crate::error::StoreError;
use crate::location::Verification;

/// How many findings of one kind are told.
const TOLD: usize = 5;

/// What holds in every store between two transactions. Each query names what it does not hold for.
const INVARIANTS: &[(&str, &str)] = &[
    (
        "was announced and is not due, so that nobody would ever fetch it",
        "SELECT kind || ' ' || id FROM subjects WHERE wanted > covered AND due_at IS NULL",
    ),
    (
        "has a ticket that its subject never gave out",
        "SELECT 'notification ' || lower(hex(notifications.id))
           FROM notifications JOIN subjects ON subjects.key = notifications.subject WHERE ticket > wanted",
    ),
    (
        "has other numbers of events than it counts",
        "SELECT kind || ' ' || id FROM subjects
          WHERE events < coalesce((SELECT max(number) FROM events WHERE events.subject = subjects.key), 0)",
    ),
    (
        "covers notifications that were never asked for",
        "SELECT 'event ' || lower(hex(events.id))
           FROM events JOIN subjects ON subjects.key = events.subject WHERE last_ticket > covered",
    ),
    (
        "waits in no line, so that nobody would ever get it",
        "SELECT 'event ' || deliveries.number || ' of ' || subjects.id || ' for handler ' || handlers.name
           FROM deliveries
           JOIN subjects ON subjects.key = deliveries.subject
           JOIN handlers ON handlers.key = deliveries.handler
           LEFT JOIN cursors ON cursors.handler = deliveries.handler AND cursors.subject = deliveries.subject
          WHERE cursors.due_at IS NULL",
    ),
    (
        "is at the head of a line and waits for nobody",
        "SELECT 'event ' || cursors.number || ' of ' || subjects.id || ' for handler ' || handlers.name
           FROM cursors
           JOIN subjects ON subjects.key = cursors.subject
           JOIN handlers ON handlers.key = cursors.handler
          WHERE cursors.due_at IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.handler = cursors.handler
                               AND deliveries.subject = cursors.subject AND deliveries.number = cursors.number)",
    ),
    (
        "is not what there is",
        "SELECT 'the count of due subjects, ' || value FROM counters
          WHERE name = 'due' AND value <> (SELECT count(*) FROM subjects WHERE due_at IS NOT NULL)
          UNION ALL
         SELECT 'the count of unrecognized notifications, ' || value FROM counters
          WHERE name = 'unrecognized' AND value <> (SELECT count(*) FROM notifications WHERE subject IS NULL)
          UNION ALL
         SELECT 'the count of what waits for handler ' || name || ', ' || waiting FROM handlers
          WHERE waiting <> (SELECT count(*) FROM deliveries WHERE handler = handlers.key)
          UNION ALL
         SELECT 'the count of dead letters of handler ' || name || ', ' || dead_letters FROM handlers
          WHERE handlers.dead_letters <> (SELECT count(*) FROM dead_letters WHERE handler = handlers.key)",
    ),
    // The pages have no checksums: text that is not JSON any more is the trace of bits that were flipped.
    (
        "is no JSON any more",
        "SELECT 'event ' || lower(hex(id)) FROM events WHERE NOT json_valid(CAST(body AS TEXT))
          UNION ALL
         SELECT 'the snapshot of run ' || subjects.id FROM snapshots JOIN subjects ON subjects.key = snapshots.subject
          WHERE NOT json_valid(CAST(body AS TEXT))",
    ),
];

const COUNTS: &str = "
SELECT (SELECT count(*) FROM subjects),
       (SELECT count(*) FROM notifications),
       (SELECT count(*) FROM notifications JOIN subjects ON subjects.key = notifications.subject WHERE ticket > covered),
       (SELECT count(*) FROM events),
       (SELECT count(*) FROM deliveries),
       (SELECT count(*) FROM dead_letters)";

/// Examines a store, changing nothing: every page and index, every reference, and what holds for its rows. `None` if
/// there is none. A worker may have it open, and goes on; in a large store this takes minutes.
///
/// Fails as [`inspect`](super::inspect()) does.
pub fn verify(path: impl AsRef<Path>) -> Result<Option<Verification>, StoreError> {
    let path = file::resolve(path.as_ref())?;
    let file::Found::File(size) = file::look(&path)? else {
        return Ok(None);
    };
    let held_by = lock::holder(&path);
    let seen = examine(&path, size, held_by);
    let is_sound = matches!(&seen, Ok(verification) if verification.findings.is_empty());
    // A worker that started meanwhile may have changed the file under our eyes.
    match lock::holder(&path) {
        Some(holder) if !is_sound => examine(&path, size, Some(holder)).map(Some),
        Some(_) | None => seen.map(Some),
    }
}

fn examine(path: &Path, size: u64, held_by: Option<String>) -> Result<Verification, StoreError> {
    let reading = |error| store_error(error, path, &format!("reading {}", path.display()));
    let lacks_log = held_by.is_none() && !has_log(path);
    let mut connection = connect(path, held_by.is_none()).map_err(reading)?;
    let schema = identify(&connection, path, size)?;
    let found = if schema == 0 {
        Ok(Verification::default())
    } else {
        connection.transaction().and_then(|view| examine_rows(&view))
    };
    let mut verification = match found {
        Ok(verification) => verification,
        // Too damaged to be examined.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => Verification {
            findings: vec![Failure::from(error).to_string()],
            ..Verification::default()
        },
        Err(error) => return Err(reading(error)),
    };
    if verification.findings.is_empty() {
        verification.findings = trust::foreign(&connection, schema).map_err(reading)?;
    }
    if verification.findings.is_empty() && lacks_log && open_mark::is_open(&connection).map_err(reading)? {
        verification.findings.push(open_mark::INCOMPLETE.to_owned());
    }
    verification.held_by = held_by;
    Ok(verification)
}

/// One view of everything, whatever a worker does meanwhile.
fn examine_rows(view: &Transaction<'_>) -> rusqlite::Result<Verification> {
    let mut findings = texts(view, &format!("PRAGMA integrity_check({TOLD})"))?;
    findings.retain(|finding| finding != "ok");
    let mut dangling = view.prepare("PRAGMA foreign_key_check")?;
    let dangling = dangling.query_map([], |row| {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        Ok(format!(
            "a row of {table} refers to a row of {parent} that is not there"
        ))
    })?;
    for line in dangling.take(TOLD) {
        findings.push(line?);
    }
    for (says, query) in INVARIANTS {
        for who in texts(view, &format!("{query} LIMIT {TOLD}"))? {
            findings.push(format!("{who} {says}"));
        }
    }
    view.query_row(COUNTS, [], |row| {
        Ok(Verification {
            held_by: None,
            findings,
            subjects: row.get(0)?,
            notifications: row.get(1)?,
            pending: row.get(2)?,
            events: row.get(3)?,
            deliveries: row.get(4)?,
            dead_letters: row.get(5)?,
        })
    })
}

fn texts(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(sql)?;
    let texts = statement.query_map([], |row| row.get(0))?;
    texts.collect()
}
