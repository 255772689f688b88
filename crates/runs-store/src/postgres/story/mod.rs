//! What happened is written where it ends, and told to whoever asks.

mod desk;
mod heads;
mod journal;
mod runs;
mod told;
mod workers;

use std::time::Duration;

use super::column::micros;
use super::failure::Failure;
use super::outbox::Place;
use super::params::{params, text};
use super::session::Transaction;
use crate::desks::{
    EndedDelivery, EndedRefresh, FetchReport, MAX_ATTEMPTS_KEPT, MAX_FETCHES_KEPT, RefreshEnd, RunLabel, Settlement,
    Word as _, bounded,
};

/// How the attempts that a table has ended, as a number.
const DELIVERED: i16 = 0;
const FAILED: i16 = 1;
const GIVEN_UP: i16 = 2;

/// A length of time, in a column.
pub(super) fn length(took: Duration) -> i64 {
    i64::try_from(took.as_micros()).unwrap_or(i64::MAX)
}

/// A text of a bounded length, in a column.
fn short(words: &str) -> String {
    text(bounded(words))
}

/// The number of a lease up to which what was told under earlier ones is forgotten.
fn oldest_kept(fence: i64, most: u64) -> i64 {
    fence.saturating_sub(most.cast_signed())
}

/// Tells of a fetch, and forgets the oldest of many.
pub(super) async fn fetched(
    transaction: &Transaction,
    ended: &EndedRefresh,
    first_event: i64,
    report: &FetchReport,
) -> Result<(), Failure> {
    let (events, reason, again_at) = match &ended.end {
        RefreshEnd::Commit(refreshed) => (refreshed.events.len(), None, refreshed.look_again),
        RefreshEnd::Postpone(postponement) => (0, Some(postponement.reason.as_str()), Some(postponement.until)),
        RefreshEnd::Resolve(_) => (0, None, None),
    };
    let (subject, fence) = (ended.lease.key, ended.lease.fence);
    transaction
        .execute(
            "INSERT INTO fetches
                (subject, fence, at, took, cause, outcome, changes, stale, first_event, events, reason, again_at, worker)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
             ON CONFLICT DO NOTHING",
            params![
                subject,
                fence,
                micros(report.at),
                length(report.took),
                report.cause.word(),
                text(&report.outcome),
                i64::from(report.changes),
                report.stale,
                first_event,
                i64::try_from(events).unwrap_or(i64::MAX),
                reason.map(short),
                again_at.map(micros),
                text(&report.worker)
            ],
        )
        .await?;
    let forget = "DELETE FROM fetches WHERE subject = $1 AND fence <= $2";
    transaction
        .execute(forget, params![subject, oldest_kept(fence, MAX_FETCHES_KEPT)])
        .await?;
    Ok(())
}

/// Writes down what a run is called.
pub(super) async fn label(transaction: &Transaction, subject: i64, label: &RunLabel) -> Result<(), Failure> {
    transaction
        .execute(
            "UPDATE subjects SET name = $1, template = $2, template_name = $3, status = $4 WHERE key = $5",
            params![
                label.name.as_deref().map(short),
                label.template.as_deref().map(short),
                label.template_name.as_deref().map(short),
                label.status.as_deref().map(short),
                subject
            ],
        )
        .await?;
    Ok(())
}

/// Tells of an attempt that failed, and forgets the oldest of many. One that succeeded is told with the outcome.
pub(super) async fn attempted(
    transaction: &Transaction,
    (handler, subject, number): Place,
    attempts: i32,
    ended: &EndedDelivery,
) -> Result<(), Failure> {
    let (how, reason, again_at) = match &ended.settlement {
        Settlement::Retry { at, reason } => (FAILED, reason, Some(*at)),
        Settlement::DeadLetter { reason, .. } => (GIVEN_UP, reason, None),
        Settlement::Delivered | Settlement::Released => return Ok(()),
    };
    let Some(report) = &ended.report else { return Ok(()) };
    let fence = ended.lease.fence;
    transaction
        .execute(
            "INSERT INTO attempts
                (subject, number, handler, fence, attempt, at, took, ended, reason, again_at, worker)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             ON CONFLICT DO NOTHING",
            params![
                subject,
                number,
                handler,
                fence,
                attempts,
                micros(report.at),
                length(report.took),
                how,
                short(reason),
                again_at.map(micros),
                text(&report.worker)
            ],
        )
        .await?;
    let forget = "DELETE FROM attempts WHERE subject = $1 AND number = $2 AND handler = $3 AND fence <= $4";
    transaction
        .execute(
            forget,
            params![subject, number, handler, oldest_kept(fence, MAX_ATTEMPTS_KEPT)],
        )
        .await?;
    Ok(())
}
