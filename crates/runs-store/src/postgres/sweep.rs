//! Sweeps of the run list, and what was seen of each run.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::Timestamp;
use tallyfy_model::{OrgId, RunId};
use tokio_postgres::Row;

use super::column::{Columns as _, limit, micros, number};
use super::failure::Failure;
use super::params::{params, text};
use super::session::Transaction;
use super::subjects::{self, known_org, org_key, want};
use crate::desks::{
    ABSENT, Finding, Known, Lane, Listed, ListedPage, Subject, Sweep, SweepFound, SweepKind, SweepOrder, SweepPhase,
    SweepScope, Sweeps, Version, Word,
};
use crate::time::SchedulingTime;
use crate::torture;

pub(super) async fn sweeps(view: &Transaction, org: &OrgId) -> Result<Sweeps, Failure> {
    match known_org(view, org).await? {
        Some(key) => of(view, key, "").await,
        None => Ok(Sweeps::default()),
    }
}

async fn of(view: &Transaction, org: i64, lock: &str) -> Result<Sweeps, Failure> {
    let sql = format!(
        "SELECT number, kind, scope, backfill, baseline, started_at, finished_at, pass, page, total,
                listed, new, changed, vanished, pending, asked_kind, asked_scope, asked_backfill, expected
           FROM sweeps WHERE org = $1 {lock}"
    );
    let found = view.row(&sql, params![org]).await?;
    found.map_or_else(|| Ok(Sweeps::default()), |row| read(&row))
}

fn read(row: &Row) -> Result<Sweeps, Failure> {
    let phase = match (row.time_if_any(6)?, row.small(8)?) {
        (Some(at), _) => SweepPhase::Finished(at),
        (None, 0) => SweepPhase::Closing,
        (None, page) => SweepPhase::Listing {
            pass: row.small(7)?,
            page,
        },
    };
    let total: Option<i64> = row.at(9)?;
    let sweep = Sweep {
        number: row.count(0)?,
        order: SweepOrder {
            kind: row.word(1)?,
            scope: row.word(2)?,
            backfill: row.at(3)?,
        },
        baseline: row.at(4)?,
        started_at: row.time(5)?,
        phase,
        expected: row.count(18)?,
        total: total.and_then(|total| u64::try_from(total).ok()),
        found: SweepFound {
            listed: row.count(10)?,
            new: row.count(11)?,
            changed: row.count(12)?,
            vanished: row.count(13)?,
            pending: row.count(14)?,
        },
    };
    let kind = row.at::<Option<&str>>(15)?.and_then(SweepKind::of);
    let scope = row.at::<Option<&str>>(16)?.and_then(SweepScope::of);
    let backfill = row.at(17)?;
    Ok(Sweeps {
        latest: (sweep.number > 0).then_some(sweep),
        asked: kind
            .zip(scope)
            .map(|(kind, scope)| SweepOrder { kind, scope, backfill }),
    })
}

/// A person asks for one. The number of the sweep that will be it.
pub(super) async fn ask(transaction: &Transaction, org: &OrgId, order: SweepOrder) -> Result<u64, Failure> {
    let org = org_key(transaction, org).await?;
    let asked = transaction
        .row(
            "INSERT INTO sweeps (org, finished_at, asked_kind, asked_scope, asked_backfill) VALUES ($1, 0, $2, $3, $4)
             ON CONFLICT (org) DO UPDATE
                SET asked_kind = excluded.asked_kind, asked_scope = excluded.asked_scope,
                    asked_backfill = sweeps.asked_backfill OR excluded.asked_backfill
             RETURNING number + 1",
            params![org, order.kind.word(), order.scope.word(), order.backfill],
        )
        .await?;
    transaction.wake_due();
    asked.ok_or(Failure::Refused("the request was not kept"))?.count(0)
}

