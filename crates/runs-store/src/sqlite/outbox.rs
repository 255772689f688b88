//! Events go out, one at a time for each handler and run.

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::params;
use tallyfy_model::{OrgId, RunId};
use uuid::Uuid;

use super::column::{Column, limit};
use super::failure::Failure;
use super::story;
use super::writer::Transaction;
use crate::desks::{
    Claim, Claimed, Delivery, EndedDelivery, HandlerName, Lease, LeaseLost, MAX_CLAIMED_EVENT_BYTES, NewEvent,
    Settlement,
};
use crate::time::SchedulingTime;
use crate::torture;

/// The tickets that the fetch behind an event covered.
#[derive(Clone, Copy)]
pub(super) struct Covered {
    pub(super) first: i64,
    pub(super) last: i64,
}

/// Puts an event in line for the handlers that are to get it.
pub(super) fn publish(
    transaction: &Transaction<'_>,
    subject: i64,
    number: i64,
    event: &NewEvent,
    covered: Covered,
    now: SchedulingTime,
) -> Result<(), Failure> {
    transaction.execute(
        "INSERT INTO events (id, subject, number, type, created_at, first_ticket, last_ticket, body)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            Column(event.id),
            subject,
            number,
            event.event_type,
            Column(event.created_at),
            covered.first,
            covered.last,
            event.body.as_ref(),
        ],
    )?;
    torture::point("publish.event-inserted");
    for (handler, name) in active_handlers(transaction)? {
        match event.recipients.kept_back_from(&name) {
            None => put_in_line(transaction, handler, subject, number, now)?,
            Some(key) => note_kept_back(transaction, (handler, subject, number), key, now)?,
        }
    }
    transaction.wake_deliverable();
    Ok(())
}

fn active_handlers(transaction: &Transaction<'_>) -> Result<Vec<(i64, String)>, Failure> {
    transaction.rows("SELECT key, name FROM handlers WHERE active", [], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
}

/// Notes that a key of a handler's filter kept an event back.
fn note_kept_back(
    transaction: &Transaction<'_>,
    (handler, subject, number): (i64, i64, i64),
    kept_back_by: &str,
    now: SchedulingTime,
) -> Result<(), Failure> {
    transaction.execute(
        "INSERT INTO outcomes (handler, subject, number, at, kept_back_by) VALUES (?, ?, ?, ?, ?)",
        params![handler, subject, number, Column(now), kept_back_by],
    )?;
    Ok(())
}

/// Notes that a handler has an event, with the attempt that brought it there.
fn note_delivered(
    transaction: &Transaction<'_>,
    held: &Held,
    ended: &EndedDelivery,
    now: SchedulingTime,
) -> Result<(), Failure> {
    let report = ended.report.as_ref();
    transaction.execute(
        "INSERT INTO outcomes (handler, subject, number, at, fence, attempt, told_at, took, worker)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE
            SET at = excluded.at, kept_back_by = NULL, fence = excluded.fence, attempt = excluded.attempt,
                told_at = excluded.told_at, took = excluded.took, worker = excluded.worker",
        params![
            held.handler,
            held.subject,
            held.number,
            Column(now),
            report.map(|_| ended.lease.fence),
            held.attempts,
            report.map(|report| Column(report.at)),
            report.map(|report| Column(report.took)),
            report.map(|report| &report.worker),
        ],
    )?;
    Ok(())
}

fn put_in_line(
    transaction: &Transaction<'_>,
    handler: i64,
    subject: i64,
    number: i64,
    now: SchedulingTime,
) -> Result<(), Failure> {
    transaction.execute(
        "INSERT INTO deliveries (handler, subject, number, since) VALUES (?, ?, ?, ?)",
        params![handler, subject, number, Column(now)],
    )?;
    // Where the line has a head already, this event waits behind it.
    transaction.execute(
        "INSERT INTO cursors (handler, subject, number, due_at) VALUES (?, ?, ?, ?)
         ON CONFLICT (handler, subject)
         DO UPDATE SET number = excluded.number, due_at = excluded.due_at, attempts = 0 WHERE cursors.due_at IS NULL",
        params![handler, subject, number, Column(now)],
    )?;
    Ok(())
}

pub(super) fn set_handlers(
    transaction: &Transaction<'_>,
    handlers: &[HandlerName],
    now: SchedulingTime,
) -> Result<(), Failure> {
    let known = transaction.rows("SELECT key, name, active FROM handlers", [], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, bool>(2)?))
    })?;
    for (key, name, active) in &known {
        let named = handlers.iter().any(|handler| handler.as_str() == name);
        if named != *active {
            transaction.execute(
                "UPDATE handlers SET active = ?, since = ? WHERE key = ?",
                params![named, Column(now), key],
            )?;
        }
    }
    for handler in handlers {
        transaction.execute(
            "INSERT INTO handlers (name, active, since) VALUES (?, 1, ?) ON CONFLICT (name) DO NOTHING",
            params![handler.as_str(), Column(now)],
        )?;
    }
    transaction.wake_deliverable();
    Ok(())
}

