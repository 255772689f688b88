//! What is old and done is removed, a few rows at a time.

use jiff::Timestamp;
use rusqlite::params;

use super::column::{Column, limit};
use super::failure::Failure;
use super::writer::Transaction;
use crate::desks::{Prune, Pruned};

/// Rows of one kind.
struct Old {
    /// The next ones, each with whether it is still needed.
    select: &'static str,
    delete: &'static str,
}

const EVENTS: Old = Old {
    select: "SELECT seq, EXISTS (SELECT 1 FROM deliveries WHERE subject = events.subject AND number = events.number)
                      OR EXISTS (SELECT 1 FROM dead_letters WHERE subject = events.subject AND number = events.number)
               FROM events WHERE seq > ?1 AND created_at < ?2 ORDER BY seq LIMIT ?3",
    delete: "DELETE FROM events WHERE seq = ?",
};

const NOTIFICATIONS: Old = Old {
    select: "SELECT seq, coalesce((SELECT ticket > covered FROM subjects WHERE key = notifications.subject), 0)
               FROM notifications WHERE seq > ?1 AND received_at < ?2 ORDER BY seq LIMIT ?3",
    delete: "DELETE FROM notifications WHERE seq = ?",
};

const SNAPSHOTS: Old = Old {
    select: "SELECT subject, EXISTS (SELECT 1 FROM subjects WHERE key = snapshots.subject AND due_at IS NOT NULL)
               FROM snapshots WHERE subject > ?1 AND fetched_at < ?2 ORDER BY subject LIMIT ?3",
    delete: "DELETE FROM snapshots WHERE subject = ?",
};

pub(super) fn prune(transaction: &Transaction<'_>, prune: &Prune) -> Result<Pruned, Failure> {
    let used_bytes = used_bytes(transaction)?;
    let mut next = prune.clone();
    let mut all_seen = true;
    let mut remove = |old: &Old, after: &mut i64, before| -> Result<u64, Failure> {
        let rows = next_rows(transaction, old, *after, before, prune.limit)?;
        all_seen &= rows.len() < prune.limit;
        let mut removed = 0;
        for (key, is_needed) in rows {
            *after = key;
            if !is_needed {
                transaction.execute(old.delete, [key])?;
                removed += 1;
            }
        }
        Ok(removed)
    };
    let events = remove(&EVENTS, &mut next.after_event, prune.events_before)?;
    let notifications = remove(&NOTIFICATIONS, &mut next.after_notification, prune.notifications_before)?;
    let snapshots = remove(&SNAPSHOTS, &mut next.after_snapshot, prune.snapshots_before)?;
    let told = match prune.events_before {
        Some(before) => forget(transaction, before, prune.limit)?,
        None => 0,
    };
    Ok(Pruned {
        next,
        events,
        notifications,
        snapshots,
        told: told as u64,
        is_done: all_seen && told < prune.limit,
        used_bytes,
    })
}

/// Removes what was told of the time before, at most so many rows of it.
fn forget(transaction: &Transaction<'_>, before: Timestamp, most: usize) -> Result<usize, Failure> {
    let fetches = transaction.execute(
        "DELETE FROM fetches WHERE (subject, fence) IN
            (SELECT subject, fence FROM fetches INDEXED BY fetches_at WHERE at < ? ORDER BY at LIMIT ?)",
        params![Column(before), limit(most)],
    )?;
    let entries = transaction.execute(
        "DELETE FROM journal WHERE place IN (SELECT place FROM journal WHERE at < ? ORDER BY place LIMIT ?)",
        params![Column(before), limit(most.saturating_sub(fetches))],
    )?;
    Ok(fetches + entries)
}

/// The next rows that are older than a time.
fn next_rows(
    transaction: &Transaction<'_>,
    old: &Old,
    after: i64,
    before: Option<Timestamp>,
    most: usize,
) -> Result<Vec<(i64, bool)>, Failure> {
    let Some(before) = before else { return Ok(Vec::new()) };
    let bounds = params![after, Column(before), limit(most)];
    transaction.rows(old.select, bounds, |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Without what was freed, which is used again before the file grows.
fn used_bytes(transaction: &Transaction<'_>) -> Result<u64, Failure> {
    let pragma = |name: &str| {
        let sql = format!("PRAGMA {name}");
        transaction
            .row(&sql, [], |row| row.get::<_, u64>(0))
            .map(Option::unwrap_or_default)
    };
    Ok((pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?)
}
