//! Counting what waits.
//!
//! What waits is counted in its index when somebody asks. A count that is kept would be a row that every transaction of
//! every worker updates.

use super::column::{Columns as _, micros};
use super::failure::Failure;
use super::params::params;
use super::session::Transaction;
use crate::desks::{Failing, HandlerName, HandlerStats, Stats};
use crate::time::SchedulingTime;

pub(super) async fn stats(view: &Transaction, now: SchedulingTime) -> Result<Stats, Failure> {
    let counts = view
        .row(
            "SELECT (SELECT count(*) FROM subjects WHERE due_at IS NOT NULL),
                    (SELECT min(coalesce(lease_until, due_at)) FROM subjects
                      WHERE due_at <= $1 AND (lease_until IS NULL OR lease_until <= $1)),
                    (SELECT count(*) FROM notifications WHERE subject IS NULL)",
            params![micros(now)],
        )
        .await?
        .ok_or(Failure::Conflict)?;
    Ok(Stats {
        due: counts.count(0)?,
        oldest_due: counts.due_if_any(1)?,
        unrecognized: counts.count(2)?,
        handlers: handlers(view).await?,
        log_bytes: 0,
    })
}

async fn handlers(view: &Transaction) -> Result<Vec<HandlerStats>, Failure> {
    let rows = view
        .rows(
            "SELECT h.name, h.active, h.paused, d.waiting, d.oldest, l.dead,
                    f.reason, f.failed_at, f.attempts, f.due_at
               FROM handlers h,
            LATERAL (SELECT count(*) AS waiting, min(since) AS oldest FROM deliveries WHERE handler = h.key) d,
            LATERAL (SELECT count(*) AS dead FROM dead_letters WHERE handler = h.key) l
               LEFT JOIN LATERAL (SELECT coalesce(reason, '') AS reason, failed_at, attempts, due_at FROM cursors
                                   WHERE handler = h.key AND failed_at IS NOT NULL
                                   ORDER BY failed_at DESC LIMIT 1) f ON true
              WHERE h.active OR d.waiting > 0 OR l.dead > 0
              ORDER BY h.name",
            &[],
        )
        .await?;
    let stats = rows.iter().map(|row| {
        let failing = match (row.at::<Option<String>>(6)?, row.time_if_any(7)?, row.due_if_any(9)?) {
            (Some(reason), Some(at), Some(next_try)) => Some(Failing {
                reason,
                at,
                attempts: row.attempts(8)?,
                next_try,
            }),
            _ => None,
        };
        Ok(HandlerStats {
            handler: HandlerName::new(row.at::<String>(0)?),
            active: row.at(1)?,
            paused: row.at(2)?,
            waiting: row.count(3)?,
            oldest: row.due_if_any(4)?,
            failing,
            dead_letters: row.count(5)?,
        })
    });
    stats.collect()
}
