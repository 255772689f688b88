//! Attempts of deliveries end: all that end together, in a few statements.

use std::collections::HashMap;

use super::column::{Columns as _, micros};
use super::failure::Failure;
use super::outbox::{Place, columns};
use super::params::{params, text};
use super::session::Transaction;
use super::story;
use crate::desks::{EndedDelivery, Lease, LeaseLost, Settlement};
use crate::time::SchedulingTime;
use crate::torture;

/// A head of a line that is leased by the caller.
#[derive(Clone, Copy)]
struct Held {
    place: Place,
    attempts: i32,
}

/// Ends attempts. One whose lease is lost changes nothing, and does not hurt the others.
pub(super) async fn settle(
    transaction: &Transaction,
    ended: &[EndedDelivery],
    now: SchedulingTime,
) -> Result<Vec<Result<(), LeaseLost>>, Failure> {
    let mut held = lock(transaction, ended).await?;
    let mut outcomes = Vec::with_capacity(ended.len());
    let mut ends = Ends::default();
    for each in ended {
        let lease = &each.lease;
        // A lease ends once.
        let Some(held) = held.remove(&(
            lease.handler.as_ref().map_or("", |name| name.as_str()),
            lease.key,
            lease.fence,
        )) else {
            outcomes.push(Err(LeaseLost));
            continue;
        };
        outcomes.push(Ok(()));
        story::attempted(transaction, held.place, held.attempts, each).await?;
        ends.note(held, each);
    }
    ends.write(transaction, now).await?;
    Ok(outcomes)
}

