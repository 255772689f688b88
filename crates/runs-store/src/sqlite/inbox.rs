//! Notifications come in, and make subjects due.

use jiff::Timestamp;
use rusqlite::params;
use tallyfy_model::OrgId;
use uuid::Uuid;

use super::column::{Column, later};
use super::failure::Failure;
use super::takeover::LONGEST_PAUSE;
use super::writer::Transaction;
use crate::torture;
use crate::types::{Appended, Lane, NewNotification, Subject};

pub(super) fn append(
    transaction: &Transaction<'_>,
    notification: &NewNotification,
    now: Timestamp,
) -> Result<Appended, Failure> {
    let id = notification.id;
    let known = transaction.row("SELECT 1 FROM notifications WHERE id = ?", [Column(id)], |_| Ok(()))?;
    if known.is_some() {
        // Not another announcement, but the same one appended again, by somebody who could not know how it ended.
        return Ok(Appended::Duplicate {
            of: id,
            due_again: false,
        });
    }
    let org = org_key(transaction, &notification.org)?;
    if let Some(key) = &notification.dedupe_key
        && let Some(twin) = find_twin(transaction, org, key)?
    {
        if twin.place.is_some() || notification.subject.is_none() {
            return note_duplicate(transaction, &twin, now);
        }
        // The twin could not be read and nothing was fetched for it, but this one can: it takes the key over.
        transaction.execute("UPDATE notifications SET dedupe_key = NULL WHERE seq = ?", [twin.seq])?;
    }
    let place = match &notification.subject {
        Some(subject) => {
            let subject = subject_key(transaction, org, subject)?;
            Some((subject, want(transaction, subject, Lane::Live, now)?))
        }
        None => None,
    };
    torture::point("inbox.wanted");
    let head = &notification.head;
    transaction.execute(
        "INSERT INTO notifications
            (id, org, subject, ticket, kind, event, run, task, announced, dedupe_key, received_at, body)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            Column(id),
            org,
            place.map(|(subject, _)| subject),
            place.map(|(_, ticket)| ticket),
            head.kind,
            head.event,
            head.run.as_ref().map(tallyfy_model::RunId::as_str),
            head.task.as_ref().map(tallyfy_model::TaskId::as_str),
            Column(&head.announced),
            notification.dedupe_key,
            Column(notification.received_at),
            notification.body.as_ref(),
        ],
    )?;
    Ok(match place {
        Some(_) => Appended::Stored,
        None => Appended::Unrecognized,
    })
}

/// Files a notification that was kept because nobody could read it, as it would be filed now. Whether it was there.
pub(super) fn recognize(
    transaction: &Transaction<'_>,
    read: &NewNotification,
    now: Timestamp,
) -> Result<bool, Failure> {
    let Some(subject) = &read.subject else { return Ok(false) };
    let seq = transaction.row(
        "SELECT seq FROM notifications WHERE id = ? AND subject IS NULL",
        [Column(read.id)],
        |row| row.get::<_, i64>(0),
    )?;
    let Some(seq) = seq else { return Ok(false) };
    let org = org_key(transaction, &read.org)?;
    let subject = subject_key(transaction, org, subject)?;
    let ticket = want(transaction, subject, Lane::Live, now)?;
    let twin = match &read.dedupe_key {
        Some(key) => find_twin(transaction, org, key)?.filter(|twin| twin.seq != seq),
        None => None,
    };
    let head = &read.head;
    transaction.execute(
        "UPDATE notifications
            SET subject = ?, ticket = ?, kind = ?, event = ?, run = ?, task = ?, announced = ?, dedupe_key = ?
          WHERE seq = ?",
        params![
            subject,
            ticket,
            head.kind,
            head.event,
            head.run.as_ref().map(tallyfy_model::RunId::as_str),
            head.task.as_ref().map(tallyfy_model::TaskId::as_str),
            Column(&head.announced),
            read.dedupe_key.as_ref().filter(|_| twin.is_none()),
            seq,
        ],
    )?;
    transaction.execute("UPDATE counters SET value = value - 1 WHERE name = 'unrecognized'", [])?;
    Ok(true)
}

struct Twin {
    seq: i64,
    id: Uuid,
    /// The subject and the ticket that it has there.
    place: Option<(i64, i64)>,
}

fn find_twin(transaction: &Transaction<'_>, org: i64, key: &str) -> Result<Option<Twin>, Failure> {
    transaction.row(
        "SELECT seq, id, subject, ticket FROM notifications INDEXED BY notifications_twin
          WHERE org = ? AND dedupe_key = ?",
        params![org, key],
        |row| {
            Ok(Twin {
                seq: row.get(0)?,
                id: row.get::<_, Column<Uuid>>(1)?.0,
                place: row.get::<_, Option<i64>>(2)?.zip(row.get(3)?),
            })
        },
    )
}

