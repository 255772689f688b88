//! Subjects that are due are handed out.
//!
//! What is leased keeps its place in the index, and a claim passes over it: there is never more of it than is being worked
//! on. So the row of a subject that is claimed changes nothing that is indexed.

use std::collections::HashMap;

use bytes::Bytes;
use jiff::Timestamp;
use tallyfy_model::{OrgId, RunId, TaskId};
use tokio_postgres::Row;

use super::column::{self, Columns as _, limit, micros};
use super::failure::Failure;
use super::fronts::{ALL, Fronts, Line, SOME, hides_more, next_in};
use super::params::{params, text};
use super::session::Transaction;
use super::subjects::known_org;
use crate::desks::{
    ABSENT, Claim, Claimed, DueRefresh, InTurn, Lane, Lanes, Lease, MAX_CLAIMED_BODY_BYTES, NotificationHead,
    PendingNotification, Recorded, Snapshot, Subject, Waiting, in_turn, lanes, lines,
};
use crate::time::SchedulingTime;
use crate::torture;

/// What is to be known of an organization to claim for it.
pub(super) struct Organization<'o> {
    pub(super) key: i64,
    name: &'o OrgId,
    /// Whose turn it is, of known runs and others.
    turn: bool,
    watched_since: Option<Timestamp>,
}

impl<'o> Organization<'o> {
    pub(super) async fn read(view: &Transaction, name: &'o OrgId) -> Result<Option<Self>, Failure> {
        let find = "SELECT key, turn, watched_since FROM orgs WHERE name = $1";
        let found = view.row(find, params![text(name.as_str())]).await?;
        let organization = found.map(|row| {
            Ok(Self {
                key: row.at(0)?,
                name,
                turn: row.at(1)?,
                watched_since: row.time_if_any(2)?,
            })
        });
        organization.transpose()
    }
}

pub(super) async fn claim_due(
    transaction: &Transaction,
    fronts: &Fronts,
    org: &Organization<'_>,
    from: Lanes,
    claim: Claim,
    holder: Option<i64>,
) -> Result<Claimed<DueRefresh>, Failure> {
    let lanes = lanes(from);
    let keys = claimable(transaction, fronts, org, lanes, claim).await?;
    let mut work = lease(transaction, org.name, &keys, claim, holder).await?;
    torture::point("postgres.runs-leased");
    // Sent without waiting for each other.
    let ((), next_due) = tokio::try_join!(
        biased;
        fill(transaction, org, &mut work),
        next_due(transaction, fronts, org.key, lanes)
    )?;
    let work = work.into_iter().map(|(due, _)| due).collect();
    Ok(Claimed { work, next_due })
}

/// When something is due next. Reads only.
pub(super) async fn look(
    view: &Transaction,
    fronts: &Fronts,
    org: &OrgId,
    from: Lanes,
) -> Result<Option<SchedulingTime>, Failure> {
    match known_org(view, org).await? {
        Some(key) => next(view, fronts, key, from).await,
        None => Ok(None),
    }
}

/// The same for an organization by its key.
pub(super) async fn next(
    view: &Transaction,
    fronts: &Fronts,
    org: i64,
    from: Lanes,
) -> Result<Option<SchedulingTime>, Failure> {
    next_due(view, fronts, org, lanes(from)).await
}

pub(super) fn nothing(next_due: Option<SchedulingTime>) -> Claimed<DueRefresh> {
    Claimed {
        work: Vec::new(),
        next_due,
    }
}

/// Lines as arrays.
fn columns(lanes: &[Lane]) -> (Vec<i16>, Vec<bool>) {
    lines(lanes)
        .map(|(lane, is_known)| (column::lane(lane), is_known))
        .unzip()
}

fn in_lines(org: i64, lanes: &[Lane]) -> Vec<Line> {
    let in_line = |(lane, is_known)| Line::Runs {
        org,
        lane: column::lane(lane),
        is_known,
    };
    lines(lanes).map(in_line).collect()
}

