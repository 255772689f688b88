//! Counting what waits, on a connection of its own, so that nobody who writes waits for it.
//!
//! Nothing here reads more than a few entries of an index, however long a backlog is: what would have to be counted is
//! kept as a counter.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::claim::{lanes, lines};
use super::column::Column;
use super::failure::Failure;
use super::writer::Transaction;
use crate::desks::{HandlerName, HandlerStats, Lanes, Stats};

/// Counts, all of one moment: within a transaction.
pub(super) fn stats(view: &Transaction<'_>, now: Timestamp) -> Result<Stats, Failure> {
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
        handlers: handlers(connection, now)?,
    })
}

fn oldest_due(connection: &Connection, now: Timestamp) -> rusqlite::Result<Option<Timestamp>> {
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
    Ok(oldest.and_then(|micros| Timestamp::from_microsecond(micros).ok()))
}

fn handlers(connection: &Connection, now: Timestamp) -> rusqlite::Result<Vec<HandlerStats>> {
    // The oldest of all heads that wait or whose lease ran out.
    let mut handlers = connection.prepare_cached(
        "SELECT name, active, waiting, dead_letters,
                min(
                    coalesce((SELECT min(due_at) FROM cursors INDEXED BY cursors_waiting
                      WHERE handler = handlers.key AND due_at <= ?1 AND lease_until IS NULL), ?2),
                    coalesce((SELECT min(lease_until) FROM cursors INDEXED BY cursors_leased
                      WHERE handler = handlers.key AND lease_until <= ?1), ?2)
                )
           FROM handlers
          WHERE active OR waiting > 0 OR dead_letters > 0
          ORDER BY name",
    )?;
    let rows = handlers.query_map(params![Column(now), i64::MAX], |row| {
        let oldest = row.get::<_, i64>(4)?;
        Ok(HandlerStats {
            handler: HandlerName::new(row.get::<_, String>(0)?),
            active: row.get(1)?,
            waiting: row.get(2)?,
            oldest_due: Timestamp::from_microsecond(oldest).ok(),
            dead_letters: row.get(3)?,
        })
    })?;
    rows.collect()
}
