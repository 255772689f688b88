//! Organizations and subjects: their keys, and the locks under which their tickets are taken.
//!
//! Rows are locked in the order of their keys, and new ones entered in the order of their names, so that two workers that
//! change the same subjects wait for each other, and not in a circle.

use std::collections::{BTreeMap, BTreeSet};

use tallyfy_model::OrgId;

use super::column::{self, Columns as _, micros};
use super::failure::Failure;
use super::params::{params, text};
use super::session::Transaction;
use crate::desks::{LONGEST_PAUSE, Lane, Subject};
use crate::time::SchedulingTime;

/// A subject by its name: organization, kind and id.
pub(super) type Name = (i64, &'static str, String);

/// The name of a subject of this organization.
pub(super) fn name(org: i64, subject: &Subject) -> Name {
    match subject {
        Subject::Run(run) => (org, "run", text(run.as_str())),
        Subject::Task(task) => (org, "task", text(task.as_str())),
    }
}

/// What is to be known of a subject to take a ticket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Locked {
    pub(super) key: i64,
    /// For a task whose run is known: that run.
    pub(super) run: Option<i64>,
    pub(super) wanted: i64,
    pub(super) claimed: i64,
}

/// The key of an organization, which is entered if it is new.
pub(super) async fn org_key(transaction: &Transaction, org: &OrgId) -> Result<i64, Failure> {
    if let Some(key) = known_org(transaction, org).await? {
        return Ok(key);
    }
    let enter = "INSERT INTO orgs (name) VALUES ($1) ON CONFLICT (name) DO NOTHING";
    transaction.execute(enter, params![text(org.as_str())]).await?;
    known_org(transaction, org).await?.ok_or(Failure::Conflict)
}

pub(super) async fn known_org(transaction: &Transaction, org: &OrgId) -> Result<Option<i64>, Failure> {
    let found = transaction
        .row("SELECT key FROM orgs WHERE name = $1", params![text(org.as_str())])
        .await?;
    found.map(|row| row.at(0)).transpose()
}

/// Locks subjects, which are entered if they are new.
pub(super) async fn lock_named(
    transaction: &Transaction,
    names: &BTreeSet<Name>,
) -> Result<BTreeMap<Name, Locked>, Failure> {
    let mut locked = BTreeMap::new();
    if names.is_empty() {
        return Ok(locked);
    }
    find(transaction, names, &mut locked).await?;
    let new: BTreeSet<Name> = names
        .iter()
        .filter(|name| !locked.contains_key(*name))
        .cloned()
        .collect();
    if !new.is_empty() {
        enter(transaction, &new).await?;
        find(transaction, &new, &mut locked).await?;
    }
    if locked.len() < names.len() {
        return Err(Failure::Conflict);
    }
    Ok(locked)
}

/// Names as arrays, in their order.
fn columns(names: &BTreeSet<Name>) -> (Vec<i64>, Vec<&str>, Vec<&str>) {
    let orgs = names.iter().map(|(org, _, _)| *org).collect();
    let kinds = names.iter().map(|(_, kind, _)| *kind).collect();
    let ids = names.iter().map(|(_, _, id)| id.as_str()).collect();
    (orgs, kinds, ids)
}

async fn find(
    transaction: &Transaction,
    names: &BTreeSet<Name>,
    locked: &mut BTreeMap<Name, Locked>,
) -> Result<(), Failure> {
    let (orgs, kinds, ids) = columns(names);
    let found = transaction
        .rows(
            "SELECT s.org, s.kind, s.id, s.key, s.run, s.wanted, s.claimed
               FROM unnest($1, $2, $3) AS n (org, kind, id)
               JOIN subjects s ON s.org = n.org AND s.kind = n.kind AND s.id = n.id
              ORDER BY s.key FOR NO KEY UPDATE OF s",
            params![; orgs, kinds, ids],
        )
        .await?;
    for row in found {
        let kind: &str = row.at(1)?;
        let kind = if kind == "task" { "task" } else { "run" };
        let subject = Locked {
            key: row.at(3)?,
            run: row.at(4)?,
            wanted: row.at(5)?,
            claimed: row.at(6)?,
        };
        locked.insert((row.at(0)?, kind, row.at(2)?), subject);
    }
    Ok(())
}