/// Locks what the callers hold, by handler, subject and fencing number.
async fn lock<'e>(
    transaction: &Transaction,
    ended: &'e [EndedDelivery],
) -> Result<HashMap<(&'e str, i64, i64), Held>, Failure> {
    let of_handlers = ended
        .iter()
        .filter_map(|ended| Some((ended.lease.handler.as_ref()?.as_str(), &ended.lease)));
    let of_handlers: Vec<(&'e str, &Lease)> = of_handlers.collect();
    if of_handlers.is_empty() {
        return Ok(HashMap::new());
    }
    let names: Vec<String> = of_handlers.iter().map(|(name, _)| text(name)).collect();
    let subjects: Vec<i64> = of_handlers.iter().map(|(_, lease)| lease.key).collect();
    let fences: Vec<i64> = of_handlers.iter().map(|(_, lease)| lease.fence).collect();
    // By its key, each: a planner that knows little of the table would rather read all that is leased.
    let found = transaction
        .rows(
            "SELECT l.place, c.handler, c.subject, c.number, c.attempts
               FROM (SELECT l.place, h.key AS handler, l.subject, l.fence
                       FROM unnest($1, $2, $3) WITH ORDINALITY AS l (name, subject, fence, place)
                       JOIN handlers h ON h.name = l.name
                      ORDER BY h.key, l.subject) l,
            LATERAL (SELECT * FROM cursors c
                      WHERE c.handler = l.handler AND c.subject = l.subject AND c.fence = l.fence
                        AND c.lease_until IS NOT NULL
                        FOR NO KEY UPDATE) c",
            params![; names, subjects, fences],
        )
        .await?;
    let mut held = HashMap::new();
    for row in &found {
        let Some((name, lease)) = of_handlers.get(row.small::<usize>(0)?.wrapping_sub(1)) else {
            continue;
        };
        let head = Held {
            place: (row.at(1)?, row.at(2)?, row.at(3)?),
            attempts: row.at(4)?,
        };
        held.insert((*name, lease.key, lease.fence), head);
    }
    Ok(held)
}

/// What is to be written.
#[derive(Default)]
struct Ends<'e> {
    delivered: Vec<(Held, &'e EndedDelivery)>,
    retried: Vec<(Place, SchedulingTime, &'e str)>,
    dead: Vec<(Held, &'e str, Option<&'e str>)>,
    released: Vec<Place>,
}

impl<'e> Ends<'e> {
    fn note(&mut self, held: Held, ended: &'e EndedDelivery) {
        match &ended.settlement {
            Settlement::Delivered => self.delivered.push((held, ended)),
            Settlement::Retry { at, reason } => self.retried.push((held.place, *at, reason)),
            Settlement::DeadLetter { reason, answer } => self.dead.push((held, reason, answer.as_deref())),
            Settlement::Released => self.released.push(held.place),
        }
    }

    async fn write(self, transaction: &Transaction, now: SchedulingTime) -> Result<(), Failure> {
        let mut over: Vec<Place> = self.delivered.iter().map(|(held, _)| held.place).collect();
        over.extend(self.dead.iter().map(|(held, ..)| held.place));
        tokio::try_join!(
            biased;
            note_delivered(transaction, &self.delivered, now),
            bury(transaction, &self.dead, now),
            take_out(transaction, &over),
        )?;
        torture::point("postgres.outcomes-noted");
        advance(transaction, &over, now).await?;
        retry(transaction, &self.retried, now).await?;
        release(transaction, &self.released).await
    }
}

/// Notes that handlers have events, with the attempts that brought them there.
async fn note_delivered(
    transaction: &Transaction,
    delivered: &[(Held, &EndedDelivery)],
    now: SchedulingTime,
) -> Result<(), Failure> {
    if delivered.is_empty() {
        return Ok(());
    }
    let places: Vec<Place> = delivered.iter().map(|(held, _)| held.place).collect();
    let (handlers, subjects, numbers) = columns(&places);
    let report = |ended: &EndedDelivery| ended.report.clone();
    let reports: Vec<_> = delivered.iter().map(|(_, ended)| report(ended)).collect();
    let fences: Vec<Option<i64>> = delivered
        .iter()
        .zip(&reports)
        .map(|((_, ended), report)| report.as_ref().map(|_| ended.lease.fence))
        .collect();
    let attempts: Vec<i32> = delivered.iter().map(|(held, _)| held.attempts).collect();
    let told_at: Vec<Option<i64>> = reports.iter().map(|report| Some(micros(report.as_ref()?.at))).collect();
    let took: Vec<Option<i64>> = reports
        .iter()
        .map(|report| Some(story::length(report.as_ref()?.took)))
        .collect();
    let workers: Vec<Option<String>> = reports
        .iter()
        .map(|report| Some(text(&report.as_ref()?.worker)))
        .collect();
    transaction
        .execute(
            "INSERT INTO outcomes (handler, subject, number, at, fence, attempt, told_at, took, worker)
             SELECT handler, subject, number, $1, fence, attempt, told_at, took, worker
               FROM unnest($2, $3, $4, $5, $6, $7, $8, $9)
                 AS o (handler, subject, number, fence, attempt, told_at, took, worker)
             ON CONFLICT (subject, number, handler) DO UPDATE
                SET at = excluded.at, kept_back_by = NULL, fence = excluded.fence, attempt = excluded.attempt,
                    told_at = excluded.told_at, took = excluded.took, worker = excluded.worker",
            params![micros(now); handlers, subjects, numbers, fences, attempts, told_at, took, workers],
        )
        .await?;
    Ok(())
}

async fn bury(
    transaction: &Transaction,
    dead: &[(Held, &str, Option<&str>)],
    now: SchedulingTime,
) -> Result<(), Failure> {
    if dead.is_empty() {
        return Ok(());
    }
    let places: Vec<Place> = dead.iter().map(|(held, ..)| held.place).collect();
    let (handlers, subjects, numbers) = columns(&places);
    let attempts: Vec<i32> = dead.iter().map(|(held, ..)| held.attempts).collect();
    let reasons: Vec<String> = dead.iter().map(|(_, reason, _)| text(reason)).collect();
    let answers: Vec<Option<String>> = dead.iter().map(|(.., answer)| answer.map(text)).collect();
    transaction
        .execute(
            "INSERT INTO dead_letters (handler, subject, number, attempts, reason, answer, at)
             SELECT handler, subject, number, attempts, reason, answer, $1
               FROM unnest($2, $3, $4, $5, $6, $7) AS d (handler, subject, number, attempts, reason, answer)
             ON CONFLICT (subject, number, handler) DO UPDATE
                SET attempts = excluded.attempts, reason = excluded.reason, answer = excluded.answer, at = excluded.at",
            params![micros(now); handlers, subjects, numbers, attempts, reasons, answers],
        )
        .await?;
    Ok(())
}

/// The first delivery `d` of a line `o` between two numbers. As a piece of the key's order: of a table that is nearly empty, a
/// planner takes any index for short, and it may be full of what is dead.
fn first_of_line(from: &str, to: &str) -> String {
    format!(
        "LATERAL (SELECT ctid AS place, number FROM deliveries
                   WHERE (subject, handler, number) >= (o.subject, o.handler, {from})
                     AND (subject, handler, number) <= (o.subject, o.handler, {to})
                   ORDER BY subject, handler, number LIMIT 1) d"
    )
}

/// Takes heads out of their lines.
async fn take_out(transaction: &Transaction, over: &[Place]) -> Result<(), Failure> {
    if over.is_empty() {
        return Ok(());
    }
    let (handlers, subjects, numbers) = columns(over);
    transaction
        .execute(
            &format!(
                "DELETE FROM deliveries WHERE ctid = ANY (ARRAY (
                    SELECT d.place FROM unnest($1, $2, $3) AS o (handler, subject, number), {}))",
                first_of_line("o.number", "o.number")
            ),
            params![; handlers, subjects, numbers],
        )
        .await?;
    Ok(())
}

