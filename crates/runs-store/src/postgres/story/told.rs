//! The story of one run.

use std::time::Duration;

use jiff::Timestamp;
use tallyfy_model::{OrgId, RunId};
use tokio_postgres::Row;

use super::{DELIVERED, GIVEN_UP, heads, journal, runs};
use crate::desks::{AttemptEnd, EventSummary, HandlerName, NotificationSummary, Query, Story, ToldAttempt, ToldFetch};
use crate::postgres::column::{Columns as _, limit as rows, number};
use crate::postgres::failure::Failure;
use crate::postgres::operator::{dead_letters, events, notifications};
use crate::postgres::params::{params, text};
use crate::postgres::session::Transaction;

pub(super) async fn story(
    view: &Transaction,
    org: &OrgId,
    run: &RunId,
    before: Option<Timestamp>,
    limit: usize,
) -> Result<Option<Story>, Failure> {
    let found = view
        .row(
            "SELECT s.key FROM subjects s JOIN orgs o ON o.key = s.org WHERE o.name = $1 AND s.kind = 'run' AND s.id = $2",
            params![text(org.as_str()), text(run.as_str())],
        )
        .await?;
    let Some(key) = found.map(|row| row.at::<i64>(0)).transpose()? else {
        return Ok(None);
    };
    let Some(summary) = runs::summary(view, key).await? else {
        return Ok(None);
    };
    let before = before.map_or(i64::MAX, Timestamp::as_microsecond);
    let events = events_of(view, key, before, limit).await?;
    let first = events.last().map_or(0, |event| event.number);
    let letters = Query {
        run: Some(run.clone()),
        org: Some(org.clone()),
        ..Query::default()
    };
    Ok(Some(Story {
        run: summary,
        notifications: notifications_of(view, key, &events, before, limit).await?,
        fetches: fetches_of(view, key, before, limit).await?,
        attempts: attempts_of(view, key, first, before, limit).await?,
        events,
        heads: heads::of_run(view, key).await?,
        dead_letters: dead_letters::latest(view, &letters, limit).await?,
        journal: journal::of_run(view, org, run, limit).await?,
    }))
}

/// Notifications, and which of these events they led to.
async fn notifications_of(
    view: &Transaction,
    subject: i64,
    events: &[EventSummary],
    before: i64,
    limit: usize,
) -> Result<Vec<NotificationSummary>, Failure> {
    let sql = format!(
        "SELECT {} FROM {} WHERE n.subject = $3 AND n.received_at < $4 ORDER BY n.ticket DESC LIMIT $5",
        notifications::columns_within(),
        notifications::FROM
    );
    let place = |event: Option<&EventSummary>| event.map_or(0, |event| number(event.number));
    let (first, last) = (place(events.last()), place(events.first()));
    let found = view
        .rows(&sql, params![first, last, subject, before, rows(limit)])
        .await?;
    found.iter().map(notifications::summary).collect()
}

async fn events_of(view: &Transaction, subject: i64, before: i64, limit: usize) -> Result<Vec<EventSummary>, Failure> {
    let sql = format!(
        "SELECT {} FROM {} WHERE e.subject = $1 AND e.created_at < $2 ORDER BY e.number DESC LIMIT $3",
        events::COLUMNS,
        events::FROM
    );
    let found = view.rows(&sql, params![subject, before, rows(limit)]).await?;
    found.iter().map(|row| events::summary(row, 0)).collect()
}

fn length(row: &Row, column: usize) -> Result<Duration, Failure> {
    Ok(Duration::from_micros(row.count(column)?))
}

async fn fetches_of(view: &Transaction, subject: i64, before: i64, limit: usize) -> Result<Vec<ToldFetch>, Failure> {
    let found = view
        .rows(
            "SELECT at, took, cause, outcome, changes, stale, first_event, events, reason, again_at, worker
               FROM fetches WHERE subject = $1 AND at < $2 ORDER BY fence DESC LIMIT $3",
            params![subject, before, rows(limit)],
        )
        .await?;
    let fetches = found.iter().map(|row| {
        Ok(ToldFetch {
            at: row.time(0)?,
            took: length(row, 1)?,
            cause: row.word(2)?,
            outcome: row.at(3)?,
            changes: row.small(4)?,
            stale: row.at(5)?,
            first_event: row.count(6)?,
            events: row.small(7)?,
            reason: row.at(8)?,
            again_at: row.time_if_any(9)?,
            worker: row.at(10)?,
        })
    });
    fetches.collect()
}

/// Attempts of the events from this number on.
async fn attempts_of(
    view: &Transaction,
    subject: i64,
    first: u64,
    before: i64,
    limit: usize,
) -> Result<Vec<ToldAttempt>, Failure> {
    let found = view
        .rows(
            "SELECT t.number, h.name, t.at, t.took, t.attempt, t.ended, t.reason, t.again_at, t.worker
               FROM (SELECT number, handler, fence, at, took, attempt, ended, reason, again_at, worker
                       FROM attempts WHERE subject = $1 AND number >= $2
                      UNION ALL
                     SELECT number, handler, fence, told_at, took, attempt, 0::smallint, NULL, NULL, worker
                       FROM outcomes WHERE subject = $1 AND number >= $2 AND fence IS NOT NULL) t
               JOIN handlers h ON h.key = t.handler
              WHERE t.at < $3 ORDER BY t.at DESC, t.number DESC, t.fence DESC LIMIT $4",
            params![subject, number(first), before, rows(limit)],
        )
        .await?;
    found.iter().map(attempt).collect()
}

fn attempt(row: &Row) -> Result<ToldAttempt, Failure> {
    let reason = row.at::<Option<String>>(6)?.unwrap_or_default();
    let at = row.time(2)?;
    Ok(ToldAttempt {
        number: row.count(0)?,
        handler: HandlerName::new(row.at::<String>(1)?),
        at,
        took: length(row, 3)?,
        attempt: row.attempts(4)?,
        end: match row.at::<i16>(5)? {
            DELIVERED => AttemptEnd::Delivered,
            GIVEN_UP => AttemptEnd::GivenUp { reason },
            _ => AttemptEnd::Failed {
                reason,
                again_at: row.time_if_any(7)?.unwrap_or(at),
            },
        },
        worker: row.at(8)?,
    })
}
