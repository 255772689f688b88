//! Which worker fetches for an organization, by the database's clock.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use tallyfy_model::OrgId;
use tokio_postgres::Row;

use super::column::{Columns as _, micros};
use super::failure::Failure;
use super::params::params;
use super::session::Transaction;
use super::subjects::{known_org, org_key};
use super::workers::NOW;
use crate::desks::{Seats, WorkerSummary};
use crate::time::SchedulingTime;
use crate::torture;

/// How long a worker that ended, or is not seen any more, is kept for a person to look at.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// A seat as it stands.
struct Seat {
    worker: i64,
    term: i64,
    is_over: bool,
    /// Whether it has been free for a whole term: whoever should have taken it does not.
    is_left: bool,
}

/// What came of holding seats.
pub(super) struct Holding {
    pub(super) seats: Seats,
    /// The number of each seat's term, by the key of its organization.
    pub(super) terms: BTreeMap<i64, i64>,
}

/// Renews and takes seats.
pub(super) async fn hold(
    transaction: &Transaction,
    worker: i64,
    orgs: &[OrgId],
    term: Duration,
    now: SchedulingTime,
) -> Result<Holding, Failure> {
    let mut keys = BTreeMap::new();
    for org in orgs {
        keys.insert(org_key(transaction, org).await?, org);
    }
    be_seen(transaction, worker, &keys).await?;
    let seats = lock(transaction, &keys, term).await?;
    let mut others = Others::read(transaction, worker, term).await?;
    let mut holding = Holding {
        seats: Seats {
            is_shared: true,
            ..Seats::default()
        },
        terms: BTreeMap::new(),
    };
    for (key, org) in &keys {
        if let Some(seat) = seats.get(key).filter(|seat| seat.worker == worker) {
            holding.seats.held.push((*org).clone());
            holding.terms.insert(*key, seat.term);
        }
    }
    let mut mine = holding.terms.len();
    for key in holding.terms.keys() {
        if others.take_from(*key, mine) {
            mine -= 1;
            holding.seats.surplus.extend(keys.get(key).map(|org| (*org).clone()));
        }
    }
    for (key, org) in &keys {
        let Some(seat) = seats.get(key).filter(|seat| seat.worker != worker && seat.is_over) else {
            continue;
        };
        if !seat.is_left && others.come_first(*key, mine) {
            continue;
        }
        void_claims(transaction, *key, now).await?;
        torture::point("postgres.claims-voided");
        mine += 1;
        holding.seats.held.push((*org).clone());
        holding.terms.insert(*key, seat.term + 1);
    }
    keep(transaction, worker, &holding.terms, term).await?;
    torture::point("postgres.seats-kept");
    Ok(holding)
}

/// The other workers that are there: which organizations each wants, and how many seats it has.
struct Others(Vec<(HashSet<i64>, usize)>);

impl Others {
    async fn read(view: &Transaction, worker: i64, term: Duration) -> Result<Self, Failure> {
        let sql = format!(
            "SELECT w.wants, (SELECT count(*) FROM seats s WHERE s.worker = w.key AND s.until > {NOW}) FROM workers w
              WHERE w.key <> $1 AND w.ended_at IS NULL AND w.seen_at > {NOW} - $2 ORDER BY w.key"
        );
        let found = view.rows(&sql, params![worker, as_micros(term)]).await?;
        let others = found.iter().map(|row| {
            let wants: Vec<i64> = row.at(0)?;
            Ok((wants.into_iter().collect(), row.small(1)?))
        });
        Ok(Self(others.collect::<Result<_, Failure>>()?))
    }

    /// Whether another worker that wants this seat has fewer than this one.
    fn come_first(&self, org: i64, mine: usize) -> bool {
        self.0
            .iter()
            .any(|(wants, seats)| wants.contains(&org) && *seats < mine)
    }

    /// Whether another worker should have this seat, because it has at least two fewer.
    fn take_from(&mut self, org: i64, mine: usize) -> bool {
        let poorer = self
            .0
            .iter_mut()
            .filter(|(wants, seats)| wants.contains(&org) && *seats + 1 < mine);
        match poorer.min_by_key(|(_, seats)| *seats) {
            Some((_, seats)) => {
                *seats += 1;
                true
            }
            None => false,
        }
    }
}

/// Notes that a worker is there, and forgets those that have long not been.
async fn be_seen(transaction: &Transaction, worker: i64, orgs: &BTreeMap<i64, &OrgId>) -> Result<(), Failure> {
    let wants: Vec<i64> = orgs.keys().copied().collect();
    let seen = format!("UPDATE workers SET seen_at = {NOW}, ended_at = NULL, wants = $2 WHERE key = $1");
    transaction.execute(&seen, params![worker; wants]).await?;
    let old = format!("DELETE FROM workers WHERE seen_at < {NOW} - $1 AND key <> $2");
    transaction
        .execute(&old, params![as_micros(REMEMBERED), worker])
        .await
        .map(drop)
}

