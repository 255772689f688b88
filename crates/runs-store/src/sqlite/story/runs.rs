//! Runs, in lists.
//!
//! A page looks at no more than some thousand rows, whatever it searches for, and then says where to go on.

use jiff::Timestamp;
use rusqlite::{Row, params};
use tallyfy_model::{OrgId, RunId};

use crate::desks::{
    Candidate, HandlerName, LOOKED_AT, RunLabel, RunPlace, RunSummary, RunsOnly, RunsPage, RunsQuery, Wanted,
};
use crate::sqlite::column::{Column, limit as rows};
use crate::sqlite::failure::Failure;
use crate::sqlite::writer::Transaction;

/// The columns of a run.
const COLUMNS: &str = "
    orgs.name, subjects.id, subjects.name, subjects.template, subjects.template_name, subjects.status,
    subjects.standing, subjects.fetched_at, subjects.due_at, subjects.lease_until IS NOT NULL, subjects.lane,
    subjects.failures, subjects.reason, subjects.events,
    (SELECT group_concat(handlers.name) FROM handlers CROSS JOIN cursors
         ON cursors.handler = handlers.key AND cursors.subject = subjects.key
      WHERE cursors.failed_at IS NOT NULL),
    (SELECT group_concat(name) FROM (SELECT DISTINCT handlers.name AS name
       FROM dead_letters JOIN handlers ON handlers.key = dead_letters.handler
      WHERE dead_letters.subject = subjects.key ORDER BY name))";

/// What is looked at of a run to see whether it is meant.
const SEEN: &str = "subjects.key, subjects.fetched_at, subjects.org, subjects.id, subjects.name, subjects.template,
    subjects.template_name";

pub(in crate::sqlite) fn page(
    view: &Transaction<'_>,
    query: &RunsQuery,
    after: Option<RunPlace>,
    limit: usize,
) -> Result<RunsPage, Failure> {
    let Some(wanted) = wanted(view, query)? else {
        return Ok(RunsPage::default());
    };
    let mut runs = Vec::new();
    let mut place = after;
    let mut left = LOOKED_AT;
    loop {
        // Few at first, since the first ones may do.
        let most = (limit * 2).clamp(64, left.max(1));
        let candidates = match (&query.run, query.only) {
            (Some(run), _) => by_id(view, run, place)?,
            (None, Some(only)) => of_kind(view, only, place, most)?,
            (None, None) => by_fetch(view, place, most)?,
        };
        let is_last = candidates.len() < most;
        for candidate in &candidates {
            if runs.len() == limit {
                return Ok(RunsPage { runs, next: place });
            }
            place = Some(RunPlace {
                at: candidate.fetched_at,
                key: candidate.key,
            });
            if wanted.is_meant(candidate) {
                runs.extend(summary(view, candidate.key)?);
            }
        }
        left = left.saturating_sub(candidates.len());
        if is_last {
            return Ok(RunsPage { runs, next: None });
        }
        if left == 0 || runs.len() == limit {
            return Ok(RunsPage { runs, next: place });
        }
    }
}

/// How a run stands.
pub(super) fn summary(view: &Transaction<'_>, key: i64) -> Result<Option<RunSummary>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM subjects JOIN orgs ON orgs.key = subjects.org WHERE subjects.key = ?");
    view.row(&sql, [key], read)
}

/// `None` if the organization is not known, so that nothing is meant.
fn wanted(view: &Transaction<'_>, query: &RunsQuery) -> Result<Option<Wanted>, Failure> {
    let org = match &query.org {
        None => None,
        Some(org) => match view.row("SELECT key FROM orgs WHERE name = ?", [org.as_str()], |row| row.get(0))? {
            None => return Ok(None),
            found => found,
        },
    };
    Ok(Some(Wanted::new(org, query)))
}

fn candidate(row: &Row<'_>) -> rusqlite::Result<Candidate> {
    Ok(Candidate {
        key: row.get(0)?,
        fetched_at: row.get(1)?,
        org: row.get(2)?,
        id: row.get(3)?,
        name: row.get(4)?,
        template: row.get(5)?,
        template_name: row.get(6)?,
    })
}

