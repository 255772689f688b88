//! Events go out, one at a time for each handler and run.

use std::collections::BTreeMap;

use bytes::Bytes;
use tallyfy_model::{OrgId, RunId};

use super::column::{Columns as _, limit, micros};
use super::failure::Failure;
use super::fronts::{ALL, Fronts, Line, SOME, hides_more, next_in};
use super::params::{params, text};
use super::session::Transaction;
use crate::desks::{Claim, Claimed, Delivery, HandlerName, Lease, MAX_CLAIMED_EVENT_BYTES, NewEvent};
use crate::time::SchedulingTime;
use crate::torture;

/// The tickets that the fetch behind an event covered.
#[derive(Clone, Copy)]
pub(super) struct Covered {
    pub(super) first: i64,
    pub(super) last: i64,
}

/// An event, and its place.
pub(super) struct Published<'e> {
    pub(super) subject: i64,
    pub(super) number: i64,
    pub(super) covered: Covered,
    pub(super) event: &'e NewEvent,
}

/// Puts events in line for the handlers that are to get them.
pub(super) async fn publish(
    transaction: &Transaction,
    events: &[Published<'_>],
    now: SchedulingTime,
) -> Result<(), Failure> {
    if events.is_empty() {
        return Ok(());
    }
    let ((), handlers) = tokio::try_join!(biased; insert(transaction, events), active_handlers(transaction))?;
    let (mut waiting, mut kept_back) = (Vec::new(), Vec::new());
    for (handler, name) in handlers {
        for Published {
            subject, number, event, ..
        } in events
        {
            match event.recipients.kept_back_from(&name) {
                None => waiting.push((handler, *subject, *number)),
                Some(key) => kept_back.push(((handler, *subject, *number), Some(text(key)))),
            }
        }
    }
    tokio::try_join!(
        biased;
        put_in_line(transaction, &waiting, now),
        begin_lines(transaction, &waiting, now),
        note_outcomes(transaction, kept_back, now),
    )?;
    transaction.wake_deliverable();
    Ok(())
}

async fn insert(transaction: &Transaction, events: &[Published<'_>]) -> Result<(), Failure> {
    let ids = events.iter().map(|new| new.event.id).collect();
    let subjects = events.iter().map(|new| new.subject).collect();
    let numbers = events.iter().map(|new| new.number).collect();
    let types = events.iter().map(|new| text(&new.event.event_type)).collect();
    let made = events.iter().map(|new| micros(new.event.created_at)).collect();
    let first = events.iter().map(|new| new.covered.first).collect();
    let last = events.iter().map(|new| new.covered.last).collect();
    let bodies = events.iter().map(|new| new.event.body.as_ref()).collect();
    transaction
        .execute(
            "INSERT INTO events (id, subject, number, type, created_at, first_ticket, last_ticket, body)
             SELECT id, subject, number, type, created_at, first_ticket, last_ticket, body
               FROM unnest($1, $2, $3, $4, $5, $6, $7, $8) WITH ORDINALITY
                 AS e (id, subject, number, type, created_at, first_ticket, last_ticket, body, place)
              ORDER BY place",
            params![; ids, subjects, numbers, types, made, first, last, bodies],
        )
        .await?;
    Ok(())
}

async fn active_handlers(transaction: &Transaction) -> Result<Vec<(i64, String)>, Failure> {
    let found = transaction
        .rows("SELECT key, name FROM handlers WHERE active ORDER BY key", &[])
        .await?;
    found.iter().map(|row| Ok((row.at(0)?, row.at(1)?))).collect()
}

/// A delivery: handler, subject and number.
pub(super) type Place = (i64, i64, i64);

/// Places as arrays.
pub(super) fn columns(places: &[Place]) -> (Vec<i64>, Vec<i64>, Vec<i64>) {
    let handlers = places.iter().map(|place| place.0).collect();
    let subjects = places.iter().map(|place| place.1).collect();
    let numbers = places.iter().map(|place| place.2).collect();
    (handlers, subjects, numbers)
}

/// Notes that events were kept back from handlers by a key of a filter.
async fn note_outcomes(
    transaction: &Transaction,
    ended: Vec<(Place, Option<String>)>,
    now: SchedulingTime,
) -> Result<(), Failure> {
    if ended.is_empty() {
        return Ok(());
    }
    let (places, keys): (Vec<Place>, Vec<Option<String>>) = ended.into_iter().unzip();
    let (handlers, subjects, numbers) = columns(&places);
    transaction
        .execute(
            "INSERT INTO outcomes (handler, subject, number, at, kept_back_by)
             SELECT handler, subject, number, $1, key FROM unnest($2, $3, $4, $5) AS o (handler, subject, number, key)
             ON CONFLICT (subject, number, handler)
             DO UPDATE SET at = excluded.at, kept_back_by = excluded.kept_back_by",
            params![micros(now); handlers, subjects, numbers, keys],
        )
        .await?;
    Ok(())
}

async fn put_in_line(transaction: &Transaction, waiting: &[Place], now: SchedulingTime) -> Result<(), Failure> {
    if waiting.is_empty() {
        return Ok(());
    }
    let (handlers, subjects, numbers) = columns(waiting);
    transaction
        .execute(
            "INSERT INTO deliveries (handler, subject, number, since)
             SELECT handler, subject, number, $1 FROM unnest($2, $3, $4) AS d (handler, subject, number)",
            params![micros(now); handlers, subjects, numbers],
        )
        .await?;
    Ok(())
}

/// Makes the first of these the head of each line that has none.
async fn begin_lines(transaction: &Transaction, waiting: &[Place], now: SchedulingTime) -> Result<(), Failure> {
    if waiting.is_empty() {
        return Ok(());
    }
    let mut heads: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    for (handler, subject, number) in waiting {
        heads.entry((*handler, *subject)).or_insert(*number);
    }
    let heads: Vec<Place> = heads
        .into_iter()
        .map(|((handler, subject), number)| (handler, subject, number))
        .collect();
    let (handlers, subjects, numbers) = columns(&heads);
    // Where the line has a head already, this event waits behind it.
    transaction
        .execute(
            "INSERT INTO cursors (handler, subject, number, due_at)
             SELECT handler, subject, number, $1
               FROM unnest($2, $3, $4) WITH ORDINALITY AS c (handler, subject, number, place) ORDER BY place
             ON CONFLICT (handler, subject)
             DO UPDATE SET number = excluded.number, due_at = excluded.due_at, attempts = 0 WHERE cursors.due_at IS NULL",
            params![micros(now); handlers, subjects, numbers],
        )
        .await?;
    Ok(())
}

pub(super) async fn set_handlers(
    transaction: &Transaction,
    handlers: &[HandlerName],
    now: SchedulingTime,
) -> Result<(), Failure> {
    let names: Vec<String> = handlers.iter().map(|handler| text(handler.as_str())).collect();
    transaction
        .execute(
            "UPDATE handlers SET active = name = ANY ($2), since = $1 WHERE active <> (name = ANY ($2))",
            params![micros(now); names],
        )
        .await?;
    transaction
        .execute(
            "INSERT INTO handlers (name, active, since) SELECT DISTINCT name, true, $1 FROM unnest($2) AS h (name)
              ORDER BY name ON CONFLICT (name) DO NOTHING",
            params![micros(now); names],
        )
        .await?;
    transaction.wake_deliverable();
    Ok(())
}

pub(super) async fn set_paused(
    transaction: &Transaction,
    handler: &HandlerName,
    paused: bool,
) -> Result<bool, Failure> {
    let pause = "UPDATE handlers SET paused = $1 WHERE name = $2";
    let changed = transaction
        .execute(pause, params![paused, text(handler.as_str())])
        .await?;
    transaction.wake_deliverable();
    Ok(changed > 0)
}

pub(super) async fn claim_deliveries(
    transaction: &Transaction,
    fronts: &Fronts,
    handler: &HandlerName,
    claim: Claim,
    holder: Option<i64>,
) -> Result<Claimed<Delivery>, Failure> {
    let Some(key) = active(transaction, handler).await? else {
        return Ok(nothing(None));
    };
    if claim.in_flight.is_some() {
        // Where nothing is due, nothing is locked.
        let next_due = next_due(transaction, fronts, key).await?;
        if next_due.is_none_or(|due| due > claim.now) {
            return Ok(nothing(next_due));
        }
    }
    let room = room(transaction, fronts, key, claim).await?;
    let heads = claimable(transaction, fronts, key, Claim { limit: room, ..claim }).await?;
    let work = lease(transaction, handler, key, heads, claim, holder).await?;
    torture::point("postgres.deliveries-leased");
    let next_due = if room < claim.limit && work.len() == room {
        in_flight(transaction, fronts, key, claim.now).await?.1
    } else {
        next_due(transaction, fronts, key).await?
    };
    Ok(Claimed { work, next_due })
}

/// How many deliveries may be handed out. Where other workers count, one counts after the other.
async fn room(transaction: &Transaction, fronts: &Fronts, handler: i64, claim: Claim) -> Result<usize, Failure> {
    let Some(most) = claim.in_flight else {
        return Ok(claim.limit);
    };
    let lock = "SELECT key FROM handlers WHERE key = $1 FOR NO KEY UPDATE";
    transaction.row(lock, params![handler]).await?;
    let (leased, _) = in_flight(transaction, fronts, handler, claim.now).await?;
    Ok(most.get().saturating_sub(leased).min(claim.limit))
}

/// How many deliveries of a handler are leased, and when the first of those leases ends.
async fn in_flight(
    view: &Transaction,
    fronts: &Fronts,
    handler: i64,
    now: SchedulingTime,
) -> Result<(usize, Option<SchedulingTime>), Failure> {
    let leased = view
        .row(
            "SELECT count(*), min(lease_until) FROM cursors
              WHERE handler = $1 AND due_at >= $3 AND lease_until > $2",
            params![handler, micros(now), fronts.of_one(Line::Deliveries { handler })],
        )
        .await?;
    leased.map_or(Ok((0, None)), |row| Ok((row.small(0)?, row.due_if_any(1)?)))
}

fn nothing(next_due: Option<SchedulingTime>) -> Claimed<Delivery> {
    Claimed {
        work: Vec::new(),
        next_due,
    }
}

/// The key of a handler whose events may be claimed.
async fn active(view: &Transaction, handler: &HandlerName) -> Result<Option<i64>, Failure> {
    let find = "SELECT key FROM handlers WHERE name = $1 AND active AND NOT paused";
    let found = view.row(find, params![text(handler.as_str())]).await?;
    found.map(|row| row.at(0)).transpose()
}

/// The runs whose heads are to be handed out, the longest due first, locked; those that another worker has locked are
/// passed over. Of the bodies there is a bounded number of bytes.
async fn claimable(
    transaction: &Transaction,
    fronts: &Fronts,
    handler: i64,
    claim: Claim,
) -> Result<Vec<i64>, Failure> {
    let found = transaction
        .rows(
            "SELECT h.subject, coalesce(octet_length(e.body), 0)::bigint
               FROM (SELECT subject, number, due_at FROM cursors
                      WHERE handler = $1 AND due_at >= $4 AND due_at <= $2
                        AND (lease_until IS NULL OR lease_until <= $2)
                      ORDER BY due_at, subject LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED) h
               LEFT JOIN events e ON e.subject = h.subject AND e.number = h.number
              ORDER BY h.due_at, h.subject",
            params![
                handler,
                micros(claim.now),
                limit(claim.limit),
                fronts.of_one(Line::Deliveries { handler })
            ],
        )
        .await?;
    let mut subjects = Vec::with_capacity(found.len());
    let mut bytes = 0;
    for row in &found {
        if bytes >= MAX_CLAIMED_EVENT_BYTES {
            break;
        }
        subjects.push(row.at(0)?);
        bytes += row.small::<usize>(1)?;
    }
    Ok(subjects)
}

async fn lease(
    transaction: &Transaction,
    handler: &HandlerName,
    key: i64,
    heads: Vec<i64>,
    claim: Claim,
    holder: Option<i64>,
) -> Result<Vec<Delivery>, Failure> {
    if heads.is_empty() {
        return Ok(Vec::new());
    }
    let until = micros(claim.now.after(claim.lease));
    let leased = transaction
        .rows(
            "WITH leased AS (
                UPDATE cursors
                   SET fence = fence + 1, attempts = attempts + 1, lease_until = $1, holder = $2,
                       tried_since = coalesce(tried_since, $3)
                 WHERE ctid = ANY (ARRAY (
                       SELECT c.place FROM unnest($5) AS h (subject),
                      LATERAL (SELECT ctid AS place FROM cursors
                                WHERE handler = $4 AND subject = h.subject LIMIT 1) c))
             RETURNING subject, number, fence, attempts, tried_since)
             SELECT l.subject, l.fence, l.attempts, l.tried_since, e.id, e.type, o.name, s.id, e.number, e.created_at, e.body
               FROM leased l
               JOIN events e ON e.subject = l.subject AND e.number = l.number
               JOIN subjects s ON s.key = l.subject
               JOIN orgs o ON o.key = s.org",
            params![until, holder, micros(claim.now), key; heads],
        )
        .await?;
    let mut work = Vec::with_capacity(leased.len());
    for row in &leased {
        work.push(Delivery {
            lease: Lease {
                key: row.at(0)?,
                handler: Some(handler.clone()),
                fence: row.at(1)?,
            },
            handler: handler.clone(),
            attempt: row.attempts(2)?,
            tried_since: row.due(3)?,
            event_id: row.at(4)?,
            event_type: row.at(5)?,
            org: OrgId::new(row.at::<String>(6)?),
            run: RunId::new(row.at::<String>(7)?),
            number: row.count(8)?,
            created_at: row.time(9)?,
            body: Bytes::from(row.at::<Vec<u8>>(10)?),
        });
    }
    work.sort_by_key(|delivery| heads.iter().position(|head| *head == delivery.lease.key));
    Ok(work)
}

/// When something is due next: the first that waits, or the first lease that ends.
async fn next_due(view: &Transaction, fronts: &Fronts, handler: i64) -> Result<Option<SchedulingTime>, Failure> {
    let look = fronts.look(vec![Line::Deliveries { handler }]);
    let sql = next_in(
        "unnest($3) WITH ORDINALITY AS line (since, place)",
        "cursors WHERE handler = $1",
    );
    let mut found = view.rows(&sql, params![handler, SOME; look.from]).await?;
    if hides_more(&found, SOME)? {
        found = view.rows(&sql, params![handler, ALL; look.from]).await?;
    }
    fronts.end(view, &look, &found).await
}
