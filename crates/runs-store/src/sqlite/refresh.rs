//! Refreshes are committed or given back.

use jiff::Timestamp;
use rusqlite::{Row, params};
use tallyfy_model::RunId;

use super::column::Column;
use super::failure::Failure;
use super::inbox::{subject_key, want};
use super::outbox::{self, Covered};
use super::sweep;
use super::writer::Transaction;
use crate::desks::{Lane, Lease, PostponeCause, Postponement, Refreshed, Subject};
use crate::torture;

/// A subject that is leased by the caller.
struct Held {
    org: i64,
    is_run: bool,
    wanted: i64,
    claimed: i64,
    covered: i64,
    events: i64,
}

/// The columns of [`Held`].
const HELD: &str = "SELECT org, kind = 'run', wanted, claimed, covered, events FROM subjects WHERE key = ?";

fn read_held(row: &Row<'_>) -> rusqlite::Result<Held> {
    Ok(Held {
        org: row.get(0)?,
        is_run: row.get(1)?,
        wanted: row.get(2)?,
        claimed: row.get(3)?,
        covered: row.get(4)?,
        events: row.get(5)?,
    })
}

fn held(transaction: &Transaction<'_>, lease: &Lease) -> Result<Held, Failure> {
    if lease.handler.is_some() {
        return Err(Failure::LeaseLost);
    }
    // A deliberate defect: whoever had the lease once may use it.
    #[cfg(feature = "torture")]
    if torture::is_sabotaged("no-fence") {
        return transaction.row(HELD, [lease.key], read_held)?.ok_or(Failure::LeaseLost);
    }
    let sql = format!("{HELD} AND fence = ? AND lease_until IS NOT NULL");
    let held = transaction.row(&sql, [lease.key, lease.fence], read_held)?;
    held.ok_or(Failure::LeaseLost)
}

pub(super) fn commit_refresh(
    transaction: &Transaction<'_>,
    lease: &Lease,
    refreshed: &Refreshed,
    now: Timestamp,
) -> Result<(), Failure> {
    let held = held(transaction, lease)?;
    if let Some(event) = &refreshed.event {
        if !held.is_run {
            return Err(Failure::Refused("a task that has no run has no events"));
        }
        let covered = Covered {
            first: held.covered + 1,
            last: held.claimed,
        };
        outbox::publish(transaction, lease.key, held.events + 1, event, covered, now)?;
    }
    torture::point("commit-refresh.published");
    if let Some(snapshot) = &refreshed.snapshot {
        transaction.execute(
            "INSERT INTO snapshots (subject, fetched_at, body) VALUES (?, ?, ?)
             ON CONFLICT (subject) DO UPDATE SET fetched_at = excluded.fetched_at, body = excluded.body",
            params![lease.key, Column(snapshot.fetched_at), snapshot.body.as_ref()],
        )?;
    }
    if held.is_run {
        sweep::fetched(transaction, held.org, lease.key, refreshed.version.as_ref())?;
    }
    torture::point("commit-refresh.snapshot-written");
    let due_at = (held.wanted > held.claimed).then(|| Column(now.max(refreshed.not_before)));
    transaction.execute(
        "UPDATE subjects
            SET covered = claimed, lease_until = NULL, due_at = ?1, not_before = ?2, standing = ?3, events = ?4,
                lane = coalesce(next_lane, 0), next_lane = NULL, failures = 0, stale_reads = 0, reason = NULL
          WHERE key = ?5",
        params![
            due_at,
            Column(refreshed.not_before),
            Column(refreshed.standing),
            held.events + i64::from(refreshed.event.is_some()),
            lease.key,
        ],
    )?;
    if due_at.is_some() {
        transaction.wake_due();
    }
    Ok(())
}

pub(super) fn postpone(
    transaction: &Transaction<'_>,
    lease: &Lease,
    postponement: &Postponement,
) -> Result<(), Failure> {
    held(transaction, lease)?;
    let (failures, stale_reads) = match postponement.cause {
        PostponeCause::Failed => (1, 0),
        PostponeCause::StaleRead => (0, 1),
        PostponeCause::NotTried => (0, 0),
    };
    // A failure sends it among the retries, unless something better was asked for meanwhile.
    transaction.execute(
        "UPDATE subjects
            SET due_at = ?1, lease_until = NULL, claimed = covered,
                failures = failures + ?2, stale_reads = stale_reads + ?3, reason = ?4,
                lane = iif(?2, min(1, coalesce(next_lane, 1)), min(lane, coalesce(next_lane, lane))),
                next_lane = NULL
          WHERE key = ?5",
        params![
            Column(postponement.until),
            failures,
            stale_reads,
            postponement.reason,
            lease.key
        ],
    )?;
    transaction.wake_due();
    Ok(())
}

pub(super) fn resolve_task(
    transaction: &Transaction<'_>,
    lease: &Lease,
    run: &RunId,
    now: Timestamp,
) -> Result<(), Failure> {
    let held = held(transaction, lease)?;
    if held.is_run {
        return Err(Failure::Refused("a run has no run"));
    }
    let run = subject_key(transaction, held.org, &Subject::Run(run.clone()))?;
    let pending: Vec<i64> = transaction.rows(
        "SELECT seq FROM notifications INDEXED BY notifications_ticket
          WHERE subject = ? AND ticket > ? ORDER BY ticket",
        [lease.key, held.covered],
        |row| row.get(0),
    )?;
    torture::point("resolve-task.begun");
    // Once in any case: a duplicate may have made the task due without leaving a notification of its own.
    if pending.is_empty() {
        want(transaction, run, Lane::Live, 1, now)?;
    }
    for notification in pending {
        let ticket = want(transaction, run, Lane::Live, 1, now)?;
        transaction.execute(
            "UPDATE notifications SET subject = ?, ticket = ? WHERE seq = ?",
            [run, ticket, notification],
        )?;
    }
    transaction.execute(
        "UPDATE subjects
            SET run = ?1, claimed = wanted, covered = wanted, due_at = NULL, lease_until = NULL,
                lane = 0, next_lane = NULL, failures = 0, stale_reads = 0, reason = NULL, standing = 'present'
          WHERE key = ?2",
        [run, lease.key],
    )?;
    Ok(())
}