/// Enters subjects that are not there; what another worker enters at the same time is waited for.
pub(super) async fn enter(transaction: &Transaction, new: &BTreeSet<Name>) -> Result<(), Failure> {
    let (orgs, kinds, ids) = columns(new);
    transaction
        .execute(
            "INSERT INTO subjects (org, kind, id)
             SELECT org, kind, id FROM unnest($1, $2, $3) WITH ORDINALITY AS n (org, kind, id, place) ORDER BY place
             ON CONFLICT (org, kind, id) DO NOTHING",
            params![; orgs, kinds, ids],
        )
        .await?;
    Ok(())
}

/// Locks subjects by their keys.
pub(super) async fn lock(transaction: &Transaction, keys: Vec<i64>) -> Result<Vec<Locked>, Failure> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let found = transaction
        .rows(
            "SELECT key, run, wanted, claimed FROM subjects WHERE key = ANY ($1) ORDER BY key FOR NO KEY UPDATE",
            params![; keys],
        )
        .await?;
    let locked = found.iter().map(|row| {
        Ok(Locked {
            key: row.at(0)?,
            run: row.at(1)?,
            wanted: row.at(2)?,
            claimed: row.at(3)?,
        })
    });
    locked.collect()
}

/// The key of a run, which is entered if it is new, and locked.
pub(super) async fn run_key(transaction: &Transaction, org: i64, subject: &Subject) -> Result<i64, Failure> {
    let name = name(org, subject);
    let locked = lock_named(transaction, &BTreeSet::from([name])).await?;
    let found = locked.into_values().next().ok_or(Failure::Conflict)?;
    Ok(found.run.unwrap_or(found.key))
}

/// Takes so many of each subject's next tickets and makes it due; the last ticket of each.
///
/// What waits already goes on waiting until the same time, in the foremost of the lanes that were asked for: neither
/// may a notification cut short a postponement, nor lose the place of those before it. What waits only to be looked at
/// again is due at once. What is leased becomes due when the lease ends.
pub(super) async fn want(
    transaction: &Transaction,
    tickets: &BTreeMap<i64, i64>,
    lane: Lane,
    now: SchedulingTime,
) -> Result<BTreeMap<i64, i64>, Failure> {
    if tickets.is_empty() {
        return Ok(BTreeMap::new());
    }
    transaction.wake_due();
    let keys: Vec<i64> = tickets.keys().copied().collect();
    let counts: Vec<i64> = tickets.values().copied().collect();
    // A `not_before` that is absurdly far away was set by a clock that has been set back since.
    let rows = transaction
        .rows(
            "UPDATE subjects s
                SET wanted = s.wanted + w.tickets,
                    due_at = CASE WHEN s.due_at IS NULL OR (s.looking AND s.due_at > $1)
                                  THEN greatest($1, CASE WHEN s.not_before > $2 THEN 0 ELSE s.not_before END)
                                  ELSE s.due_at END,
                    lane = CASE WHEN s.due_at IS NULL THEN $3
                                WHEN s.lease_until IS NULL THEN least(s.lane, $3) ELSE s.lane END,
                    looking = false,
                    next_lane = CASE WHEN s.lease_until IS NOT NULL THEN least(coalesce(s.next_lane, $3), $3) END
               FROM unnest($4, $5) AS w (key, tickets)
              WHERE s.key = w.key
          RETURNING s.key, s.wanted",
            params![micros(now), micros(now.after(LONGEST_PAUSE)), column::lane(lane); keys, counts],
        )
        .await?;
    let last: BTreeMap<i64, i64> = rows
        .iter()
        .map(|row| Ok((row.at(0)?, row.at(1)?)))
        .collect::<Result<_, Failure>>()?;
    if last.len() < tickets.len() {
        return Err(NO_SUBJECT);
    }
    Ok(last)
}

/// The same for one subject and one ticket.
pub(super) async fn want_one(
    transaction: &Transaction,
    subject: i64,
    lane: Lane,
    now: SchedulingTime,
) -> Result<i64, Failure> {
    let last = want(transaction, &BTreeMap::from([(subject, 1)]), lane, now).await?;
    last.get(&subject).copied().ok_or(NO_SUBJECT)
}

pub(super) const NO_SUBJECT: Failure = Failure::Refused("there is no such subject");
