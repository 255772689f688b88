//! Sweeps of the run list, and what was seen of each run.

use jiff::Timestamp;
use rusqlite::{Row, params};
use tallyfy_model::{OrgId, RunId};

use super::column::{Column, limit};
use super::failure::Failure;
use super::inbox::{known_org, org_key, subject_key, want};
use super::writer::Transaction;
use crate::desks::{
    ABSENT, Finding, Known, Listed, ListedPage, Sweep, SweepFound, SweepKind, SweepOrder, SweepPhase, SweepScope,
    Sweeps, Version,
};
use crate::desks::{Lane, Recorded, Standing, Subject};
use crate::time::SchedulingTime;

const SWEEP: &str = "
    SELECT number, kind, scope, backfill, baseline, started_at, finished_at, pass, page, total,
           listed, new, changed, vanished, pending, asked_kind, asked_scope, asked_backfill, expected
      FROM sweeps WHERE org = ?";

pub(super) fn sweeps(transaction: &Transaction<'_>, org: &OrgId) -> Result<Sweeps, Failure> {
    match known_org(transaction, org)? {
        Some(key) => of(transaction, key),
        None => Ok(Sweeps::default()),
    }
}

fn of(transaction: &Transaction<'_>, org: i64) -> Result<Sweeps, Failure> {
    let found = transaction.row(SWEEP, [org], read)?;
    Ok(found.unwrap_or_default())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Sweeps> {
    let phase = match (row.get::<_, Option<Column<Timestamp>>>(6)?, row.get(8)?) {
        (Some(Column(at)), _) => SweepPhase::Finished(at),
        (None, 0) => SweepPhase::Closing,
        (None, page) => SweepPhase::Listing {
            pass: row.get(7)?,
            page,
        },
    };
    let sweep = Sweep {
        number: row.get(0)?,
        order: SweepOrder {
            kind: row.get::<_, Column<SweepKind>>(1)?.0,
            scope: row.get::<_, Column<SweepScope>>(2)?.0,
            backfill: row.get(3)?,
        },
        baseline: row.get(4)?,
        started_at: row.get::<_, Column<Timestamp>>(5)?.0,
        phase,
        expected: row.get(18)?,
        total: row.get(9)?,
        found: SweepFound {
            listed: row.get(10)?,
            new: row.get(11)?,
            changed: row.get(12)?,
            vanished: row.get(13)?,
            pending: row.get(14)?,
        },
    };
    let (kind, scope) = (
        row.get::<_, Option<Column<SweepKind>>>(15)?,
        row.get::<_, Option<Column<SweepScope>>>(16)?,
    );
    let backfill = row.get(17)?;
    let asked = kind
        .zip(scope)
        .map(|(Column(kind), Column(scope))| SweepOrder { kind, scope, backfill });
    Ok(Sweeps {
        latest: (sweep.number > 0).then_some(sweep),
        asked,
    })
}

/// A person asks for one. The number of the sweep that will be it.
pub(super) fn ask(transaction: &Transaction<'_>, org: &OrgId, order: SweepOrder) -> Result<u64, Failure> {
    let org = org_key(transaction, org)?;
    let number = transaction.row(
        "INSERT INTO sweeps (org, finished_at, asked_kind, asked_scope, asked_backfill) VALUES (?1, 0, ?2, ?3, ?4)
         ON CONFLICT (org) DO UPDATE
            SET asked_kind = excluded.asked_kind, asked_scope = excluded.asked_scope,
                asked_backfill = max(asked_backfill, excluded.asked_backfill)
         RETURNING number + 1",
        params![org, Column(order.kind), Column(order.scope), order.backfill],
        |row| row.get(0),
    )?;
    transaction.wake_due();
    number.ok_or(Failure::Refused("the request was not kept"))
}

pub(super) fn start(
    transaction: &Transaction<'_>,
    org: &OrgId,
    order: SweepOrder,
    at: Timestamp,
) -> Result<Sweep, Failure> {
    let org = org_key(transaction, org)?;
    if let Some(latest) = of(transaction, org)?.latest.filter(|latest| !latest.is_finished()) {
        return Ok(latest);
    }
    transaction.execute(
        "INSERT INTO sweeps (org) VALUES (?) ON CONFLICT (org) DO NOTHING",
        [org],
    )?;
    transaction.execute("DELETE FROM findings WHERE org = ?", [org])?;
    transaction.execute(
        "UPDATE sweeps
            SET number = number + 1, kind = ?1, scope = ?2, backfill = ?3,
                baseline = ?1 = 'sync' AND (known_scope IS NULL OR (known_scope = 'active' AND ?2 = 'all')),
                started_at = ?4, finished_at = NULL, pass = 1, page = 1, total = NULL,
                listed = 0, new = 0, changed = 0, vanished = 0, pending = 0,
                expected = (SELECT count(*) FROM views WHERE views.org = sweeps.org AND listed <> '' AND (active OR ?2 = 'all')),
                asked_kind = NULL, asked_scope = NULL, asked_backfill = 0
          WHERE org = ?5",
        params![
            Column(order.kind),
            Column(order.scope),
            order.backfill,
            Column(at),
            org
        ],
    )?;
    of(transaction, org)?
        .latest
        .ok_or(Failure::Refused("the sweep was not kept"))
}

/// The sweep with this number, if it is where the caller believes it to be.
fn under_way(
    transaction: &Transaction<'_>,
    org: &OrgId,
    number: u64,
    phase: SweepPhase,
) -> Result<(i64, Sweep), Failure> {
    let key = known_org(transaction, org)?.ok_or(Failure::LeaseLost)?;
    let latest = of(transaction, key)?.latest;
    let sweep = latest.filter(|sweep| sweep.number == number && sweep.phase == phase);
    Ok((key, sweep.ok_or(Failure::LeaseLost)?))
}

pub(super) fn record_page(
    transaction: &Transaction<'_>,
    org: &OrgId,
    page: &ListedPage,
    now: SchedulingTime,
) -> Result<Sweep, Failure> {
    let phase = SweepPhase::Listing {
        pass: page.pass,
        page: page.page,
    };
    let (org, sweep) = under_way(transaction, org, page.sweep, phase)?;
    let mut found = sweep.found;
    for listed in &page.runs {
        record(transaction, org, &sweep, listed, &mut found, now)?;
    }
    let phase = SweepPhase::Listing {
        pass: page.pass,
        page: page.page + 1,
    };
    let sweep = Sweep {
        phase,
        total: page.total.or(sweep.total),
        found,
        ..sweep
    };
    keep(transaction, org, &sweep)?;
    Ok(sweep)
}

fn record(
    transaction: &Transaction<'_>,
    org: i64,
    sweep: &Sweep,
    listed: &Listed,
    found: &mut SweepFound,
    now: SchedulingTime,
) -> Result<(), Failure> {
    let is_audit = sweep.order.kind == SweepKind::Audit;
    let subject = if is_audit {
        known_run(transaction, org, &listed.run)?
    } else {
        let subject = Subject::Run(listed.run.clone());
        Some(subject_key(transaction, org, &subject)?)
    };
    let known = match subject {
        Some(subject) => known(transaction, subject, sweep)?,
        None => Seen::default(),
    };
    // Once for each sweep: a later pass sees most runs again.
    if known.listed_in == sweep.number {
        return Ok(());
    }
    found.listed += 1;
    let finding = known.known.in_list(listed, sweep);
    note(transaction, org, &listed.run, finding, found)?;
    let Some(subject) = subject else { return Ok(()) };
    if is_audit {
        transaction.execute(
            "UPDATE views SET listed_in = ? WHERE subject = ?",
            params![sweep.number, subject],
        )?;
        return Ok(());
    }
    let marked = match finding {
        Some(_) => Some(want(transaction, subject, Lane::Sweep, 1, now)?),
        None => known
            .marked
            .filter(|_| known.known.listed.as_deref() == Some(listed.version.text.as_str())),
    };
    transaction.execute(
        "INSERT INTO views (subject, org, listed, marked, active, listed_in, recorded_complete, recorded_archived)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, iif(?4 IS NULL, ?7, NULL), iif(?4 IS NULL, ?8, NULL))
         ON CONFLICT (subject) DO UPDATE
            SET listed = excluded.listed, marked = excluded.marked, active = excluded.active,
                listed_in = excluded.listed_in",
        params![
            subject,
            org,
            listed.version.text,
            marked,
            listed.version.active,
            sweep.number,
            listed.shows.complete,
            listed.shows.archived,
        ],
    )?;
    Ok(())
}

/// What is known of a run, and where its row stands.
#[derive(Default)]
struct Seen {
    known: Known,
    marked: Option<i64>,
    listed_in: u64,
}

fn known_run(transaction: &Transaction<'_>, org: i64, run: &RunId) -> Result<Option<i64>, Failure> {
    transaction.row(
        "SELECT key FROM subjects WHERE org = ? AND kind = 'run' AND id = ?",
        params![org, run.as_str()],
        |row| row.get(0),
    )
}

fn known(transaction: &Transaction<'_>, subject: i64, sweep: &Sweep) -> Result<Seen, Failure> {
    let row = transaction.row(
        "SELECT standing, due_at IS NOT NULL, fetched, coalesce(settled, 0), coalesce(active, 1), listed, marked,
                coalesce(marked <= covered, 0), coalesce(listed_in, 0), coalesce(fetched_in, 0),
                (SELECT watched_since FROM orgs WHERE orgs.key = subjects.org)
           FROM subjects LEFT JOIN views ON views.subject = subjects.key
          WHERE subjects.key = ?",
        [subject],
        |row| {
            Ok(Seen {
                known: Known {
                    standing: Some(row.get::<_, Column<Standing>>(0)?.0),
                    is_due: row.get(1)?,
                    fetched: row.get(2)?,
                    settled: row.get(3)?,
                    active: row.get(4)?,
                    listed: row.get(5)?,
                    was_answered: row.get(7)?,
                    watched_since: row.get::<_, Option<Column<Timestamp>>>(10)?.map(|Column(since)| since),
                    fetched_meanwhile: row.get::<_, u64>(9)? == sweep.number,
                },
                marked: row.get(6)?,
                listed_in: row.get(8)?,
            })
        },
    )?;
    Ok(row.unwrap_or_default())
}

fn note(
    transaction: &Transaction<'_>,
    org: i64,
    run: &RunId,
    finding: Option<Finding>,
    found: &mut SweepFound,
) -> Result<(), Failure> {
    let Some(finding) = finding else { return Ok(()) };
    found.count(finding);
    transaction.execute(
        "INSERT OR REPLACE INTO findings (org, run, what) VALUES (?, ?, ?)",
        params![org, run.as_str(), Column(finding)],
    )?;
    Ok(())
}

fn keep(transaction: &Transaction<'_>, org: i64, sweep: &Sweep) -> Result<(), Failure> {
    let (finished_at, pass, page) = match sweep.phase {
        SweepPhase::Finished(at) => (Some(Column(at)), None, Some(0)),
        SweepPhase::Closing => (None, None, Some(0)),
        SweepPhase::Listing { pass, page } => (None, Some(pass), Some(page)),
    };
    let found = sweep.found;
    transaction.execute(
        "UPDATE sweeps
            SET finished_at = ?1, pass = coalesce(?2, pass), page = ?3, total = ?4,
                listed = ?5, new = ?6, changed = ?7, vanished = ?8, pending = ?9
          WHERE org = ?10",
        params![
            finished_at,
            pass,
            page,
            sweep.total,
            found.listed,
            found.new,
            found.changed,
            found.vanished,
            found.pending,
            org
        ],
    )?;
    Ok(())
}

pub(super) fn move_on(
    transaction: &Transaction<'_>,
    org: &OrgId,
    sweep: &Sweep,
    phase: SweepPhase,
) -> Result<Sweep, Failure> {
    let (org, sweep) = under_way(transaction, org, sweep.number, sweep.phase)?;
    let sweep = Sweep { phase, ..sweep };
    keep(transaction, org, &sweep)?;
    if sweep.is_finished() && sweep.order.kind == SweepKind::Sync {
        transaction.execute(
            "UPDATE sweeps SET known_scope = iif(known_scope = 'all', 'all', scope) WHERE org = ?",
            [org],
        )?;
    }
    Ok(sweep)
}

/// Looks at some of the runs that the list did not show. Whether there are more.
pub(super) fn close(
    transaction: &Transaction<'_>,
    org: &OrgId,
    number: u64,
    most: usize,
    now: SchedulingTime,
) -> Result<(Sweep, bool), Failure> {
    let (org, mut sweep) = under_way(transaction, org, number, SweepPhase::Closing)?;
    let unseen = transaction.rows(
        "SELECT views.subject, subjects.id FROM views INDEXED BY views_of_sweep
           JOIN subjects ON subjects.key = views.subject
          WHERE views.org = ? AND listed_in < ? LIMIT ?",
        params![org, number, limit(most)],
        |row| Ok((row.get::<_, i64>(0)?, RunId::new(row.get::<_, String>(1)?))),
    )?;
    for (subject, run) in &unseen {
        let row = known(transaction, *subject, &sweep)?;
        let finding = row.known.not_in_list(&sweep);
        note(transaction, org, run, finding, &mut sweep.found)?;
        match finding {
            Some(_) if sweep.order.kind == SweepKind::Sync => {
                let marked = want(transaction, *subject, Lane::Sweep, 1, now)?;
                transaction.execute(
                    "UPDATE views SET listed = ?, marked = ?, listed_in = ? WHERE subject = ?",
                    params![ABSENT, marked, number, subject],
                )?;
            }
            _ => {
                transaction.execute(
                    "UPDATE views SET listed_in = ? WHERE subject = ?",
                    params![number, subject],
                )?;
            }
        }
    }
    keep(transaction, org, &sweep)?;
    Ok((sweep, unseen.len() == most))
}

/// The version that the list showed, if that made the run due and no fetch has covered it.
pub(super) fn announced(transaction: &Transaction<'_>, subject: i64, covered: i64) -> Result<Option<String>, Failure> {
    transaction.row(
        "SELECT listed FROM views WHERE subject = ? AND marked > ? AND listed <> ?",
        params![subject, covered, ABSENT],
        |row| row.get(0),
    )
}

/// How the list showed a run when it was recorded without an event.
pub(super) fn recorded(transaction: &Transaction<'_>, subject: i64) -> Result<Option<Recorded>, Failure> {
    transaction.row(
        "SELECT recorded_complete, recorded_archived FROM views WHERE subject = ? AND recorded_complete IS NOT NULL",
        [subject],
        |row| {
            Ok(Recorded {
                complete: row.get(0)?,
                archived: row.get(1)?,
            })
        },
    )
}

/// A fetch has shown the run.
pub(super) fn fetched(
    transaction: &Transaction<'_>,
    org: i64,
    subject: i64,
    version: Option<&Version>,
) -> Result<(), Failure> {
    transaction.execute(
        "INSERT INTO views (subject, org, fetched, settled, active, fetched_in)
         VALUES (?1, ?2, ?3, ?4, ?5, coalesce((SELECT number FROM sweeps WHERE org = ?2), 0))
         ON CONFLICT (subject) DO UPDATE
            SET fetched = coalesce(excluded.fetched, fetched), settled = excluded.settled,
                active = excluded.active, fetched_in = excluded.fetched_in",
        params![
            subject,
            org,
            version.map(|version| &version.text),
            version.is_none_or(|version| version.settled),
            version.is_some_and(|version| version.active),
        ],
    )?;
    Ok(())
}

/// What the latest sweep found, at most so many.
pub(super) fn findings(
    transaction: &Transaction<'_>,
    org: &OrgId,
    most: usize,
) -> Result<Vec<(RunId, Finding)>, Failure> {
    transaction.rows(
        "SELECT run, what FROM findings JOIN orgs ON orgs.key = findings.org WHERE orgs.name = ? ORDER BY run LIMIT ?",
        params![org.as_str(), limit(most)],
        |row| {
            Ok((
                RunId::new(row.get::<_, String>(0)?),
                row.get::<_, Column<Finding>>(1)?.0,
            ))
        },
    )
}
