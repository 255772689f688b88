//! How the workers stand, and what they do in each minute.

use jiff::Timestamp;

use super::short;
use crate::desks::{Beat, PULSE_KEPT, Pulse, WorkerSeen};
use crate::postgres::column::{Columns as _, micros, number};
use crate::postgres::failure::Failure;
use crate::postgres::params::{params, text};
use crate::postgres::session::Transaction;

const MINUTE: i64 = 60_000_000;

pub(super) async fn beat(transaction: &Transaction, beat: &Beat) -> Result<(), Failure> {
    let now = micros(beat.at);
    transaction
        .execute(
            "INSERT INTO beats (name, version, started_at, seen_at, report) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (name) DO UPDATE
                SET version = excluded.version, started_at = excluded.started_at, seen_at = excluded.seen_at,
                    report = excluded.report",
            params![
                text(&beat.worker),
                text(&beat.version),
                micros(beat.started_at),
                now,
                text(&beat.report)
            ],
        )
        .await?;
    let done = beat.done.iter().filter(|(_, count)| *count > 0);
    let (what, counts): (Vec<String>, Vec<i64>) = done.map(|(what, count)| (short(what), number(*count))).unzip();
    transaction
        .execute(
            "INSERT INTO pulse (minute, what, worker, count)
             SELECT $1, what, $2, sum(count)::bigint FROM unnest($3, $4) AS d (what, count) GROUP BY what
             ON CONFLICT (minute, what, worker) DO UPDATE SET count = pulse.count + excluded.count",
            params![now - now.rem_euclid(MINUTE), text(&beat.worker); what, counts],
        )
        .await?;
    let kept = i64::try_from(PULSE_KEPT.as_micros()).unwrap_or(i64::MAX);
    let oldest = now.saturating_sub(kept);
    transaction
        .execute("DELETE FROM pulse WHERE minute < $1", params![oldest])
        .await?;
    transaction
        .execute("DELETE FROM beats WHERE seen_at < $1", params![oldest])
        .await?;
    Ok(())
}

pub(super) async fn workers(view: &Transaction, since: Timestamp) -> Result<Vec<WorkerSeen>, Failure> {
    let sql = "SELECT name, version, started_at, seen_at, report FROM beats WHERE seen_at >= $1 ORDER BY name";
    let found = view.rows(sql, params![micros(since)]).await?;
    let workers = found.iter().map(|row| {
        Ok(WorkerSeen {
            worker: row.at(0)?,
            version: row.at(1)?,
            started_at: row.time(2)?,
            seen_at: row.time(3)?,
            report: row.at(4)?,
        })
    });
    workers.collect()
}

pub(super) async fn pulse(view: &Transaction, since: Timestamp) -> Result<Vec<Pulse>, Failure> {
    let sql = "SELECT minute, what, sum(count)::bigint FROM pulse
                WHERE minute >= $1 GROUP BY minute, what ORDER BY minute, what";
    let found = view.rows(sql, params![micros(since)]).await?;
    let done = found.iter().map(|row| {
        Ok(Pulse {
            minute: row.time(0)?,
            what: row.at(1)?,
            count: row.count(2)?,
        })
    });
    done.collect()
}
