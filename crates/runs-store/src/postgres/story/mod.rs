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
    EndedDelivery, EndedRefresh, FetchReport, MAX_ATTEMPTS_KEPT, MAX_FETCHES_KEPT, RefreshEnd, Settlement, Word as _,
    bounded,
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
pub(super) fn short(words: &str) -> String {
    text(bounded(words))
}

/// The number of a lease up to which what was told under earlier ones is forgotten.
fn oldest_kept(fence: i64, most: u64) -> i64 {
    fence.saturating_sub(most.cast_signed())
}

/// A fetch, the number that its first event has or would have had, and what is told of it.
pub(super) type Fetched<'f> = (&'f EndedRefresh, i64, &'f FetchReport);

/// Tells of fetches, and forgets the oldest of many.
pub(super) async fn fetched(transaction: &Transaction, fetches: &[Fetched<'_>]) -> Result<(), Failure> {
    if fetches.is_empty() {
        return Ok(());
    }
    let outcome = |ended: &EndedRefresh| match &ended.end {
        RefreshEnd::Commit(refreshed) => (refreshed.events.len(), None, refreshed.look_again),
        RefreshEnd::Postpone(postponement) => (0, Some(short(&postponement.reason)), Some(postponement.until)),
        RefreshEnd::Resolve(_) => (0, None, None),
    };
    let mut columns = Fetches::default();
    for (ended, first_event, report) in fetches {
        let (events, reason, again_at) = outcome(ended);
        columns.subject.push(ended.lease.key);
        columns.fence.push(ended.lease.fence);
        columns.at.push(micros(report.at));
        columns.took.push(length(report.took));
        columns.cause.push(report.cause.word());
        columns.outcome.push(text(&report.outcome));
        columns.changes.push(i64::from(report.changes));
        columns.stale.push(report.stale);
        columns.first_event.push(*first_event);
        columns.events.push(i64::try_from(events).unwrap_or(i64::MAX));
        columns.reason.push(reason);
        columns.again_at.push(again_at.map(micros));
        columns.worker.push(text(&report.worker));
    }
    columns.write(transaction).await?;
    let old = fetches
        .iter()
        .map(|(ended, ..)| (ended.lease.key, oldest_kept(ended.lease.fence, MAX_FETCHES_KEPT)));
    let (subjects, fences): (Vec<i64>, Vec<i64>) = old.filter(|(_, fence)| *fence > 0).unzip();
    if !subjects.is_empty() {
        let forget = "DELETE FROM fetches f USING unnest($1, $2) AS o (subject, fence)
                       WHERE f.subject = o.subject AND f.fence <= o.fence";
        transaction.execute(forget, params![; subjects, fences]).await?;
    }
    Ok(())
}

/// Fetches by their columns.
#[derive(Default)]
struct Fetches {
    subject: Vec<i64>,
    fence: Vec<i64>,
    at: Vec<i64>,
    took: Vec<i64>,
    cause: Vec<&'static str>,
    outcome: Vec<String>,
    changes: Vec<i64>,
    stale: Vec<bool>,
    first_event: Vec<i64>,
    events: Vec<i64>,
    reason: Vec<Option<String>>,
    again_at: Vec<Option<i64>>,
    worker: Vec<String>,
}

impl Fetches {
    async fn write(self, transaction: &Transaction) -> Result<(), Failure> {
        transaction
            .execute(
                "INSERT INTO fetches
                    (subject, fence, at, took, cause, outcome, changes, stale, first_event, events, reason, again_at, worker)
                 SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
                 ON CONFLICT DO NOTHING",
                params![;
                    self.subject,
                    self.fence,
                    self.at,
                    self.took,
                    self.cause,
                    self.outcome,
                    self.changes,
                    self.stale,
                    self.first_event,
                    self.events,
                    self.reason,
                    self.again_at,
                    self.worker
                ],
            )
            .await?;
        Ok(())
    }
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
    let old = oldest_kept(fence, MAX_ATTEMPTS_KEPT);
    if old <= 0 {
        return Ok(());
    }
    let forget = "DELETE FROM attempts WHERE subject = $1 AND number = $2 AND handler = $3 AND fence <= $4";
    transaction
        .execute(forget, params![subject, number, handler, old])
        .await?;
    Ok(())
}