fn note_duplicate(transaction: &Transaction<'_>, twin: &Twin, now: Timestamp) -> Result<Appended, Failure> {
    transaction.execute(
        "UPDATE notifications SET duplicates = duplicates + 1 WHERE seq = ?",
        [twin.seq],
    )?;
    let mut due_again = false;
    if let Some((subject, ticket)) = twin.place {
        let state = transaction.row("SELECT claimed, run FROM subjects WHERE key = ?", [subject], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?))
        })?;
        let again = match state {
            // It ended with the task, before the task's run was known.
            Some((_, Some(run))) => Some(run),
            Some((claimed, None)) => (ticket <= claimed).then_some(subject),
            None => None,
        };
        if let Some(subject) = again {
            want(transaction, subject, Lane::Live, now)?;
            due_again = true;
        }
    }
    Ok(Appended::Duplicate { of: twin.id, due_again })
}

pub(super) fn request_refresh(
    transaction: &Transaction<'_>,
    org: &OrgId,
    subject: &Subject,
    lane: Lane,
    now: Timestamp,
) -> Result<(), Failure> {
    let org = org_key(transaction, org)?;
    let subject = subject_key(transaction, org, subject)?;
    want(transaction, subject, lane, now)?;
    if lane == Lane::Live {
        transaction.execute(
            "UPDATE subjects SET due_at = min(due_at, max(?1, iif(not_before > ?2, 0, not_before)))
              WHERE key = ?3 AND lease_until IS NULL",
            params![Column(now), Column(later(now, LONGEST_PAUSE)), subject],
        )?;
    }
    Ok(())
}

/// Takes a subject's next ticket and makes it due.
///
/// What waits already goes on waiting until the same time, in the foremost of the lanes that were asked for: neither
/// may a notification cut short a postponement, nor lose the place of those before it. What is leased becomes due when
/// the lease ends.
pub(super) fn want(transaction: &Transaction<'_>, subject: i64, lane: Lane, now: Timestamp) -> Result<i64, Failure> {
    transaction.wake_due();
    // A `not_before` that is absurdly far away was set by a clock that has been set back since.
    let ticket = transaction.row(
        "UPDATE subjects
            SET wanted = wanted + 1,
                due_at = coalesce(due_at, max(?1, iif(not_before > ?2, 0, not_before))),
                lane = CASE WHEN due_at IS NULL THEN ?3 WHEN lease_until IS NULL THEN min(lane, ?3) ELSE lane END,
                next_lane = CASE WHEN lease_until IS NOT NULL THEN min(coalesce(next_lane, ?3), ?3) END
          WHERE key = ?4
      RETURNING wanted",
        params![Column(now), Column(later(now, LONGEST_PAUSE)), Column(lane), subject],
        |row| row.get(0),
    )?;
    ticket.ok_or(Failure::Refused("there is no such subject"))
}

/// The key of an organization, which is entered if it is new.
pub(super) fn org_key(transaction: &Transaction<'_>, org: &OrgId) -> Result<i64, Failure> {
    if let Some(key) = known_org(transaction, org)? {
        return Ok(key);
    }
    transaction.execute("INSERT INTO orgs (name) VALUES (?)", [org.as_str()])?;
    Ok(transaction.inserted())
}

pub(super) fn known_org(transaction: &Transaction<'_>, org: &OrgId) -> Result<Option<i64>, Failure> {
    transaction.row("SELECT key FROM orgs WHERE name = ?", [org.as_str()], |row| row.get(0))
}

/// The key of a subject, which is entered if it is new; that of the run for a task whose run is known.
pub(super) fn subject_key(transaction: &Transaction<'_>, org: i64, subject: &Subject) -> Result<i64, Failure> {
    let (kind, id) = match subject {
        Subject::Run(run) => ("run", run.as_str()),
        Subject::Task(task) => ("task", task.as_str()),
    };
    let known = transaction.row(
        "SELECT coalesce(run, key) FROM subjects WHERE org = ? AND kind = ? AND id = ?",
        params![org, kind, id],
        |row| row.get(0),
    )?;
    if let Some(key) = known {
        return Ok(key);
    }
    transaction.execute(
        "INSERT INTO subjects (org, kind, id) VALUES (?, ?, ?)",
        params![org, kind, id],
    )?;
    Ok(transaction.inserted())
}
