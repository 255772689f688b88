//! Counting what waits, on a connection of its own, so that nobody who writes waits for it.
//!
//! Nothing here reads more than a few entries of an index, however long a backlog is: what would have to be counted is
//! kept as a counter.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::column::Column;
use super::failure::Failure;
use super::writer::Transaction;
use crate::desks::{Failing, HandlerName, HandlerStats, Lanes, Stats, lanes, lines};
use crate::time::SchedulingTime;

/// Counts, all of one moment: within a transaction.
pub(super) fn stats(view: &Transaction<'_>, now: SchedulingTime, log_bytes: u64) -> Result<Stats, Failure> {
    let connection = view.connection();
    let count = |name: &str| {
        connection
            .prepare_cached("SELECT value FROM counters WHERE name = ?")?
            .query_row([name], |row| row.get(0))
    };
    Ok(Stats {
        due: count("due")?,
        oldest_due: oldest_due(connection, now)?,
        unrecognized: count("unrecognized")?,
        handlers: handlers(connection)?,
        log_bytes,
    })
}

fn oldest_due(connection: &Connection, now: SchedulingTime) -> rusqlite::Result<Option<SchedulingTime>> {
    let mut orgs = connection.prepare_cached("SELECT key FROM orgs")?;
    let mut waiting = connection.prepare_cached(
        "SELECT min(due_at) FROM subjects INDEXED BY subjects_waiting
          WHERE org = ? AND lane = ? AND (standing = 'present') = ? AND due_at <= ? AND lease_until IS NULL",
    )?;
    let mut expired = connection.prepare_cached(
        "SELECT min(lease_until) FROM subjects INDEXED BY subjects_leased WHERE org = ? AND lease_until <= ?",
    )?;
    let mut oldest: Option<i64> = None;
    let mut note = |time: Option<i64>| oldest = oldest.into_iter().chain(time).min();
    for org in orgs.query_map([], |row| row.get::<_, i64>(0))? {
        let org = org?;
        for (lane, is_known) in lines(lanes(Lanes::All)) {
            note(waiting.query_row(params![org, Column(lane), is_known, Column(now)], |row| row.get(0))?);
        }
        note(expired.query_row(params![org, Column(now)], |row| row.get(0))?);
    }
    Ok(oldest.and_then(|micros| Timestamp::from_microsecond(micros).ok().map(SchedulingTime::new)))
}

fn handlers(connection: &Connection) -> rusqlite::Result<Vec<HandlerStats>> {
    let mut handlers = connection.prepare_cached(
        "SELECT key, name, active, paused, waiting, dead_letters,
                (SELECT min(since) FROM deliveries INDEXED BY deliveries_oldest WHERE handler = handlers.key)
           FROM handlers
          WHERE active OR waiting > 0 OR dead_letters > 0
          ORDER BY name",
    )?;
    let rows = handlers.query_map([], |row| {
        Ok(HandlerStats {
            handler: HandlerName::new(row.get::<_, String>(1)?),
            active: row.get(2)?,
            paused: row.get(3)?,
            waiting: row.get(4)?,
            oldest: row
                .get::<_, Option<Column<SchedulingTime>>>(6)?
                .map(|Column(time)| time),
            failing: failing(connection, row.get(0)?)?,
            dead_letters: row.get(5)?,
        })
    })?;
    rows.collect()
}

/// The delivery of a handler that failed last.
fn failing(connection: &Connection, handler: i64) -> rusqlite::Result<Option<Failing>> {
    let mut failing = connection.prepare_cached(
        "SELECT reason, failed_at, attempts, due_at FROM cursors INDEXED BY cursors_failing
          WHERE handler = ? AND failed_at IS NOT NULL
          ORDER BY failed_at DESC LIMIT 1",
    )?;
    let read = |row: &Row<'_>| {
        Ok(Failing {
            reason: row.get::<_, Option<String>>(0)?.unwrap_or_default(),
            at: row.get::<_, Column<Timestamp>>(1)?.0,
            attempts: row.get(2)?,
            next_try: row.get::<_, Column<SchedulingTime>>(3)?.0,
        })
    };
    failing.query_row([handler], read).optional()
}