pub(super) fn set_paused(transaction: &Transaction<'_>, handler: &HandlerName, paused: bool) -> Result<bool, Failure> {
    let changed = transaction.execute(
        "UPDATE handlers SET paused = ? WHERE name = ?",
        params![paused, handler.as_str()],
    )?;
    transaction.wake_deliverable();
    Ok(changed > 0)
}

pub(super) fn claim_deliveries(
    transaction: &Transaction<'_>,
    handler: &HandlerName,
    claim: Claim,
) -> Result<Claimed<Delivery>, Failure> {
    let Some(key) = active(transaction, handler)? else {
        return Ok(Claimed {
            work: Vec::new(),
            next_due: None,
        });
    };
    let room = match claim.in_flight {
        Some(most) => most
            .get()
            .saturating_sub(in_flight(transaction, key, claim.now)?.0)
            .min(claim.limit),
        None => claim.limit,
    };
    let mut work = Vec::new();
    let mut bytes = 0;
    for subject in claimable(transaction, key, Claim { limit: room, ..claim })? {
        if bytes >= MAX_CLAIMED_EVENT_BYTES {
            break;
        }
        if let Some(delivery) = lease(transaction, handler, key, subject, claim)? {
            bytes += delivery.body.len();
            work.push(delivery);
        }
    }
    let next_due = if room < claim.limit && work.len() == room {
        in_flight(transaction, key, claim.now)?.1
    } else {
        next_due(transaction, key)?
    };
    Ok(Claimed { work, next_due })
}

/// How many deliveries of a handler are leased, and when the first of those leases ends.
fn in_flight(
    transaction: &Transaction<'_>,
    handler: i64,
    now: SchedulingTime,
) -> Result<(usize, Option<SchedulingTime>), Failure> {
    let leased = transaction.row(
        "SELECT count(*), min(lease_until) FROM cursors INDEXED BY cursors_leased
          WHERE handler = ? AND lease_until > ?",
        params![handler, Column(now)],
        |row| Ok((row.get(0)?, row.get::<_, Option<Column<SchedulingTime>>>(1)?)),
    )?;
    Ok(leased.map_or((0, None), |(count, first)| (count, first.map(|Column(first)| first))))
}

/// When something of a handler is due, from the past on; `None` if nothing waits. Only reads.
pub(super) fn look(transaction: &Transaction<'_>, handler: &HandlerName) -> Result<Option<SchedulingTime>, Failure> {
    match active(transaction, handler)? {
        Some(key) => next_due(transaction, key),
        None => Ok(None),
    }
}

/// The key of a handler whose events may be claimed.
fn active(transaction: &Transaction<'_>, handler: &HandlerName) -> Result<Option<i64>, Failure> {
    transaction.row(
        "SELECT key FROM handlers WHERE name = ? AND active AND NOT paused",
        [handler.as_str()],
        |row| row.get(0),
    )
}

