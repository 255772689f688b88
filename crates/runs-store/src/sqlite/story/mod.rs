//! What happened is written where it ends, and told to whoever asks.

mod desk;
pub(super) mod heads;
pub(super) mod journal;
pub(super) mod runs;
pub(super) mod told;
pub(super) mod workers;

use rusqlite::params;

use super::column::Column;
use super::failure::Failure;
use super::outbox::Held;
use super::writer::Transaction;
use crate::desks::{
    EndedDelivery, FetchReport, Lease, MAX_ATTEMPTS_KEPT, MAX_FETCHES_KEPT, RefreshEnd, RunLabel, Settlement, bounded,
};
use crate::time::SchedulingTime;

/// How the attempts that a table has ended, as a number.
const DELIVERED: u8 = 0;
const FAILED: u8 = 1;
const GIVEN_UP: u8 = 2;

/// Tells of a fetch, and forgets the oldest of many.
pub(super) fn fetched(
    transaction: &Transaction<'_>,
    lease: &Lease,
    first_event: i64,
    end: &RefreshEnd,
    report: &FetchReport,
) -> Result<(), Failure> {
    let (events, reason, again_at) = match end {
        RefreshEnd::Commit(refreshed) => (refreshed.events.len(), None, refreshed.look_again),
        RefreshEnd::Postpone(postponement) => (0, Some(postponement.reason.as_str()), Some(postponement.until)),
        RefreshEnd::Resolve(_) => (0, None, None),
    };
    transaction.execute(
        "INSERT INTO fetches
            (subject, fence, at, took, cause, outcome, changes, stale, first_event, events, reason, again_at, worker)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO NOTHING",
        params![
            lease.key,
            lease.fence,
            Column(report.at),
            Column(report.took),
            Column(report.cause),
            report.outcome,
            report.changes,
            report.stale,
            first_event,
            i64::try_from(events).unwrap_or(i64::MAX),
            reason.map(bounded),
            again_at.map(Column),
            report.worker,
        ],
    )?;
    transaction.execute(
        "DELETE FROM fetches WHERE subject = ? AND fence <= ?",
        params![lease.key, oldest_kept(lease, MAX_FETCHES_KEPT)],
    )?;
    Ok(())
}

/// The number of a lease up to which what was told under earlier ones is forgotten.
fn oldest_kept(lease: &Lease, most: u64) -> i64 {
    lease.fence.saturating_sub(most.cast_signed())
}

/// Writes down what a run is called.
pub(super) fn label(transaction: &Transaction<'_>, subject: i64, label: &RunLabel) -> Result<(), Failure> {
    transaction.execute(
        "UPDATE subjects SET name = ?, template = ?, template_name = ?, status = ? WHERE key = ?",
        params![
            label.name.as_deref().map(bounded),
            label.template.as_deref().map(bounded),
            label.template_name.as_deref().map(bounded),
            label.status.as_deref().map(bounded),
            subject
        ],
    )?;
    Ok(())
}

/// Tells of an attempt that failed, and forgets the oldest of many. One that succeeded is told with the outcome.
pub(super) fn attempted(transaction: &Transaction<'_>, held: &Held, ended: &EndedDelivery) -> Result<(), Failure> {
    let (how, reason, again_at): (u8, &str, Option<SchedulingTime>) = match &ended.settlement {
        Settlement::Retry { at, reason } => (FAILED, reason, Some(*at)),
        Settlement::DeadLetter { reason, .. } => (GIVEN_UP, reason, None),
        Settlement::Delivered | Settlement::Released => return Ok(()),
    };
    let Some(report) = &ended.report else { return Ok(()) };
    transaction.execute(
        "INSERT INTO attempts
            (subject, number, handler, fence, attempt, at, took, ended, reason, again_at, worker)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO NOTHING",
        params![
            held.subject,
            held.number,
            held.handler,
            ended.lease.fence,
            held.attempts,
            Column(report.at),
            Column(report.took),
            how,
            bounded(reason),
            again_at.map(Column),
            report.worker,
        ],
    )?;
    transaction.execute(
        "DELETE FROM attempts WHERE subject = ? AND number = ? AND handler = ? AND fence <= ?",
        params![
            held.subject,
            held.number,
            held.handler,
            oldest_kept(&ended.lease, MAX_ATTEMPTS_KEPT)
        ],
    )?;
    Ok(())
}