async fn lock(
    transaction: &Transaction,
    orgs: &BTreeMap<i64, &OrgId>,
    term: Duration,
) -> Result<HashMap<i64, Seat>, Failure> {
    let keys: Vec<i64> = orgs.keys().copied().collect();
    // A seat that nobody ever had is free from now on.
    let enter = format!(
        "INSERT INTO seats (org, worker, term, until) SELECT org, 0, 0, {NOW} FROM unnest($1) AS o (org) ORDER BY org
         ON CONFLICT (org) DO NOTHING"
    );
    transaction.execute(&enter, params![; keys]).await?;
    let sql = format!(
        "SELECT org, worker, term, until <= {NOW}, until <= {NOW} - $1 FROM seats
          WHERE org = ANY ($2) ORDER BY org FOR NO KEY UPDATE"
    );
    let found = transaction.rows(&sql, params![as_micros(term); keys]).await?;
    let seat = |row: &Row| {
        let seat = Seat {
            worker: row.at(1)?,
            term: row.at(2)?,
            is_over: row.at(3)?,
            is_left: row.at(4)?,
        };
        Ok((row.at(0)?, seat))
    };
    found.iter().map(seat).collect()
}

async fn keep(
    transaction: &Transaction,
    worker: i64,
    terms: &BTreeMap<i64, i64>,
    term: Duration,
) -> Result<(), Failure> {
    let keys: Vec<i64> = terms.keys().copied().collect();
    let numbers: Vec<i64> = terms.values().copied().collect();
    let sql = format!(
        "UPDATE seats s SET worker = $1, term = h.term, until = {NOW} + $2
           FROM unnest($3, $4) AS h (org, term) WHERE s.org = h.org"
    );
    transaction
        .execute(&sql, params![worker, as_micros(term); keys, numbers])
        .await?;
    Ok(())
}

/// What holders before had claimed is due again, and counts as attempts that failed. It may have been this worker.
async fn void_claims(transaction: &Transaction, org: i64, now: SchedulingTime) -> Result<(), Failure> {
    transaction
        .execute(
            "UPDATE subjects
                SET due_at = $1, lease_until = NULL, holder = NULL, looking = false, claimed = covered,
                    failures = failures + 1, lane = least(1, coalesce(next_lane, 1)), next_lane = NULL,
                    reason = 'the seat was lost before this attempt ended'
              WHERE org = $2 AND due_at IS NOT NULL AND lease_until IS NOT NULL",
            params![micros(now), org],
        )
        .await?;
    Ok(())
}

/// Gives seats up.
pub(super) async fn give_up(transaction: &Transaction, worker: i64, orgs: &[OrgId]) -> Result<(), Failure> {
    let mut keys = Vec::new();
    for org in orgs {
        keys.extend(known_org(transaction, org).await?);
    }
    keys.sort_unstable();
    let free = format!("UPDATE seats SET worker = 0, until = {NOW} WHERE worker = $1 AND org = ANY ($2)");
    transaction.execute(&free, params![worker; keys]).await.map(drop)
}

/// Gives all seats of a worker up.
pub(super) async fn give_up_all(transaction: &Transaction, worker: i64) -> Result<(), Failure> {
    let free = format!("UPDATE seats SET worker = 0, until = {NOW} WHERE worker = $1");
    transaction.execute(&free, params![worker]).await.map(drop)
}

/// Refuses what is to be written for an organization under a term that another worker has ended. The seat stays as it is
/// until the transaction ends.
pub(super) async fn check(transaction: &Transaction, org: i64, worker: i64, term: i64) -> Result<(), Failure> {
    let held = "SELECT 1 FROM seats WHERE org = $1 AND worker = $2 AND term = $3 FOR SHARE";
    match transaction.row(held, params![org, worker, term]).await? {
        Some(_) => Ok(()),
        None => Err(Failure::LeaseLost),
    }
}

/// The workers, the longest running first.
pub(super) async fn workers(view: &Transaction) -> Result<Vec<WorkerSummary>, Failure> {
    let sql = format!(
        "SELECT w.id, w.name, w.host, w.version, w.started_at, w.seen_at, w.ended_at, {NOW} - w.seen_at,
                ARRAY (SELECT o.name FROM seats s JOIN orgs o ON o.key = s.org
                        WHERE s.worker = w.key AND s.until > {NOW} ORDER BY o.name)
           FROM workers w ORDER BY w.started_at, w.key"
    );
    let found = view.rows(&sql, &[]).await?;
    let workers = found.iter().map(|row| {
        let silent: i64 = row.at(7)?;
        let seats: Vec<String> = row.at(8)?;
        Ok(WorkerSummary {
            id: row.at(0)?,
            name: row.at(1)?,
            host: row.at(2)?,
            version: row.at(3)?,
            started_at: row.time(4)?,
            seen_at: row.time(5)?,
            ended_at: row.time_if_any(6)?,
            silent_for: Duration::from_micros(u64::try_from(silent).unwrap_or_default()),
            seats: seats.into_iter().map(OrgId::new).collect(),
        })
    });
    workers.collect()
}

fn as_micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 2)
}