pub(super) async fn start(
    transaction: &Transaction,
    org: &OrgId,
    order: SweepOrder,
    at: Timestamp,
) -> Result<Sweep, Failure> {
    let org = org_key(transaction, org).await?;
    let enter = "INSERT INTO sweeps (org) VALUES ($1) ON CONFLICT (org) DO NOTHING";
    transaction.execute(enter, params![org]).await?;
    let latest = of(transaction, org, "FOR NO KEY UPDATE").await?.latest;
    if let Some(latest) = latest.filter(|latest| !latest.is_finished()) {
        return Ok(latest);
    }
    transaction
        .execute("DELETE FROM findings WHERE org = $1", params![org])
        .await?;
    transaction
        .execute(
            "UPDATE sweeps
                SET number = number + 1, kind = $1, scope = $2, backfill = $3,
                    baseline = $1 = 'sync' AND (known_scope IS NULL OR (known_scope = 'active' AND $2 = 'all')),
                    started_at = $4, finished_at = NULL, pass = 1, page = 1, total = NULL,
                    listed = 0, new = 0, changed = 0, vanished = 0, pending = 0,
                    expected = (SELECT count(*) FROM views
                                 WHERE views.org = sweeps.org AND views.listed <> '' AND (active OR $2 = 'all')),
                    asked_kind = NULL, asked_scope = NULL, asked_backfill = false
              WHERE org = $5",
            params![order.kind.word(), order.scope.word(), order.backfill, micros(at), org],
        )
        .await?;
    let latest = of(transaction, org, "").await?.latest;
    latest.ok_or(Failure::Refused("the sweep was not kept"))
}

/// The sweep with this number, locked, if it is where the caller believes it to be.
async fn under_way(
    transaction: &Transaction,
    org: &OrgId,
    number: u64,
    phase: SweepPhase,
) -> Result<(i64, Sweep), Failure> {
    let key = known_org(transaction, org).await?.ok_or(Failure::LeaseLost)?;
    let latest = of(transaction, key, "FOR NO KEY UPDATE").await?.latest;
    let sweep = latest.filter(|sweep| sweep.number == number && sweep.phase == phase);
    Ok((key, sweep.ok_or(Failure::LeaseLost)?))
}

pub(super) async fn record_page(
    transaction: &Transaction,
    org: &OrgId,
    page: &ListedPage,
    now: SchedulingTime,
) -> Result<Sweep, Failure> {
    let phase = SweepPhase::Listing {
        pass: page.pass,
        page: page.page,
    };
    let (org, sweep) = under_way(transaction, org, page.sweep, phase).await?;
    let mut found = sweep.found;
    record(transaction, org, &sweep, &page.runs, &mut found, now).await?;
    let sweep = Sweep {
        phase: SweepPhase::Listing {
            pass: page.pass,
            page: page.page + 1,
        },
        total: page.total.or(sweep.total),
        found,
        ..sweep
    };
    keep(transaction, org, &sweep).await?;
    torture::point("postgres.page-recorded");
    Ok(sweep)
}

/// A run of a page, and what is known of it.
struct Compared<'p> {
    listed: &'p Listed,
    /// None in an audit, for a run that is not known.
    subject: Option<i64>,
    known: Seen,
    finding: Option<Finding>,
}

async fn record(
    transaction: &Transaction,
    org: i64,
    sweep: &Sweep,
    runs: &[Listed],
    found: &mut SweepFound,
    now: SchedulingTime,
) -> Result<(), Failure> {
    let is_audit = sweep.order.kind == SweepKind::Audit;
    let keys = run_keys(transaction, org, runs, is_audit).await?;
    let mut known = known(transaction, keys.values().copied().collect(), sweep).await?;
    let mut compared = Vec::with_capacity(runs.len());
    let mut seen = HashSet::new();
    for listed in runs {
        let subject = keys.get(&text(listed.run.as_str())).copied();
        let known = subject.and_then(|subject| known.remove(&subject)).unwrap_or_default();
        // Once for each sweep: a later pass sees most runs again.
        if known.listed_in == sweep.number || !seen.insert(text(listed.run.as_str())) {
            continue;
        }
        found.listed += 1;
        let finding = known.known.in_list(listed, sweep);
        if let Some(finding) = finding {
            found.count(finding);
        }
        compared.push(Compared {
            listed,
            subject,
            known,
            finding,
        });
    }
    let findings = compared
        .iter()
        .filter_map(|run| Some((text(run.listed.run.as_str()), run.finding?)));
    note(transaction, org, findings.collect()).await?;
    if is_audit {
        let subjects = compared.iter().filter_map(|run| run.subject).collect();
        return see(transaction, subjects, sweep.number).await;
    }
    take_down(transaction, org, sweep, &compared, now).await
}

