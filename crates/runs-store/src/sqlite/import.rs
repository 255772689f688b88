//! From the intake log into the inbox, hundreds of notifications in one transaction.
//!
//! A batch is imported without savepoints, each of which copies some six pages, and again one by one only if something in
//! it fails. What the inbox does not take by itself is kept as unrecognized, so that it does not keep those behind it out.

use rusqlite::{ErrorCode, params};

use super::column::Column;
use super::failure::Failure;
use super::inbox::{self, Filing};
use super::writer::Transaction;
use crate::desks::{Appended, NewNotification};
use crate::error::StoreError;
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

pub(super) fn position(transaction: &Transaction<'_>, log: LogId) -> Result<Position, Failure> {
    let found = transaction.row(
        "SELECT position FROM intake_logs WHERE log = ?",
        [Column(log.as_uuid())],
        |row| row.get::<_, u64>(0),
    )?;
    Ok(found.map_or(Position::START, Position::new))
}

/// Imports the batch as one, without a savepoint for each notification, which would copy some six pages each time. One
/// failure undoes it all, an id that the inbox has already among them.
pub(super) fn together(
    transaction: &Transaction<'_>,
    batch: &[NewNotification],
    span: Span,
    now: SchedulingTime,
) -> Result<Vec<Appended>, Failure> {
    advance(transaction, span)?;
    let mut filing = Filing::new(transaction, now);
    let mut appended = Vec::with_capacity(batch.len());
    for notification in batch {
        appended.push(filing.add(notification)?);
    }
    filing.finish()?;
    torture::point("import.before-commit");
    Ok(appended)
}

/// Imports each notification by itself. One that the inbox does not take is kept as unreadable, for a person to look at, so
/// that it does not keep those behind it out.
pub(super) fn one_by_one(
    transaction: &Transaction<'_>,
    batch: &[NewNotification],
    span: Span,
    now: SchedulingTime,
) -> Result<Vec<Appended>, Failure> {
    advance(transaction, span)?;
    let one = |notification: &NewNotification| {
        transaction.in_savepoint("notification", || inbox::append(transaction, notification, now))
    };
    let each = |notification: &NewNotification| match one(notification) {
        Err(failure) if is_about_one(&failure) => {
            let unreadable = notification.as_unreadable();
            tracing::error!(
                notification = %notification.id, error = %failure,
                "the inbox does not take a notification as it is; it is kept as unrecognized"
            );
            one(&unreadable)
        }
        outcome => outcome,
    };
    batch.iter().map(each).collect()
}

/// Notes how far the log was imported.
fn advance(transaction: &Transaction<'_>, span: Span) -> Result<(), Failure> {
    if position(transaction, span.log)? != span.after {
        return Err(Failure::LeaseLost);
    }
    transaction.execute(
        "INSERT INTO intake_logs (log, position) VALUES (?1, ?2)
         ON CONFLICT (log) DO UPDATE SET position = excluded.position",
        params![Column(span.log.as_uuid()), span.through.get()],
    )?;
    Ok(())
}

/// Whether a batch may have failed for something that is in it, rather than for the state of the store.
pub(super) fn may_be_one_of_them(error: &StoreError) -> bool {
    match error {
        StoreError::Unavailable { source, .. } => source.downcast_ref::<Failure>().is_some_and(is_about_one),
        _ => false,
    }
}

fn is_about_one(failure: &Failure) -> bool {
    match failure {
        Failure::Refused(_) | Failure::Unfitting(_) | Failure::Panicked(_) => true,
        Failure::Sqlite(error) => matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch)
        ),
        Failure::LeaseLost => false,
    }
}