/// Those with this id, one in each organization at most.
fn by_id(view: &Transaction<'_>, run: &RunId, after: Option<RunPlace>) -> Result<Vec<Candidate>, Failure> {
    let sql = format!(
        "SELECT {SEEN} FROM subjects
          WHERE org IN (SELECT key FROM orgs) AND kind = 'run' AND id = ? AND key < ? ORDER BY key DESC"
    );
    let before = after.map_or(i64::MAX, |after| after.key);
    view.rows(&sql, params![run.as_str(), before], candidate)
}

fn by_fetch(view: &Transaction<'_>, after: Option<RunPlace>, most: usize) -> Result<Vec<Candidate>, Failure> {
    let sql = format!(
        "SELECT {SEEN} FROM subjects INDEXED BY subjects_fetched
          WHERE kind = 'run' AND (fetched_at, key) < (?, ?) ORDER BY fetched_at DESC, key DESC LIMIT ?"
    );
    let (at, key) = after.map_or((i64::MAX, i64::MAX), |after| (after.at, after.key));
    view.rows(&sql, params![at, key, rows(most)], candidate)
}

fn of_kind(
    view: &Transaction<'_>,
    only: RunsOnly,
    after: Option<RunPlace>,
    most: usize,
) -> Result<Vec<Candidate>, Failure> {
    // Each of these reads an index that holds nothing else, or few rows of one that is in this order.
    let keys = match only {
        RunsOnly::Due => {
            "SELECT key FROM (
                SELECT key FROM subjects INDEXED BY subjects_waiting
                 WHERE due_at IS NOT NULL AND lease_until IS NULL AND key < ?1
                UNION ALL
                SELECT key FROM subjects INDEXED BY subjects_leased WHERE lease_until IS NOT NULL AND key < ?1)"
        }
        RunsOnly::Failing => {
            "SELECT key FROM subjects INDEXED BY subjects_failing
              WHERE kind = 'run' AND (failures > 0 OR standing = 'no_access') AND key < ?1"
        }
        RunsOnly::Blocked => {
            "SELECT key FROM (
                SELECT subject AS key FROM cursors INDEXED BY cursors_failing
                 WHERE failed_at IS NOT NULL AND subject < ?1
                UNION
                SELECT key FROM (SELECT DISTINCT subject AS key FROM dead_letters
                                  WHERE subject < ?1 ORDER BY subject DESC LIMIT ?2))"
        }
    };
    let sql = format!(
        "SELECT {SEEN} FROM (SELECT key FROM ({keys}) ORDER BY key DESC LIMIT ?2) AS kind
           CROSS JOIN subjects ON subjects.key = kind.key
          ORDER BY subjects.key DESC"
    );
    let before = after.map_or(i64::MAX, |after| after.key);
    view.rows(&sql, params![before, rows(most)], candidate)
}

fn read(row: &Row<'_>) -> rusqlite::Result<RunSummary> {
    let fetched_at: i64 = row.get(7)?;
    Ok(RunSummary {
        org: OrgId::new(row.get::<_, String>(0)?),
        run: RunId::new(row.get::<_, String>(1)?),
        label: RunLabel {
            name: row.get(2)?,
            template: row.get(3)?,
            template_name: row.get(4)?,
            status: row.get(5)?,
        },
        standing: row.get::<_, Column<_>>(6)?.0,
        fetched_at: Some(fetched_at)
            .filter(|at| *at > 0)
            .and_then(|at| Timestamp::from_microsecond(at).ok()),
        due_at: row.get::<_, Option<Column<_>>>(8)?.map(|Column(at)| at),
        is_out: row.get(9)?,
        lane: row.get::<_, Column<_>>(10)?.0,
        failures: row.get(11)?,
        reason: row.get(12)?,
        events: row.get(13)?,
        failing_for: names(row, 14)?,
        given_up_for: names(row, 15)?,
    })
}

fn names(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<HandlerName>> {
    let text: Option<String> = row.get(column)?;
    Ok(text
        .iter()
        .flat_map(|text| text.split(','))
        .map(HandlerName::new)
        .collect())
}