/// The keys of runs; those that are new are entered, unless it is an audit.
async fn run_keys(
    transaction: &Transaction,
    org: i64,
    runs: &[Listed],
    is_audit: bool,
) -> Result<HashMap<String, i64>, Failure> {
    if is_audit {
        let ids: Vec<String> = runs.iter().map(|listed| text(listed.run.as_str())).collect();
        let find = "SELECT id, key FROM subjects WHERE org = $1 AND kind = 'run' AND id = ANY ($2)";
        let found = transaction.rows(find, params![org; ids]).await?;
        return found.iter().map(|row| Ok((row.at(0)?, row.at(1)?))).collect();
    }
    let names: BTreeSet<_> = runs
        .iter()
        .map(|listed| subjects::name(org, &Subject::Run(listed.run.clone())))
        .collect();
    let locked = subjects::lock_named(transaction, &names).await?;
    Ok(locked
        .into_iter()
        .map(|((_, _, id), locked)| (id, locked.key))
        .collect())
}

/// Notes what the list showed, and makes due what differs.
async fn take_down(
    transaction: &Transaction,
    org: i64,
    sweep: &Sweep,
    compared: &[Compared<'_>],
    now: SchedulingTime,
) -> Result<(), Failure> {
    let found = compared
        .iter()
        .filter(|run| run.finding.is_some())
        .filter_map(|run| run.subject);
    let tickets: BTreeMap<i64, i64> = found.map(|subject| (subject, 1)).collect();
    let wanted = want(transaction, &tickets, Lane::Sweep, now).await?;
    let rows: Vec<(i64, &Compared<'_>)> = compared.iter().filter_map(|run| Some((run.subject?, run))).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let marked = |(subject, run): &(i64, &Compared<'_>)| {
        let is_as_before = run.known.known.listed.as_deref() == Some(run.listed.version.text.as_str());
        wanted
            .get(subject)
            .copied()
            .or(run.known.marked.filter(|_| is_as_before))
    };
    let subjects: Vec<i64> = rows.iter().map(|(subject, _)| *subject).collect();
    let texts: Vec<String> = rows.iter().map(|(_, run)| text(&run.listed.version.text)).collect();
    let marks: Vec<Option<i64>> = rows.iter().map(marked).collect();
    let active: Vec<bool> = rows.iter().map(|(_, run)| run.listed.version.active).collect();
    let complete: Vec<bool> = rows.iter().map(|(_, run)| run.listed.shows.complete).collect();
    let archived: Vec<bool> = rows.iter().map(|(_, run)| run.listed.shows.archived).collect();
    transaction
        .execute(
            "INSERT INTO views (subject, org, listed, marked, active, listed_in, recorded_complete, recorded_archived)
             SELECT subject, $1, listed, marked, active, $2, CASE WHEN marked IS NULL THEN complete END,
                    CASE WHEN marked IS NULL THEN archived END
               FROM unnest($3, $4, $5, $6, $7, $8) AS v (subject, listed, marked, active, complete, archived)
             ON CONFLICT (subject) DO UPDATE
                SET listed = excluded.listed, marked = excluded.marked, active = excluded.active,
                    listed_in = excluded.listed_in",
            params![org, number(sweep.number); subjects, texts, marks, active, complete, archived],
        )
        .await?;
    Ok(())
}

/// Notes that a sweep has looked at runs.
async fn see(transaction: &Transaction, subjects: Vec<i64>, sweep: u64) -> Result<(), Failure> {
    if !subjects.is_empty() {
        let see = "UPDATE views SET listed_in = $1 WHERE subject = ANY ($2)";
        transaction.execute(see, params![number(sweep); subjects]).await?;
    }
    Ok(())
}

/// What is known of a run, and where its row stands.
#[derive(Default)]
struct Seen {
    known: Known,
    marked: Option<i64>,
    listed_in: u64,
}

async fn known(transaction: &Transaction, subjects: Vec<i64>, sweep: &Sweep) -> Result<HashMap<i64, Seen>, Failure> {
    if subjects.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = transaction
        .rows(
            "SELECT s.key, s.standing, s.due_at IS NOT NULL, v.fetched, coalesce(v.settled, false),
                    coalesce(v.active, true), v.listed, v.marked, coalesce(v.marked <= s.covered, false),
                    coalesce(v.listed_in, 0), coalesce(v.fetched_in, 0), o.watched_since
               FROM subjects s JOIN orgs o ON o.key = s.org LEFT JOIN views v ON v.subject = s.key
              WHERE s.key = ANY ($1)",
            params![; subjects],
        )
        .await?;
    let seen = rows.iter().map(|row| {
        let known = Known {
            standing: Some(row.word(1)?),
            is_due: row.at(2)?,
            fetched: row.at(3)?,
            settled: row.at(4)?,
            active: row.at(5)?,
            listed: row.at(6)?,
            was_answered: row.at(8)?,
            watched_since: row.time_if_any(11)?,
            fetched_meanwhile: row.count(10)? == sweep.number,
        };
        let seen = Seen {
            known,
            marked: row.at(7)?,
            listed_in: row.count(9)?,
        };
        Ok((row.at(0)?, seen))
    });
    seen.collect()
}

async fn note(transaction: &Transaction, org: i64, found: Vec<(String, Finding)>) -> Result<(), Failure> {
    if found.is_empty() {
        return Ok(());
    }
    let (runs, findings): (Vec<String>, Vec<Finding>) = found.into_iter().unzip();
    let words: Vec<&str> = findings.into_iter().map(Word::word).collect();
    transaction
        .execute(
            "INSERT INTO findings (org, run, what) SELECT $1, run, what FROM unnest($2, $3) AS f (run, what)
             ON CONFLICT (org, run) DO UPDATE SET what = excluded.what",
            params![org; runs, words],
        )
        .await?;
    Ok(())
}

async fn keep(transaction: &Transaction, org: i64, sweep: &Sweep) -> Result<(), Failure> {
    let (finished_at, pass, page) = match sweep.phase {
        SweepPhase::Finished(at) => (Some(micros(at)), None, 0),
        SweepPhase::Closing => (None, None, 0),
        SweepPhase::Listing { pass, page } => (None, Some(i64::from(pass)), i64::from(page)),
    };
    let found = sweep.found;
    transaction
        .execute(
            "UPDATE sweeps
                SET finished_at = $1, pass = coalesce($2, pass), page = $3, total = $4,
                    listed = $5, new = $6, changed = $7, vanished = $8, pending = $9
              WHERE org = $10",
            params![
                finished_at,
                pass,
                page,
                sweep.total.map(number),
                number(found.listed),
                number(found.new),
                number(found.changed),
                number(found.vanished),
                number(found.pending),
                org
            ],
        )
        .await?;
    Ok(())
}

pub(super) async fn move_on(
    transaction: &Transaction,
    org: &OrgId,
    sweep: &Sweep,
    phase: SweepPhase,
) -> Result<Sweep, Failure> {
    let (org, sweep) = under_way(transaction, org, sweep.number, sweep.phase).await?;
    let sweep = Sweep { phase, ..sweep };
    keep(transaction, org, &sweep).await?;
    if sweep.is_finished() && sweep.order.kind == SweepKind::Sync {
        transaction
            .execute(
                "UPDATE sweeps SET known_scope = CASE WHEN known_scope = 'all' THEN 'all' ELSE scope END WHERE org = $1",
                params![org],
            )
            .await?;
    }
    Ok(sweep)
}

/// Looks at some of the runs that the list did not show. Whether there are more.
pub(super) async fn close(
    transaction: &Transaction,
    org: &OrgId,
    sweep_number: u64,
    most: usize,
    now: SchedulingTime,
) -> Result<(Sweep, bool), Failure> {
    let (org, mut sweep) = under_way(transaction, org, sweep_number, SweepPhase::Closing).await?;
    let unseen = transaction
        .rows(
            "SELECT v.subject, s.id FROM views v JOIN subjects s ON s.key = v.subject
              WHERE v.org = $1 AND v.listed_in < $2 ORDER BY v.listed_in, v.subject LIMIT $3",
            params![org, number(sweep_number), limit(most)],
        )
        .await?;
    let unseen: Vec<(i64, String)> = unseen
        .iter()
        .map(|row| Ok((row.at(0)?, row.at(1)?)))
        .collect::<Result<_, Failure>>()?;
    let subjects: Vec<i64> = unseen.iter().map(|(subject, _)| *subject).collect();
    let known = known(transaction, subjects.clone(), &sweep).await?;
    let (mut findings, mut vanished) = (Vec::new(), BTreeMap::new());
    for (subject, run) in &unseen {
        let Some(finding) = known.get(subject).and_then(|seen| seen.known.not_in_list(&sweep)) else {
            continue;
        };
        sweep.found.count(finding);
        findings.push((run.clone(), finding));
        vanished.insert(*subject, 1);
    }
    note(transaction, org, findings).await?;
    if sweep.order.kind == SweepKind::Sync {
        subjects::lock(transaction, vanished.keys().copied().collect()).await?;
        let marked = want(transaction, &vanished, Lane::Sweep, now).await?;
        let (keys, marks): (Vec<i64>, Vec<i64>) = marked.into_iter().unzip();
        transaction
            .execute(
                "UPDATE views v SET listed = $1, marked = m.marked FROM unnest($2, $3) AS m (subject, marked)
                  WHERE v.subject = m.subject",
                params![ABSENT; keys, marks],
            )
            .await?;
    }
    see(transaction, subjects, sweep_number).await?;
    keep(transaction, org, &sweep).await?;
    Ok((sweep, unseen.len() == most))
}

/// Fetches have shown these runs: organization, subject and version of each.
pub(super) async fn fetched(transaction: &Transaction, seen: &[(i64, i64, Option<&Version>)]) -> Result<(), Failure> {
    if seen.is_empty() {
        return Ok(());
    }
    let orgs: Vec<i64> = seen.iter().map(|(org, ..)| *org).collect();
    let subjects: Vec<i64> = seen.iter().map(|(_, subject, _)| *subject).collect();
    let texts: Vec<Option<String>> = seen
        .iter()
        .map(|(.., version)| version.map(|version| text(&version.text)))
        .collect();
    let settled: Vec<bool> = seen
        .iter()
        .map(|(.., version)| version.is_none_or(|version| version.settled))
        .collect();
    let active: Vec<bool> = seen
        .iter()
        .map(|(.., version)| version.is_some_and(|version| version.active))
        .collect();
    transaction
        .execute(
            "INSERT INTO views (subject, org, fetched, settled, active, fetched_in)
             SELECT v.subject, v.org, v.fetched, v.settled, v.active,
                    coalesce((SELECT number FROM sweeps WHERE sweeps.org = v.org), 0)
               FROM unnest($1, $2, $3, $4, $5) AS v (org, subject, fetched, settled, active)
             ON CONFLICT (subject) DO UPDATE
                SET fetched = coalesce(excluded.fetched, views.fetched), settled = excluded.settled,
                    active = excluded.active, fetched_in = excluded.fetched_in",
            params![; orgs, subjects, texts, settled, active],
        )
        .await?;
    Ok(())
}

/// What the latest sweep found, at most so many.
pub(super) async fn findings(view: &Transaction, org: &OrgId, most: usize) -> Result<Vec<(RunId, Finding)>, Failure> {
    let found = view
        .rows(
            "SELECT f.run, f.what FROM findings f JOIN orgs o ON o.key = f.org WHERE o.name = $1 ORDER BY f.run LIMIT $2",
            params![text(org.as_str()), limit(most)],
        )
        .await?;
    found
        .iter()
        .map(|row| Ok((RunId::new(row.at::<String>(0)?), row.word(1)?)))
        .collect()
}
