//! The story of one run.

use jiff::Timestamp;
use rusqlite::{Row, params};
use tallyfy_model::{OrgId, RunId};

use super::{DELIVERED, GIVEN_UP, heads, journal, runs};
use crate::desks::{AttemptEnd, EventSummary, HandlerName, NotificationSummary, Query, Story, ToldAttempt, ToldFetch};
use crate::sqlite::column::{Column, limit as rows};
use crate::sqlite::failure::Failure;
use crate::sqlite::operator::{dead_letters, events, notifications};
use crate::sqlite::writer::Transaction;

pub(in crate::sqlite) fn story(
    view: &Transaction<'_>,
    org: &OrgId,
    run: &RunId,
    before: Option<Timestamp>,
    limit: usize,
) -> Result<Option<Story>, Failure> {
    let key = view.row(
        "SELECT subjects.key FROM subjects JOIN orgs ON orgs.key = subjects.org
          WHERE orgs.name = ? AND subjects.kind = 'run' AND subjects.id = ?",
        [org.as_str(), run.as_str()],
        |row| row.get::<_, i64>(0),
    )?;
    let Some(key) = key else { return Ok(None) };
    let Some(summary) = runs::summary(view, key)? else {
        return Ok(None);
    };
    let before = before.map_or(i64::MAX, Timestamp::as_microsecond);
    let events = events_of(view, key, before, limit)?;
    let first = events.last().map_or(0, |event| event.number);
    let letters = Query {
        run: Some(run.clone()),
        org: Some(org.clone()),
        ..Query::default()
    };
    Ok(Some(Story {
        run: summary,
        notifications: notifications_of(view, key, &events, before, limit)?,
        fetches: fetches_of(view, key, before, limit)?,
        attempts: attempts_of(view, key, first, before, limit)?,
        events,
        heads: heads::of_run(view, key)?,
        dead_letters: dead_letters::latest(view, &letters, limit)?,
        journal: journal::of_run(view, org, run, limit)?,
    }))
}

/// Notifications, and which of these events they led to.
fn notifications_of(
    view: &Transaction<'_>,
    subject: i64,
    events: &[EventSummary],
    before: i64,
    limit: usize,
) -> Result<Vec<NotificationSummary>, Failure> {
    let sql = format!(
        "SELECT {} FROM {} WHERE notifications.subject = ?3 AND notifications.received_at < ?4
          ORDER BY notifications.ticket DESC LIMIT ?5",
        notifications::columns_within(),
        notifications::FROM,
    );
    let number = |event: Option<&EventSummary>| event.map_or(0, |event| event.number);
    let (first, last) = (number(events.last()), number(events.first()));
    view.rows(
        &sql,
        params![first, last, subject, before, rows(limit)],
        notifications::summary,
    )
}

fn events_of(view: &Transaction<'_>, subject: i64, before: i64, limit: usize) -> Result<Vec<EventSummary>, Failure> {
    let sql = format!(
        "SELECT {} FROM {} WHERE events.subject = ? AND events.created_at < ? ORDER BY events.number DESC LIMIT ?",
        events::COLUMNS,
        events::FROM,
    );
    view.rows(&sql, params![subject, before, rows(limit)], |row| {
        events::summary(row, 0)
    })
}

fn fetches_of(view: &Transaction<'_>, subject: i64, before: i64, limit: usize) -> Result<Vec<ToldFetch>, Failure> {
    view.rows(
        "SELECT at, took, cause, outcome, changes, stale, first_event, events, reason, again_at, worker
           FROM fetches WHERE subject = ? AND at < ? ORDER BY fence DESC LIMIT ?",
        params![subject, before, rows(limit)],
        |row| {
            Ok(ToldFetch {
                at: row.get::<_, Column<_>>(0)?.0,
                took: row.get::<_, Column<_>>(1)?.0,
                cause: row.get::<_, Column<_>>(2)?.0,
                outcome: row.get(3)?,
                changes: row.get(4)?,
                stale: row.get(5)?,
                first_event: row.get(6)?,
                events: row.get(7)?,
                reason: row.get(8)?,
                again_at: row.get::<_, Option<Column<_>>>(9)?.map(|Column(at)| at),
                worker: row.get(10)?,
            })
        },
    )
}

/// Attempts of the events from this number on.
fn attempts_of(
    view: &Transaction<'_>,
    subject: i64,
    first: u64,
    before: i64,
    limit: usize,
) -> Result<Vec<ToldAttempt>, Failure> {
    view.rows(
        "SELECT number, handlers.name, at, took, attempt, ended, reason, again_at, worker
           FROM (SELECT number, handler, fence, at, took, attempt, ended, reason, again_at, worker
                   FROM attempts WHERE subject = ?1 AND number >= ?2
                  UNION ALL
                 SELECT number, handler, fence, told_at, took, attempt, 0, NULL, NULL, worker
                   FROM outcomes WHERE subject = ?1 AND number >= ?2 AND fence IS NOT NULL) AS tried
           JOIN handlers ON handlers.key = tried.handler
          WHERE at < ?3 ORDER BY at DESC, number DESC, fence DESC LIMIT ?4",
        params![subject, first, before, rows(limit)],
        attempt,
    )
}

fn attempt(row: &Row<'_>) -> rusqlite::Result<ToldAttempt> {
    let reason: Option<String> = row.get(6)?;
    let reason = reason.unwrap_or_default();
    let at = row.get::<_, Column<_>>(2)?.0;
    Ok(ToldAttempt {
        number: row.get(0)?,
        handler: HandlerName::new(row.get::<_, String>(1)?),
        at,
        took: row.get::<_, Column<_>>(3)?.0,
        attempt: row.get(4)?,
        end: match row.get(5)? {
            DELIVERED => AttemptEnd::Delivered,
            GIVEN_UP => AttemptEnd::GivenUp { reason },
            _ => AttemptEnd::Failed {
                reason,
                again_at: row.get::<_, Option<Column<_>>>(7)?.map_or(at, |Column(at)| at),
            },
        },
        worker: row.get(8)?,
    })
}
