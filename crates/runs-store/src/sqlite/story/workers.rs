//! The workers, and what they do in each minute.

use jiff::Timestamp;
use rusqlite::params;

use crate::desks::{Beat, PULSE_KEPT, Pulse, WorkerSeen, bounded};
use crate::sqlite::column::Column;
use crate::sqlite::failure::Failure;
use crate::sqlite::writer::Transaction;

const MINUTE: i64 = 60_000_000;

pub(in crate::sqlite) fn beat(transaction: &Transaction<'_>, beat: &Beat) -> Result<(), Failure> {
    transaction.execute(
        "INSERT INTO workers (name, version, started_at, seen_at, report) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (name) DO UPDATE
            SET version = excluded.version, started_at = excluded.started_at, seen_at = excluded.seen_at,
                report = excluded.report",
        params![
            beat.worker,
            beat.version,
            Column(beat.started_at),
            Column(beat.at),
            beat.report
        ],
    )?;
    let now = beat.at.as_microsecond();
    let minute = now - now.rem_euclid(MINUTE);
    for (what, count) in beat.done.iter().filter(|(_, count)| *count > 0) {
        transaction.execute(
            "INSERT INTO pulse (minute, what, count) VALUES (?, ?, ?)
             ON CONFLICT (minute, what) DO UPDATE SET count = count + excluded.count",
            params![minute, bounded(what), count],
        )?;
    }
    let kept = i64::try_from(PULSE_KEPT.as_micros()).unwrap_or(i64::MAX);
    transaction.execute("DELETE FROM pulse WHERE minute < ?", [now.saturating_sub(kept)])?;
    transaction.execute("DELETE FROM workers WHERE seen_at < ?", [now.saturating_sub(kept)])?;
    Ok(())
}

pub(in crate::sqlite) fn workers(view: &Transaction<'_>, since: Timestamp) -> Result<Vec<WorkerSeen>, Failure> {
    view.rows(
        "SELECT name, version, started_at, seen_at, report FROM workers WHERE seen_at >= ? ORDER BY name",
        [Column(since)],
        |row| {
            Ok(WorkerSeen {
                worker: row.get(0)?,
                version: row.get(1)?,
                started_at: row.get::<_, Column<_>>(2)?.0,
                seen_at: row.get::<_, Column<_>>(3)?.0,
                report: row.get(4)?,
            })
        },
    )
}

pub(in crate::sqlite) fn pulse(view: &Transaction<'_>, since: Timestamp) -> Result<Vec<Pulse>, Failure> {
    view.rows(
        "SELECT minute, what, count FROM pulse WHERE minute >= ? ORDER BY minute, what",
        [Column(since)],
        |row| {
            Ok(Pulse {
                minute: row.get::<_, Column<_>>(0)?.0,
                what: row.get(1)?,
                count: row.get(2)?,
            })
        },
    )
}