/// The next one of each line whose head was taken out, if there is one, is due at once.
async fn advance(transaction: &Transaction, over: &[Place], now: SchedulingTime) -> Result<(), Failure> {
    if over.is_empty() {
        return Ok(());
    }
    let (handlers, subjects, _) = columns(over);
    transaction
        .execute(
            &format!(
                "UPDATE cursors c
                    SET number = coalesce(n.next, c.number), due_at = CASE WHEN n.next IS NOT NULL THEN $1 END,
                        lease_until = NULL, holder = NULL, attempts = 0, reason = NULL, tried_since = NULL,
                        failed_at = NULL
                   FROM (SELECT o.handler, o.subject, d.number AS next
                           FROM unnest($2, $3) AS o (handler, subject)
                           LEFT JOIN {} ON true) n
                  WHERE c.handler = n.handler AND c.subject = n.subject",
                first_of_line("0", "9223372036854775807")
            ),
            params![micros(now); handlers, subjects],
        )
        .await?;
    Ok(())
}

async fn retry(
    transaction: &Transaction,
    retried: &[(Place, SchedulingTime, &str)],
    now: SchedulingTime,
) -> Result<(), Failure> {
    if retried.is_empty() {
        return Ok(());
    }
    let places: Vec<Place> = retried.iter().map(|(place, ..)| *place).collect();
    let (handlers, subjects, _) = columns(&places);
    let at: Vec<i64> = retried.iter().map(|(_, at, _)| micros(*at)).collect();
    let reasons: Vec<String> = retried.iter().map(|(.., reason)| text(reason)).collect();
    transaction
        .execute(
            "UPDATE cursors c SET due_at = r.at, lease_until = NULL, holder = NULL, reason = r.reason, failed_at = $1
               FROM unnest($2, $3, $4, $5) AS r (handler, subject, at, reason)
              WHERE c.handler = r.handler AND c.subject = r.subject",
            params![micros(now); handlers, subjects, at, reasons],
        )
        .await?;
    Ok(())
}

async fn release(transaction: &Transaction, released: &[Place]) -> Result<(), Failure> {
    if released.is_empty() {
        return Ok(());
    }
    let (handlers, subjects, _) = columns(released);
    transaction
        .execute(
            "UPDATE cursors c
                SET lease_until = NULL, holder = NULL, attempts = c.attempts - 1,
                    tried_since = CASE WHEN c.attempts > 1 THEN c.tried_since END
               FROM unnest($1, $2) AS r (handler, subject)
              WHERE c.handler = r.handler AND c.subject = r.subject",
            params![; handlers, subjects],
        )
        .await?;
    Ok(())
}
