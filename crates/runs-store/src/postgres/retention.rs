//! What is old and done is removed, a few rows at a time.

use jiff::Timestamp;

use super::column::{Columns as _, limit, micros, number};
use super::failure::Failure;
use super::params::params;
use super::session::Transaction;
use crate::desks::{Prune, Pruned};

/// Rows of one kind.
struct Old {
    /// The next ones, each with whether it is still needed.
    select: &'static str,
    delete: &'static str,
}

const EVENTS: Old = Old {
    select: "SELECT e.seq, EXISTS (SELECT 1 FROM deliveries d WHERE d.subject = e.subject AND d.number = e.number)
                        OR EXISTS (SELECT 1 FROM dead_letters d WHERE d.subject = e.subject AND d.number = e.number)
               FROM events e WHERE e.seq > $1 AND e.created_at < $2 ORDER BY e.seq LIMIT $3",
    delete: "WITH gone AS (DELETE FROM events WHERE seq = ANY ($1) RETURNING subject, number),
                  tried AS (DELETE FROM attempts a USING gone g WHERE a.subject = g.subject AND a.number = g.number)
             DELETE FROM outcomes o USING gone g WHERE o.subject = g.subject AND o.number = g.number",
};

const NOTIFICATIONS: Old = Old {
    select: "SELECT n.seq, coalesce((SELECT n.ticket > s.covered FROM subjects s WHERE s.key = n.subject), false)
               FROM notifications n WHERE n.seq > $1 AND n.received_at < $2 ORDER BY n.seq LIMIT $3",
    delete: "DELETE FROM notifications WHERE seq = ANY ($1)",
};

const SNAPSHOTS: Old = Old {
    select: "SELECT p.subject, EXISTS (SELECT 1 FROM subjects s WHERE s.key = p.subject AND s.due_at IS NOT NULL)
               FROM snapshots p WHERE p.subject > $1 AND p.fetched_at < $2 ORDER BY p.subject LIMIT $3",
    delete: "DELETE FROM snapshots WHERE subject = ANY ($1)",
};

pub(super) async fn prune(transaction: &Transaction, prune: &Prune) -> Result<Pruned, Failure> {
    let used_bytes = used_bytes(transaction).await?;
    let mut next = prune.clone();
    let most = prune.limit;
    let (events, no_more_events) =
        remove(transaction, &EVENTS, &mut next.after_event, prune.events_before, most).await?;
    let (notifications, no_more_notifications) = remove(
        transaction,
        &NOTIFICATIONS,
        &mut next.after_notification,
        prune.notifications_before,
        most,
    )
    .await?;
    let (snapshots, no_more_snapshots) = remove(
        transaction,
        &SNAPSHOTS,
        &mut next.after_snapshot,
        prune.snapshots_before,
        most,
    )
    .await?;
    let told = match prune.events_before {
        Some(before) => forget(transaction, before, most).await?,
        None => 0,
    };
    Ok(Pruned {
        next,
        events,
        notifications,
        snapshots,
        told,
        is_done: no_more_events && no_more_notifications && no_more_snapshots && told < most as u64,
        used_bytes,
    })
}

/// Removes some rows that are older than a time; how many, and whether those were all.
async fn remove(
    transaction: &Transaction,
    old: &Old,
    after: &mut i64,
    before: Option<Timestamp>,
    most: usize,
) -> Result<(u64, bool), Failure> {
    let Some(before) = before else { return Ok((0, true)) };
    let rows = transaction
        .rows(old.select, params![*after, micros(before), limit(most)])
        .await?;
    let mut over: Vec<i64> = Vec::new();
    for row in &rows {
        *after = row.at(0)?;
        if !row.at::<bool>(1)? {
            over.push(*after);
        }
    }
    let removed = over.len() as u64;
    if removed > 0 {
        transaction.execute(old.delete, params![; over]).await?;
    }
    Ok((removed, rows.len() < most))
}

/// Removes what was told of the time before, at most so many rows of it.
async fn forget(transaction: &Transaction, before: Timestamp, most: usize) -> Result<u64, Failure> {
    let fetches = transaction
        .execute(
            "DELETE FROM fetches f USING (SELECT subject, fence FROM fetches WHERE at < $1 ORDER BY at LIMIT $2) old
              WHERE f.subject = old.subject AND f.fence = old.fence",
            params![micros(before), limit(most)],
        )
        .await?;
    let left = limit(most).saturating_sub(number(fetches));
    let entries = transaction
        .execute(
            "DELETE FROM journal WHERE place IN (SELECT place FROM journal WHERE at < $1 ORDER BY place LIMIT $2)",
            params![micros(before), left.max(0)],
        )
        .await?;
    Ok(fetches + entries)
}

/// What the tables take up on the server's disk.
async fn used_bytes(view: &Transaction) -> Result<u64, Failure> {
    let used = view
        .row(
            "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
              WHERE n.nspname = current_schema() AND c.relkind = 'r'",
            &[],
        )
        .await?;
    used.map_or(Ok(0), |row| row.count(0))
}