/// The subjects to hand out, in their order. Others may take them before they are locked.
async fn claimable(
    transaction: &Transaction,
    fronts: &Fronts,
    org: &Organization<'_>,
    lanes: &[Lane],
    claim: Claim,
) -> Result<Vec<i64>, Failure> {
    let (of_lane, known) = columns(lanes);
    let from = fronts.of(in_lines(org.key, lanes));
    // An attempt whose lease ran out counts as a failed one, and goes among the retries.
    let found = transaction
        .rows(
            "SELECT line.known, CASE WHEN s.lease_until IS NULL THEN line.lane
                                     ELSE least(1, coalesce(s.next_lane, 1))::smallint END,
                    coalesce(s.lease_until, s.due_at), s.key
               FROM unnest($4, $5, $6) AS line (lane, known, since),
            LATERAL (SELECT key, due_at, lease_until, next_lane FROM subjects
                      WHERE org = $1 AND lane = line.lane AND (standing = 'present') = line.known
                        AND due_at >= line.since AND due_at <= $2 AND (lease_until IS NULL OR lease_until <= $2)
                      ORDER BY due_at LIMIT $3) s",
            params![org.key, micros(claim.now), limit(claim.limit); of_lane, known, from],
        )
        .await?;
    let waiting = found.iter().map(|row| {
        let lane = row.lane(1)?;
        Ok(Waiting {
            is_known: row.at(0)?,
            lane: lanes.iter().position(|other| *other == lane),
            since: row.at(2)?,
            key: row.at(3)?,
        })
    });
    let InTurn { keys, next_turn } = in_turn(waiting.collect::<Result<_, Failure>>()?, org.turn, claim.limit);
    if let Some(next) = next_turn {
        transaction
            .execute("UPDATE orgs SET turn = $1 WHERE key = $2", params![next, org.key])
            .await?;
    }
    Ok(keys)
}

/// Leases those of these that nobody else has taken meanwhile; with each, up to which ticket it was covered.
async fn lease(
    transaction: &Transaction,
    org: &OrgId,
    keys: &[i64],
    claim: Claim,
    holder: Option<i64>,
) -> Result<Vec<(DueRefresh, i64)>, Failure> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let until = micros(claim.now.after(claim.lease));
    let keys = keys.to_vec();
    // By its key, each: a planner that knows little of the table would rather read all that is due.
    let leased = transaction
        .rows(
            "UPDATE subjects s
                SET claimed = wanted, fence = fence + 1, lease_until = $1, holder = $2, next_lane = NULL, looking = false,
                    failures = failures + (CASE WHEN lease_until IS NULL THEN 0 ELSE 1 END),
                    lane = CASE WHEN lease_until IS NULL THEN lane ELSE least(1, coalesce(next_lane, 1))::smallint END
               FROM (SELECT free.key FROM (SELECT key FROM unnest($4) AS k (key) ORDER BY key) k,
                    LATERAL (SELECT key FROM subjects
                              WHERE key = k.key AND due_at <= $3 AND (lease_until IS NULL OR lease_until <= $3)
                                FOR NO KEY UPDATE SKIP LOCKED) free) free
              WHERE s.key = free.key
          RETURNING s.key, s.fence, s.kind, s.id, s.lane, s.failures, s.memory, s.standing, s.events, s.covered,
                    s.wanted - s.covered",
            params![until, holder, micros(claim.now); keys],
        )
        .await?;
    let mut work: Vec<_> = leased.iter().map(|row| read(row, org)).collect::<Result<_, _>>()?;
    work.sort_by_key(|(due, _)| keys.iter().position(|key| *key == due.lease.key));
    Ok(work)
}

fn read(row: &Row, org: &OrgId) -> Result<(DueRefresh, i64), Failure> {
    let id: String = row.at(3)?;
    let due = DueRefresh {
        lease: Lease {
            key: row.at(0)?,
            handler: None,
            fence: row.at(1)?,
        },
        org: org.clone(),
        subject: match row.at(2)? {
            "task" => Subject::Task(TaskId::new(id)),
            _ => Subject::Run(RunId::new(id)),
        },
        lane: row.lane(4)?,
        failures: row.attempts(5)?,
        memory: row.at(6)?,
        watched_since: None,
        recorded: None,
        standing: row.word(7)?,
        snapshot: None,
        listed: None,
        events: row.count(8)?,
        notifications: Vec::new(),
        asked: row.count(10)?,
    };
    Ok((due, row.at(9)?))
}

/// How subjects stand: their snapshots, and how the run list shows them.
const VIEWS: &str = "
    SELECT k.key, s.body, s.fetched_at,
           CASE WHEN v.marked > k.covered AND v.listed <> $1 THEN v.listed END, v.recorded_complete, v.recorded_archived
      FROM unnest($2, $3) AS k (key, covered)
      LEFT JOIN snapshots s ON s.subject = k.key
      LEFT JOIN views v ON v.subject = k.key";

