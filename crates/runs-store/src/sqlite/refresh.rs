//! Subjects are claimed, and their refreshes committed or given back.

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{Row, params};
use tallyfy_model::{Announced, OrgId, RunId, TaskId};
use uuid::Uuid;

use super::column::{Column, later, limit};
use super::failure::Failure;
use super::inbox::{known_org, subject_key, want};
use super::outbox::{self, Covered};
use super::sweep;
use super::writer::Transaction;
use crate::torture;
use crate::types::{
    Claim, Claimed, DueRefresh, Lane, Lanes, Lease, MAX_CLAIMED_BODY_BYTES, NotificationHead, PendingNotification,
    PostponeCause, Postponement, Refreshed, Snapshot, Standing, Subject,
};

/// The lanes, the foremost first.
fn lanes(lanes: Lanes) -> &'static [Lane] {
    match lanes {
        Lanes::All => &[Lane::Live, Lane::Retry, Lane::Sweep],
        Lanes::WithoutSweeps => &[Lane::Live, Lane::Retry],
        Lanes::SweepsFirst => &[Lane::Sweep, Lane::Live, Lane::Retry],
    }
}

pub(super) fn claim_due(
    transaction: &Transaction<'_>,
    org: &OrgId,
    from: Lanes,
    claim: Claim,
) -> Result<Claimed<DueRefresh>, Failure> {
    let lanes = lanes(from);
    let Some(key) = known_org(transaction, org)? else {
        return Ok(Claimed {
            work: Vec::new(),
            next_due: None,
        });
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

/// The subjects to hand out: by lane, then the longest due first.
fn claimable(transaction: &Transaction<'_>, org: i64, lanes: &[Lane], claim: Claim) -> Result<Vec<i64>, Failure> {
    let (now, most) = (Column(claim.now), limit(claim.limit));
    let mut found: Vec<(Option<usize>, i64, i64)> = Vec::new();
    let place = |lane: Lane| lanes.iter().position(|other| *other == lane);
    for &lane in lanes {
        found.extend(transaction.rows(
            "SELECT due_at, key FROM subjects INDEXED BY subjects_waiting
              WHERE org = ? AND lane = ? AND due_at <= ? AND lease_until IS NULL
              ORDER BY due_at LIMIT ?",
            params![org, Column(lane), now, most],
            |row| Ok((place(lane), row.get(0)?, row.get(1)?)),
        )?);
    }
    // An attempt whose lease ran out counts as a failed one: see `lease`.
    found.extend(transaction.rows(
        "SELECT min(1, coalesce(next_lane, 1)), lease_until, key FROM subjects INDEXED BY subjects_leased
          WHERE org = ? AND lease_until <= ?
          ORDER BY lease_until LIMIT ?",
        params![org, now, most],
        |row| Ok((place(row.get::<_, Column<Lane>>(0)?.0), row.get(1)?, row.get(2)?)),
    )?);
    found.sort_unstable();
    found.truncate(claim.limit);
    Ok(found.into_iter().map(|(_, _, key)| key).collect())
}

fn lease(transaction: &Transaction<'_>, org: &OrgId, key: i64, claim: Claim) -> Result<Option<DueRefresh>, Failure> {
    let leased = transaction.row(
        "UPDATE subjects
            SET claimed = wanted, fence = fence + 1, lease_until = ?1, next_lane = NULL,
                failures = failures + (lease_until IS NOT NULL),
                lane = iif(lease_until IS NULL, lane, min(1, coalesce(next_lane, 1)))
          WHERE key = ?2
      RETURNING fence, kind, id, lane, failures, stale_reads, standing, events, covered",
        params![Column(later(claim.now, claim.lease)), key],
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
                stale_reads: row.get(5)?,
                standing: row.get::<_, Column<Standing>>(6)?.0,
                snapshot: None,
                listed: None,
                events: row.get(7)?,
                notifications: Vec::new(),
            };
            Ok((due, row.get::<_, i64>(8)?))
        },
    )?;
    let Some((mut due, covered)) = leased else {
        return Ok(None);
    };
    due.snapshot = snapshot(transaction, key)?;
    due.listed = sweep::announced(transaction, key, covered)?;
    due.notifications = pending(transaction, key, covered)?;
    Ok(Some(due))
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

fn next_due(transaction: &Transaction<'_>, org: i64, lanes: &[Lane]) -> Result<Option<Timestamp>, Failure> {
    let mut times = vec![transaction.row(
        "SELECT min(lease_until) FROM subjects INDEXED BY subjects_leased WHERE org = ? AND lease_until IS NOT NULL",
        [org],
        |row| row.get::<_, Option<Column<Timestamp>>>(0),
    )?];
    for &lane in lanes {
        times.push(transaction.row(
            "SELECT min(due_at) FROM subjects INDEXED BY subjects_waiting
              WHERE org = ? AND lane = ? AND due_at IS NOT NULL AND lease_until IS NULL",
            params![org, Column(lane)],
            |row| row.get(0),
        )?);
    }
    Ok(times.into_iter().flatten().flatten().map(|Column(time)| time).min())
}

/// A subject that is leased by the caller.
struct Held {
    org: i64,
    is_run: bool,
    wanted: i64,
    claimed: i64,
    covered: i64,
    events: i64,
}

/// The columns of [`Held`].
const HELD: &str = "SELECT org, kind = 'run', wanted, claimed, covered, events FROM subjects WHERE key = ?";

fn read_held(row: &Row<'_>) -> rusqlite::Result<Held> {
    Ok(Held {
        org: row.get(0)?,
        is_run: row.get(1)?,
        wanted: row.get(2)?,
        claimed: row.get(3)?,
        covered: row.get(4)?,
        events: row.get(5)?,
    })
}

fn held(transaction: &Transaction<'_>, lease: &Lease) -> Result<Held, Failure> {
    if lease.handler.is_some() {
        return Err(Failure::LeaseLost);
    }
    // A deliberate defect: whoever had the lease once may use it.
    #[cfg(feature = "torture")]
    if torture::is_sabotaged("no-fence") {
        return transaction.row(HELD, [lease.key], read_held)?.ok_or(Failure::LeaseLost);
    }
    let sql = format!("{HELD} AND fence = ? AND lease_until IS NOT NULL");
    let held = transaction.row(&sql, [lease.key, lease.fence], read_held)?;
    held.ok_or(Failure::LeaseLost)
}

pub(super) fn commit_refresh(
    transaction: &Transaction<'_>,
    lease: &Lease,
    refreshed: &Refreshed,
    now: Timestamp,
) -> Result<(), Failure> {
    let held = held(transaction, lease)?;
    if let Some(event) = &refreshed.event {
        if !held.is_run {
            return Err(Failure::Refused("a task that has no run has no events"));
        }
        let covered = Covered {
            first: held.covered + 1,
            last: held.claimed,
        };
        outbox::publish(transaction, lease.key, held.events + 1, event, covered, now)?;
    }
    torture::point("commit-refresh.published");
    if let Some(snapshot) = &refreshed.snapshot {
        transaction.execute(
            "INSERT INTO snapshots (subject, fetched_at, body) VALUES (?, ?, ?)
             ON CONFLICT (subject) DO UPDATE SET fetched_at = excluded.fetched_at, body = excluded.body",
            params![lease.key, Column(snapshot.fetched_at), snapshot.body.as_ref()],
        )?;
    }
    if held.is_run {
        sweep::fetched(transaction, held.org, lease.key, refreshed.version.as_ref())?;
    }
    torture::point("commit-refresh.snapshot-written");
    let due_at = (held.wanted > held.claimed).then(|| Column(now.max(refreshed.not_before)));
    transaction.execute(
        "UPDATE subjects
            SET covered = claimed, lease_until = NULL, due_at = ?1, not_before = ?2, standing = ?3, events = ?4,
                lane = coalesce(next_lane, 0), next_lane = NULL, failures = 0, stale_reads = 0, reason = NULL
          WHERE key = ?5",
        params![
            due_at,
            Column(refreshed.not_before),
            Column(refreshed.standing),
            held.events + i64::from(refreshed.event.is_some()),
            lease.key,
        ],
    )?;
    if due_at.is_some() {
        transaction.wake_due();
    }
    Ok(())
}

pub(super) fn postpone(
    transaction: &Transaction<'_>,
    lease: &Lease,
    postponement: &Postponement,
) -> Result<(), Failure> {
    held(transaction, lease)?;
    let (failures, stale_reads) = match postponement.cause {
        PostponeCause::Failed => (1, 0),
        PostponeCause::StaleRead => (0, 1),
        PostponeCause::NotTried => (0, 0),
    };
    // A failure sends it among the retries, unless something better was asked for meanwhile.
    transaction.execute(
        "UPDATE subjects
            SET due_at = ?1, lease_until = NULL, claimed = covered,
                failures = failures + ?2, stale_reads = stale_reads + ?3, reason = ?4,
                lane = iif(?2, min(1, coalesce(next_lane, 1)), min(lane, coalesce(next_lane, lane))),
                next_lane = NULL
          WHERE key = ?5",
        params![
            Column(postponement.until),
            failures,
            stale_reads,
            postponement.reason,
            lease.key
        ],
    )?;
    transaction.wake_due();
    Ok(())
}

pub(super) fn resolve_task(
    transaction: &Transaction<'_>,
    lease: &Lease,
    run: &RunId,
    now: Timestamp,
) -> Result<(), Failure> {
    let held = held(transaction, lease)?;
    if held.is_run {
        return Err(Failure::Refused("a run has no run"));
    }
    let run = subject_key(transaction, held.org, &Subject::Run(run.clone()))?;
    let pending: Vec<i64> = transaction.rows(
        "SELECT seq FROM notifications INDEXED BY notifications_ticket
          WHERE subject = ? AND ticket > ? ORDER BY ticket",
        [lease.key, held.covered],
        |row| row.get(0),
    )?;
    torture::point("resolve-task.begun");
    // Once in any case: a duplicate may have made the task due without leaving a notification of its own.
    if pending.is_empty() {
        want(transaction, run, Lane::Live, now)?;
    }
    for notification in pending {
        let ticket = want(transaction, run, Lane::Live, now)?;
        transaction.execute(
            "UPDATE notifications SET subject = ?, ticket = ? WHERE seq = ?",
            [run, ticket, notification],
        )?;
    }
    transaction.execute(
        "UPDATE subjects
            SET run = ?1, claimed = wanted, covered = wanted, due_at = NULL, lease_until = NULL,
                lane = 0, next_lane = NULL, failures = 0, stale_reads = 0, reason = NULL, standing = 'present'
          WHERE key = ?2",
        [run, lease.key],
    )?;
    Ok(())
}