/// The runs whose heads are to be handed out, the longest due first.
fn claimable(transaction: &Transaction<'_>, handler: i64, claim: Claim) -> Result<Vec<i64>, Failure> {
    let (now, most) = (Column(claim.now), limit(claim.limit));
    let mut found: Vec<(i64, i64)> = transaction.rows(
        "SELECT due_at, subject FROM cursors INDEXED BY cursors_waiting
          WHERE handler = ? AND due_at <= ? AND lease_until IS NULL
          ORDER BY due_at LIMIT ?",
        params![handler, now, most],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    found.extend(transaction.rows(
        "SELECT lease_until, subject FROM cursors INDEXED BY cursors_leased
          WHERE handler = ? AND lease_until <= ?
          ORDER BY lease_until LIMIT ?",
        params![handler, now, most],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?);
    found.sort_unstable();
    found.truncate(claim.limit);
    Ok(found.into_iter().map(|(_, subject)| subject).collect())
}

fn lease(
    transaction: &Transaction<'_>,
    handler: &HandlerName,
    handler_key: i64,
    subject: i64,
    claim: Claim,
) -> Result<Option<Delivery>, Failure> {
    let leased = transaction.row(
        "UPDATE cursors
            SET fence = fence + 1, attempts = attempts + 1, lease_until = ?1, tried_since = coalesce(tried_since, ?4)
          WHERE handler = ?2 AND subject = ?3
      RETURNING fence, attempts, number, tried_since",
        params![
            Column(claim.now.after(claim.lease)),
            handler_key,
            subject,
            Column(claim.now)
        ],
        |row| {
            let Column(tried_since) = row.get::<_, Column<SchedulingTime>>(3)?;
            Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?, tried_since))
        },
    )?;
    let Some((fence, attempt, number, tried_since)) = leased else {
        return Ok(None);
    };
    transaction.row(
        "SELECT events.id, events.type, orgs.name, subjects.id, events.number, events.created_at, events.body
           FROM events JOIN subjects ON subjects.key = events.subject JOIN orgs ON orgs.key = subjects.org
          WHERE events.subject = ? AND events.number = ?",
        [subject, number],
        |row| {
            Ok(Delivery {
                lease: Lease {
                    key: subject,
                    handler: Some(handler.clone()),
                    fence,
                },
                handler: handler.clone(),
                event_id: row.get::<_, Column<Uuid>>(0)?.0,
                event_type: row.get(1)?,
                org: OrgId::new(row.get::<_, String>(2)?),
                run: RunId::new(row.get::<_, String>(3)?),
                number: row.get(4)?,
                attempt,
                tried_since,
                created_at: row.get::<_, Column<Timestamp>>(5)?.0,
                body: Bytes::from(row.get::<_, Vec<u8>>(6)?),
            })
        },
    )
}

fn next_due(transaction: &Transaction<'_>, handler: i64) -> Result<Option<SchedulingTime>, Failure> {
    let waiting = transaction.row(
        "SELECT min(due_at) FROM cursors INDEXED BY cursors_waiting
          WHERE handler = ? AND due_at IS NOT NULL AND lease_until IS NULL",
        [handler],
        |row| row.get::<_, Option<Column<SchedulingTime>>>(0),
    )?;
    let leased = transaction.row(
        "SELECT min(lease_until) FROM cursors INDEXED BY cursors_leased
          WHERE handler = ? AND lease_until IS NOT NULL",
        [handler],
        |row| row.get::<_, Option<Column<SchedulingTime>>>(0),
    )?;
    let times = [waiting.flatten(), leased.flatten()];
    Ok(times.into_iter().flatten().map(|Column(time)| time).min())
}

/// A head of a line that is leased by the caller.
pub(super) struct Held {
    pub(super) handler: i64,
    pub(super) subject: i64,
    pub(super) number: i64,
    pub(super) attempts: i64,
}