/// Reads what comes with the subjects.
async fn fill(
    transaction: &Transaction,
    org: &Organization<'_>,
    work: &mut [(DueRefresh, i64)],
) -> Result<(), Failure> {
    if work.is_empty() {
        return Ok(());
    }
    let keys: Vec<i64> = work.iter().map(|(due, _)| due.lease.key).collect();
    let covered: Vec<i64> = work.iter().map(|(_, covered)| *covered).collect();
    let place: HashMap<i64, usize> = keys.iter().enumerate().map(|(place, key)| (*key, place)).collect();
    let views = async {
        transaction
            .rows(VIEWS, params![ABSENT; keys.clone(), covered.clone()])
            .await
    };
    let (views, pending) = tokio::try_join!(biased; views, pending(transaction, &keys, &covered))?;
    for row in views {
        let Some((due, _)) = place.get(&row.at(0)?).and_then(|place| work.get_mut(*place)) else {
            continue;
        };
        due.watched_since = org.watched_since;
        due.snapshot = match row.at::<Option<Vec<u8>>>(1)? {
            Some(body) => Some(Snapshot {
                body: Bytes::from(body),
                fetched_at: row.time(2)?,
            }),
            None => None,
        };
        due.listed = row.at(3)?;
        due.recorded = match (row.at(4)?, row.at(5)?) {
            (Some(complete), Some(archived)) => Some(Recorded { complete, archived }),
            _ => None,
        };
    }
    for (key, notification) in pending {
        if let Some((due, _)) = place.get(&key).and_then(|place| work.get_mut(*place)) {
            due.notifications.push(notification);
        }
    }
    Ok(())
}

/// What a commit would cover, the oldest first, with the bodies that there is room for.
async fn pending(
    transaction: &Transaction,
    keys: &[i64],
    covered: &[i64],
) -> Result<Vec<(i64, PendingNotification)>, Failure> {
    let (keys, covered) = (keys.to_vec(), covered.to_vec());
    let found = transaction
        .rows(
            "SELECT n.subject, n.seq, n.id, n.kind, n.event, n.run, n.task, n.announced, n.received_at, n.duplicates,
                    octet_length(n.body)::bigint
               FROM unnest($1, $2) AS k (key, covered)
               JOIN notifications n ON n.subject = k.key AND n.ticket > k.covered
              ORDER BY n.subject, n.ticket",
            params![; keys, covered],
        )
        .await?;
    let mut pending = Vec::with_capacity(found.len());
    for row in &found {
        pending.push((row.at::<i64>(0)?, row.at::<i64>(1)?, read_pending(row)?));
    }
    let mut with_room = Vec::new();
    let mut room: HashMap<i64, Option<u64>> = HashMap::new();
    for (subject, seq, notification) in pending.iter().rev() {
        let left = room.entry(*subject).or_insert(Some(MAX_CLAIMED_BODY_BYTES));
        *left = left.and_then(|left| left.checked_sub(notification.body_len));
        if left.is_some() {
            with_room.push(*seq);
        }
    }
    let mut bodies: HashMap<i64, Bytes> = HashMap::new();
    if !with_room.is_empty() {
        let read = "SELECT seq, body FROM notifications WHERE seq = ANY ($1)";
        for row in transaction.rows(read, params![; with_room]).await? {
            bodies.insert(row.at(0)?, Bytes::from(row.at::<Vec<u8>>(1)?));
        }
    }
    let whole = pending.into_iter().map(|(subject, seq, mut notification)| {
        notification.body = bodies.remove(&seq);
        (subject, notification)
    });
    Ok(whole.collect())
}

fn read_pending(row: &Row) -> Result<PendingNotification, Failure> {
    let announced: &str = row.at(7)?;
    let announced = serde_json::from_str(announced).map_err(|error| Failure::damaged(&error.to_string()))?;
    Ok(PendingNotification {
        id: row.at(2)?,
        head: NotificationHead {
            kind: row.at(3)?,
            event: row.at(4)?,
            run: row.at::<Option<String>>(5)?.map(RunId::new),
            task: row.at::<Option<String>>(6)?.map(TaskId::new),
            announced,
        },
        received_at: row.time(8)?,
        duplicates: row.attempts(9)?,
        body_len: row.count(10)?,
        body: None,
    })
}

/// When something of these lines is due next: the first that waits, or the first lease that ends.
async fn next_due(
    view: &Transaction,
    fronts: &Fronts,
    org: i64,
    lanes: &[Lane],
) -> Result<Option<SchedulingTime>, Failure> {
    let (of_lane, known) = columns(lanes);
    let look = fronts.look(in_lines(org, lanes));
    let sql = next_in(
        "unnest($3, $4, $5) WITH ORDINALITY AS line (lane, known, since, place)",
        "subjects WHERE org = $1 AND lane = line.lane AND (standing = 'present') = line.known",
    );
    let mut found = view.rows(&sql, params![org, SOME; of_lane, known, look.from]).await?;
    if hides_more(&found, SOME)? {
        found = view.rows(&sql, params![org, ALL; of_lane, known, look.from]).await?;
    }
    fronts.end(view, &look, &found).await
}
