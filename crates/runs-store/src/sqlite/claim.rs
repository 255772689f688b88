//! Subjects that are due are handed out.

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::params;
use tallyfy_model::{Announced, OrgId, RunId, TaskId};
use uuid::Uuid;

use super::column::{Column, limit};
use super::failure::Failure;
use super::inbox::known_org;
use super::sweep;
use super::writer::Transaction;
use crate::desks::{
    Claim, Claimed, DueRefresh, InTurn, Lane, Lanes, Lease, MAX_CLAIMED_BODY_BYTES, NotificationHead,
    PendingNotification, Snapshot, Standing, Subject, Waiting, in_turn, lanes, lines,
};
use crate::time::SchedulingTime;

pub(super) fn claim_due(
    transaction: &Transaction<'_>,
    org: &OrgId,
    from: Lanes,
    claim: Claim,
) -> Result<Claimed<DueRefresh>, Failure> {
    let lanes = lanes(from);
    let Some(key) = known_org(transaction, org)? else {
        return Ok(nothing(None));
    };
    let mut work = Vec::new();
    for subject in claimable(transaction, key, lanes, claim)? {
        if let Some(due) = lease(transaction, org, subject, claim)? {
            work.push(due);
        }
    }
    let next_due = next_due(transaction, key, lanes)?;
    Ok(Claimed { work, next_due })
}

/// When something is due next. Reads only.
pub(super) fn look(view: &Transaction<'_>, org: &OrgId, from: Lanes) -> Result<Option<SchedulingTime>, Failure> {
    match known_org(view, org)? {
        Some(key) => next_due(view, key, lanes(from)),
        None => Ok(None),
    }
}

pub(super) fn nothing(next_due: Option<SchedulingTime>) -> Claimed<DueRefresh> {
    Claimed {
        work: Vec::new(),
        next_due,
    }
}

/// The subjects to hand out, in their order.
fn claimable(transaction: &Transaction<'_>, org: i64, lanes: &[Lane], claim: Claim) -> Result<Vec<i64>, Failure> {
    let turn: bool = transaction
        .row("SELECT turn FROM orgs WHERE key = ?", [org], |row| row.get(0))?
        .unwrap_or_default();
    let InTurn { keys, next_turn } = in_turn(due(transaction, org, lanes, claim)?, turn, claim.limit);
    if let Some(next) = next_turn {
        transaction.execute("UPDATE orgs SET turn = ? WHERE key = ?", params![next, org])?;
    }
    Ok(keys)
}

/// What is due: of each line so much as may be handed out.
fn due(transaction: &Transaction<'_>, org: i64, lanes: &[Lane], claim: Claim) -> Result<Vec<Waiting>, Failure> {
    let (now, most) = (Column(claim.now), limit(claim.limit));
    let mut found = Vec::new();
    let place = |lane: Lane| lanes.iter().position(|other| *other == lane);
    for (lane, is_known) in lines(lanes) {
        found.extend(transaction.rows(
            "SELECT due_at, key FROM subjects INDEXED BY subjects_waiting
              WHERE org = ? AND lane = ? AND (standing = 'present') = ? AND due_at <= ? AND lease_until IS NULL
              ORDER BY due_at LIMIT ?",
            params![org, Column(lane), is_known, now, most],
            |row| {
                Ok(Waiting {
                    is_known,
                    lane: place(lane),
                    since: row.get(0)?,
                    key: row.get(1)?,
                })
            },
        )?);
    }
    // An attempt whose lease ran out counts as a failed one: see `lease`.
    for is_known in [true, false] {
        found.extend(transaction.rows(
            "SELECT min(1, coalesce(next_lane, 1)), lease_until, key FROM subjects INDEXED BY subjects_leased
              WHERE org = ? AND lease_until <= ? AND (standing = 'present') = ?
              ORDER BY lease_until LIMIT ?",
            params![org, now, is_known, most],
            |row| {
                Ok(Waiting {
                    is_known,
                    lane: place(row.get::<_, Column<Lane>>(0)?.0),
                    since: row.get(1)?,
                    key: row.get(2)?,
                })
            },
        )?);
    }
    Ok(found)
}

