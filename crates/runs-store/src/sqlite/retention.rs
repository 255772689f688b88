//! What is old and done is removed, a few rows at a time.

use jiff::Timestamp;
use rusqlite::params;

use super::column::{Column, limit};
use super::failure::Failure;
use super::writer::Transaction;
use crate::desks::{Prune, Pruned};

pub(super) fn prune(transaction: &Transaction<'_>, prune: &Prune) -> Result<Pruned, Failure> {
    let most = limit(prune.limit);
    let mut pruned = Pruned {
        next: prune.clone(),
        events: 0,
        notifications: 0,
        snapshots: 0,
        is_done: false,
        used_bytes: used_bytes(transaction)?,
    };
    let events = old(
        transaction,
        "SELECT seq, EXISTS (SELECT 1 FROM deliveries WHERE subject = events.subject AND number = events.number)
                  OR EXISTS (SELECT 1 FROM dead_letters WHERE subject = events.subject AND number = events.number)
           FROM events WHERE seq > ?1 AND created_at < ?2 ORDER BY seq LIMIT ?3",
        prune.after_event,
        prune.events_before,
        most,
    )?;
    let notifications = old(
        transaction,
        "SELECT seq, coalesce((SELECT ticket > covered FROM subjects WHERE key = notifications.subject), 0)
           FROM notifications WHERE seq > ?1 AND received_at < ?2 ORDER BY seq LIMIT ?3",
        prune.after_notification,
        prune.notifications_before,
        most,
    )?;
    let snapshots = old(
        transaction,
        "SELECT subject, EXISTS (SELECT 1 FROM subjects WHERE key = snapshots.subject AND due_at IS NOT NULL)
           FROM snapshots WHERE subject > ?1 AND fetched_at < ?2 ORDER BY subject LIMIT ?3",
        prune.after_snapshot,
        prune.snapshots_before,
        most,
    )?;
    pruned.is_done = [&events, &notifications, &snapshots]
        .iter()
        .all(|rows| rows.len() < prune.limit);
    for (rows, delete, count, after) in [
        (
            events,
            "DELETE FROM events WHERE seq = ?",
            &mut pruned.events,
            &mut pruned.next.after_event,
        ),
        (
            notifications,
            "DELETE FROM notifications WHERE seq = ?",
            &mut pruned.notifications,
            &mut pruned.next.after_notification,
        ),
        (
            snapshots,
            "DELETE FROM snapshots WHERE subject = ?",
            &mut pruned.snapshots,
            &mut pruned.next.after_snapshot,
        ),
    ] {
        for (key, is_needed) in rows {
            *after = key;
            if !is_needed {
                transaction.execute(delete, [key])?;
                *count += 1;
            }
        }
    }
    Ok(pruned)
}

/// The next rows that are older than a time, and whether each is still needed.
fn old(
    transaction: &Transaction<'_>,
    sql: &str,
    after: i64,
    before: Option<Timestamp>,
    most: i64,
) -> Result<Vec<(i64, bool)>, Failure> {
    let Some(before) = before else { return Ok(Vec::new()) };
    transaction.rows(sql, params![after, Column(before), most], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
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
