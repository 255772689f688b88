//! Refreshes are committed or given back.

use rusqlite::{Row, params};
use tallyfy_model::RunId;

use super::column::Column;
use super::failure::Failure;
use super::inbox::{subject_key, want};
use super::outbox::{self, Covered};
use super::writer::Transaction;
use super::{story, sweep};
use crate::desks::{EndedRefresh, Lane, Lease, LeaseLost, PostponeCause, Postponement, RefreshEnd, Refreshed, Subject};
use crate::time::SchedulingTime;
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

/// Ends attempts, and wakes nobody; of each, whether it still had its lease.
pub(super) fn end(
    transaction: &Transaction<'_>,
    ended: &[EndedRefresh],
    now: SchedulingTime,
) -> Result<Vec<Result<(), LeaseLost>>, Failure> {
    let mut outcomes = Vec::with_capacity(ended.len());
    for ended in ended {
        let lease = &ended.lease;
        let outcome = match &ended.end {
            RefreshEnd::Commit(refreshed) => commit(transaction, lease, refreshed, now),
            RefreshEnd::Postpone(postponement) => postpone(transaction, lease, postponement),
            RefreshEnd::Resolve(run) => resolve_task(transaction, lease, run, now),
        };
        outcomes.push(match outcome {
            Ok(first_event) => {
                if let Some(report) = &ended.report {
                    story::fetched(transaction, lease, first_event, &ended.end, report)?;
                }
                Ok(())
            }
            Err(Failure::LeaseLost) => Err(LeaseLost),
            Err(failure) => return Err(failure),
        });
    }
    Ok(outcomes)
}

/// What was fetched is kept; the number that the first event has, or would have had.
fn commit(
    transaction: &Transaction<'_>,
    lease: &Lease,
    refreshed: &Refreshed,
    now: SchedulingTime,
) -> Result<i64, Failure> {
    let held = held(transaction, lease)?;
    if !refreshed.events.is_empty() && !held.is_run {
        return Err(Failure::Refused("a task that has no run has no events"));
    }
    let covered = Covered {
        first: held.covered + 1,
        last: held.claimed,
    };
    let mut events = held.events;
    for event in &refreshed.events {
        events += 1;
        outbox::publish(transaction, lease.key, events, event, covered, now)?;
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
    // What was asked for since the claim goes before a look of our own.
    let is_wanted = held.wanted > held.claimed;
    let due_at = match is_wanted {
        true => Some(now.max(refreshed.not_before)),
        false => refreshed.look_again,
    };
    transaction.execute(
        "UPDATE subjects
            SET covered = claimed, lease_until = NULL, due_at = ?1, looking = ?2, not_before = ?3, standing = ?4,
                events = ?5, memory = ?6, lane = iif(?2, 1, coalesce(next_lane, 0)), next_lane = NULL, failures = 0,
                reason = NULL, fetched_at = ?8
          WHERE key = ?7",
        params![
            due_at.map(Column),
            !is_wanted && due_at.is_some(),
            Column(refreshed.not_before),
            Column(refreshed.standing),
            events,
            refreshed.memory,
            lease.key,
            Column(now),
        ],
    )?;
    if let Some(label) = &refreshed.label {
        story::label(transaction, lease.key, label)?;
    }
    Ok(held.events + 1)
}

fn postpone(transaction: &Transaction<'_>, lease: &Lease, postponement: &Postponement) -> Result<i64, Failure> {
    let held = held(transaction, lease)?;
    // A failure sends it among the retries, unless something better was asked for meanwhile.
    transaction.execute(
        "UPDATE subjects
            SET due_at = ?1, lease_until = NULL, claimed = covered,
                looking = ?2 AND next_lane IS NULL, failures = failures + ?3, reason = ?4, memory = coalesce(?5, memory),
                lane = iif(?3, min(1, coalesce(next_lane, 1)), min(lane, coalesce(next_lane, lane))),
                next_lane = NULL
          WHERE key = ?6",
        params![
            Column(postponement.until),
            postponement.cause == PostponeCause::LookAgain,
            postponement.cause == PostponeCause::Failed,
            postponement.reason,
            postponement.memory,
            lease.key
        ],
    )?;
    Ok(held.events + 1)
}

fn resolve_task(
    transaction: &Transaction<'_>,
    lease: &Lease,
    run: &RunId,
    now: SchedulingTime,
) -> Result<i64, Failure> {
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
                lane = 0, next_lane = NULL, failures = 0, memory = NULL, reason = NULL, standing = 'present'
          WHERE key = ?2",
        [run, lease.key],
    )?;
    Ok(held.events + 1)
}
