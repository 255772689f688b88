//! From an intake log into the inbox, hundreds of notifications in one transaction.

use tracing::error;

use super::column::{Columns as _, number};
use super::failure::Failure;
use super::filing;
use super::params::params;
use super::session::Transaction;
use crate::desks::{Appended, NewNotification};
use crate::intake_log::{LogId, Position};
use crate::time::SchedulingTime;
use crate::torture;

/// Which part of which log a batch is.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) log: LogId,
    pub(super) after: Position,
    pub(super) through: Position,
}

pub(super) async fn position(view: &Transaction, log: LogId) -> Result<Position, Failure> {
    let find = "SELECT position FROM intake_logs WHERE log = $1";
    let found = view.row(find, params![log.as_uuid()]).await?;
    Ok(match found {
        Some(row) => Position::new(row.count(0)?),
        None => Position::START,
    })
}

/// Imports the batch as one. One failure undoes it all.
pub(super) async fn together(
    transaction: &Transaction,
    batch: &[NewNotification],
    span: Span,
    now: SchedulingTime,
) -> Result<Vec<Appended>, Failure> {
    advance(transaction, span).await?;
    filing::file(transaction, batch, now).await
}

/// Imports each notification by itself. One that the inbox does not take is kept as unreadable, for a person to look at, so
/// that it does not keep those behind it out.
pub(super) async fn one_by_one(
    transaction: &Transaction,
    batch: &[NewNotification],
    span: Span,
    now: SchedulingTime,
) -> Result<Vec<Appended>, Failure> {
    advance(transaction, span).await?;
    let mut appended = Vec::with_capacity(batch.len());
    for notification in batch {
        let outcome = match one(transaction, notification, now).await {
            Err(failure) if failure.is_about_one() => {
                error!(
                    notification = %notification.id, error = %failure,
                    "the inbox does not take a notification as it is; it is kept as unrecognized"
                );
                one(transaction, &notification.as_unreadable(), now).await
            }
            outcome => outcome,
        };
        appended.push(outcome?);
    }
    Ok(appended)
}

/// Files one, which is undone by itself if it fails.
async fn one(
    transaction: &Transaction,
    notification: &NewNotification,
    now: SchedulingTime,
) -> Result<Appended, Failure> {
    transaction.batch("SAVEPOINT notification").await?;
    let filed = filing::file(transaction, std::slice::from_ref(notification), now).await;
    if filed.is_err() {
        transaction.batch("ROLLBACK TO notification").await?;
    }
    transaction.batch("RELEASE notification").await?;
    filed?.pop().ok_or(Failure::Conflict)
}

/// Notes how far the log was imported.
async fn advance(transaction: &Transaction, span: Span) -> Result<(), Failure> {
    let log = span.log.as_uuid();
    let enter = "INSERT INTO intake_logs (log, position) VALUES ($1, $2) ON CONFLICT (log) DO NOTHING";
    transaction
        .execute(enter, params![log, number(Position::START.get())])
        .await?;
    let moved = transaction
        .execute(
            "UPDATE intake_logs SET position = $1 WHERE log = $2 AND position = $3",
            params![number(span.through.get()), log, number(span.after.get())],
        )
        .await?;
    if moved == 0 {
        return Err(Failure::LeaseLost);
    }
    torture::point("postgres.log-position-moved");
    Ok(())
}