fn held(transaction: &Transaction<'_>, lease: &Lease) -> Result<Option<Held>, Failure> {
    let Some(handler) = &lease.handler else {
        return Ok(None);
    };
    transaction.row(
        "SELECT cursors.handler, cursors.number, cursors.attempts
           FROM cursors JOIN handlers ON handlers.key = cursors.handler
          WHERE handlers.name = ? AND cursors.subject = ? AND cursors.fence = ? AND cursors.lease_until IS NOT NULL",
        params![handler.as_str(), lease.key, lease.fence],
        |row| {
            Ok(Held {
                handler: row.get(0)?,
                subject: lease.key,
                number: row.get(1)?,
                attempts: row.get(2)?,
            })
        },
    )
}

/// Ends attempts. One whose lease is lost changes nothing, and does not hurt the others.
pub(super) fn settle(
    transaction: &Transaction<'_>,
    ended: &[EndedDelivery],
    now: SchedulingTime,
) -> Result<Vec<Result<(), LeaseLost>>, Failure> {
    let mut outcomes = Vec::with_capacity(ended.len());
    for ended in ended {
        let held = held(transaction, &ended.lease)?;
        if let Some(held) = &held {
            settle_one(transaction, held, ended, now)?;
        }
        outcomes.push(held.map(drop).ok_or(LeaseLost));
    }
    Ok(outcomes)
}

fn settle_one(
    transaction: &Transaction<'_>,
    held: &Held,
    ended: &EndedDelivery,
    now: SchedulingTime,
) -> Result<(), Failure> {
    story::attempted(transaction, held, ended)?;
    match &ended.settlement {
        Settlement::Delivered => {
            note_delivered(transaction, held, ended, now)?;
            advance(transaction, held, now)?;
        }
        Settlement::Retry { at, reason } => {
            transaction.execute(
                "UPDATE cursors SET due_at = ?, lease_until = NULL, reason = ?, failed_at = ?
                  WHERE handler = ? AND subject = ?",
                params![Column(*at), reason, Column(now), held.handler, held.subject],
            )?;
        }
        Settlement::DeadLetter { reason, answer } => {
            transaction.execute(
                "INSERT INTO dead_letters (handler, subject, number, attempts, reason, answer, at)
                 VALUES (?, ?, ?, ?, ?, ?, ?)
                 ON CONFLICT DO UPDATE
                    SET attempts = excluded.attempts, reason = excluded.reason, answer = excluded.answer,
                        at = excluded.at",
                params![
                    held.handler,
                    held.subject,
                    held.number,
                    held.attempts,
                    reason,
                    answer,
                    Column(now)
                ],
            )?;
            advance(transaction, held, now)?;
        }
        Settlement::Released => {
            transaction.execute(
                "UPDATE cursors
                    SET lease_until = NULL, attempts = attempts - 1, tried_since = iif(attempts > 1, tried_since, NULL)
                  WHERE handler = ? AND subject = ?",
                [held.handler, held.subject],
            )?;
        }
    }
    Ok(())
}

/// Takes the head out of the line; the next one, if there is one, is due at once.
fn advance(transaction: &Transaction<'_>, held: &Held, now: SchedulingTime) -> Result<(), Failure> {
    transaction.execute(
        "DELETE FROM deliveries WHERE handler = ? AND subject = ? AND number = ?",
        [held.handler, held.subject, held.number],
    )?;
    torture::point("settle.delivery-deleted");
    let next = transaction.row(
        "SELECT min(number) FROM deliveries WHERE handler = ? AND subject = ?",
        [held.handler, held.subject],
        |row| row.get::<_, Option<i64>>(0),
    )?;
    let next = next.flatten();
    transaction.execute(
        "UPDATE cursors
            SET number = coalesce(?1, number), due_at = ?2, lease_until = NULL, attempts = 0, reason = NULL,
                tried_since = NULL, failed_at = NULL
          WHERE handler = ?3 AND subject = ?4",
        params![next, next.map(|_| Column(now)), held.handler, held.subject],
    )?;
    Ok(())
}