fn lease(transaction: &Transaction<'_>, org: &OrgId, key: i64, claim: Claim) -> Result<Option<DueRefresh>, Failure> {
    let leased = transaction.row(
        "UPDATE subjects
            SET claimed = wanted, fence = fence + 1, lease_until = ?1, next_lane = NULL, looking = 0,
                failures = failures + (lease_until IS NOT NULL),
                lane = iif(lease_until IS NULL, lane, min(1, coalesce(next_lane, 1)))
          WHERE key = ?2
      RETURNING fence, kind, id, lane, failures, memory, standing, events, covered, wanted - covered",
        params![Column(claim.now.after(claim.lease)), key],
        |row| {
            let id: String = row.get(2)?;
            let due = DueRefresh {
                lease: Lease {
                    key,
                    handler: None,
                    fence: row.get(0)?,
                },
                org: org.clone(),
                subject: match row.get_ref(1)?.as_str()? {
                    "task" => Subject::Task(TaskId::new(id)),
                    _ => Subject::Run(RunId::new(id)),
                },
                lane: row.get::<_, Column<Lane>>(3)?.0,
                failures: row.get(4)?,
                memory: row.get(5)?,
                watched_since: None,
                recorded: None,
                standing: row.get::<_, Column<Standing>>(6)?.0,
                snapshot: None,
                listed: None,
                events: row.get(7)?,
                notifications: Vec::new(),
                asked: row.get(9)?,
            };
            Ok((due, row.get::<_, i64>(8)?))
        },
    )?;
    let Some((mut due, covered)) = leased else {
        return Ok(None);
    };
    due.snapshot = snapshot(transaction, key)?;
    due.watched_since = watched_since(transaction, org)?;
    due.recorded = sweep::recorded(transaction, key)?;
    due.listed = sweep::announced(transaction, key, covered)?;
    due.notifications = pending(transaction, key, covered)?;
    Ok(Some(due))
}

fn watched_since(transaction: &Transaction<'_>, org: &OrgId) -> Result<Option<Timestamp>, Failure> {
    let since = transaction.row("SELECT watched_since FROM orgs WHERE name = ?", [org.as_str()], |row| {
        row.get::<_, Option<Column<Timestamp>>>(0)
    })?;
    Ok(since.flatten().map(|Column(since)| since))
}

fn snapshot(transaction: &Transaction<'_>, subject: i64) -> Result<Option<Snapshot>, Failure> {
    transaction.row(
        "SELECT body, fetched_at FROM snapshots WHERE subject = ?",
        [subject],
        |row| {
            Ok(Snapshot {
                body: Bytes::from(row.get::<_, Vec<u8>>(0)?),
                fetched_at: row.get::<_, Column<Timestamp>>(1)?.0,
            })
        },
    )
}

/// What a commit would cover, the oldest first.
fn pending(transaction: &Transaction<'_>, subject: i64, covered: i64) -> Result<Vec<PendingNotification>, Failure> {
    let mut pending = transaction.rows(
        "SELECT seq, id, kind, event, run, task, announced, received_at, duplicates, length(body)
           FROM notifications INDEXED BY notifications_ticket
          WHERE subject = ? AND ticket > ?
          ORDER BY ticket",
        [subject, covered],
        |row| {
            let notification = PendingNotification {
                id: row.get::<_, Column<Uuid>>(1)?.0,
                head: NotificationHead {
                    kind: row.get(2)?,
                    event: row.get(3)?,
                    run: row.get::<_, Option<String>>(4)?.map(RunId::new),
                    task: row.get::<_, Option<String>>(5)?.map(TaskId::new),
                    announced: row.get::<_, Column<Announced>>(6)?.0,
                },
                received_at: row.get::<_, Column<Timestamp>>(7)?.0,
                duplicates: row.get(8)?,
                body_len: row.get(9)?,
                body: None,
            };
            Ok((row.get::<_, i64>(0)?, notification))
        },
    )?;
    let mut room = MAX_CLAIMED_BODY_BYTES;
    for (seq, notification) in pending.iter_mut().rev() {
        let Some(left) = room.checked_sub(notification.body_len) else {
            break;
        };
        room = left;
        notification.body = transaction.row("SELECT body FROM notifications WHERE seq = ?", [*seq], |row| {
            Ok(Bytes::from(row.get::<_, Vec<u8>>(0)?))
        })?;
    }
    Ok(pending.into_iter().map(|(_, notification)| notification).collect())
}

fn next_due(transaction: &Transaction<'_>, org: i64, lanes: &[Lane]) -> Result<Option<SchedulingTime>, Failure> {
    let mut times = vec![transaction.row(
        "SELECT min(lease_until) FROM subjects INDEXED BY subjects_leased WHERE org = ? AND lease_until IS NOT NULL",
        [org],
        |row| row.get::<_, Option<Column<SchedulingTime>>>(0),
    )?];
    for (lane, is_known) in lines(lanes) {
        times.push(transaction.row(
            "SELECT min(due_at) FROM subjects INDEXED BY subjects_waiting
              WHERE org = ? AND lane = ? AND (standing = 'present') = ? AND due_at IS NOT NULL AND lease_until IS NULL",
            params![org, Column(lane), is_known],
            |row| row.get(0),
        )?);
    }
    Ok(times.into_iter().flatten().flatten().map(|Column(time)| time).min())
}
