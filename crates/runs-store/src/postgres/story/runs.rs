//! Runs, in lists.
//!
//! A page looks at no more than some thousand rows, whatever it searches for, and then says where to go on.

use jiff::Timestamp;
use tallyfy_model::{OrgId, RunId};
use tokio_postgres::Row;

use crate::desks::{
    Candidate, HandlerName, LOOKED_AT, RunLabel, RunPlace, RunSummary, RunsOnly, RunsPage, RunsQuery, Wanted,
};
use crate::postgres::column::{Columns as _, limit as rows};
use crate::postgres::failure::Failure;
use crate::postgres::params::{params, text};
use crate::postgres::session::Transaction;

/// The columns of a run.
const COLUMNS: &str = "
    o.name, s.id, s.name, s.template, s.template_name, s.status, s.standing, s.fetched_at, s.due_at,
    s.lease_until IS NOT NULL, s.lane, s.failures, s.reason, s.events,
    ARRAY (SELECT h.name FROM handlers h JOIN cursors c ON c.handler = h.key AND c.subject = s.key
            WHERE c.failed_at IS NOT NULL ORDER BY h.key),
    ARRAY (SELECT DISTINCT h.name FROM dead_letters d JOIN handlers h ON h.key = d.handler
            WHERE d.subject = s.key ORDER BY h.name)";

/// What is looked at of a run to see whether it is meant.
const SEEN: &str = "s.key, s.fetched_at, s.org, s.id, s.name, s.template, s.template_name";

pub(super) async fn page(
    view: &Transaction,
    query: &RunsQuery,
    after: Option<RunPlace>,
    limit: usize,
) -> Result<RunsPage, Failure> {
    let Some(wanted) = wanted(view, query).await? else {
        return Ok(RunsPage::default());
    };
    let mut runs = Vec::new();
    let mut place = after;
    let mut left = LOOKED_AT;
    loop {
        // Few at first, since the first ones may do.
        let most = (limit * 2).clamp(64, left.max(1));
        let candidates = match (&query.run, query.only) {
            (Some(run), _) => by_id(view, run, place).await?,
            (None, Some(only)) => of_kind(view, only, place, most).await?,
            (None, None) => by_fetch(view, place, most).await?,
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
                runs.extend(summary(view, candidate.key).await?);
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
pub(super) async fn summary(view: &Transaction, key: i64) -> Result<Option<RunSummary>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM subjects s JOIN orgs o ON o.key = s.org WHERE s.key = $1");
    let found = view.row(&sql, params![key]).await?;
    found.map(|row| read(&row)).transpose()
}

/// `None` if the organization is not known, so that nothing is meant.
async fn wanted(view: &Transaction, query: &RunsQuery) -> Result<Option<Wanted>, Failure> {
    let mut org = None;
    if let Some(name) = &query.org {
        let find = "SELECT key FROM orgs WHERE name = $1";
        match view.row(find, params![text(name.as_str())]).await? {
            Some(row) => org = Some(row.at(0)?),
            None => return Ok(None),
        }
    }
    Ok(Some(Wanted::new(org, query)))
}

fn candidate(row: &Row) -> Result<Candidate, Failure> {
    Ok(Candidate {
        key: row.at(0)?,
        fetched_at: row.at(1)?,
        org: row.at(2)?,
        id: row.at(3)?,
        name: row.at(4)?,
        template: row.at(5)?,
        template_name: row.at(6)?,
    })
}

/// Those with this id, one in each organization at most.
async fn by_id(view: &Transaction, run: &RunId, after: Option<RunPlace>) -> Result<Vec<Candidate>, Failure> {
    let sql = format!(
        "SELECT {SEEN} FROM subjects s
          WHERE s.org IN (SELECT key FROM orgs) AND s.kind = 'run' AND s.id = $1 AND s.key < $2 ORDER BY s.key DESC"
    );
    let before = after.map_or(i64::MAX, |after| after.key);
    let found = view.rows(&sql, params![text(run.as_str()), before]).await?;
    found.iter().map(candidate).collect()
}

async fn by_fetch(view: &Transaction, after: Option<RunPlace>, most: usize) -> Result<Vec<Candidate>, Failure> {
    let sql = format!(
        "SELECT {SEEN} FROM subjects s
          WHERE s.kind = 'run' AND (s.fetched_at, s.key) < ($1, $2) ORDER BY s.fetched_at DESC, s.key DESC LIMIT $3"
    );
    let (at, key) = after.map_or((i64::MAX, i64::MAX), |after| (after.at, after.key));
    let found = view.rows(&sql, params![at, key, rows(most)]).await?;
    found.iter().map(candidate).collect()
}

async fn of_kind(
    view: &Transaction,
    only: RunsOnly,
    after: Option<RunPlace>,
    most: usize,
) -> Result<Vec<Candidate>, Failure> {
    // Each of these reads an index that holds nothing else, or few rows of one that is in this order.
    let keys = match only {
        RunsOnly::Due => "SELECT key FROM subjects WHERE due_at IS NOT NULL",
        RunsOnly::Failing => "SELECT key FROM subjects WHERE kind = 'run' AND (failures > 0 OR standing = 'no_access')",
        RunsOnly::Blocked => {
            "SELECT subject AS key FROM cursors WHERE failed_at IS NOT NULL UNION SELECT subject FROM dead_letters"
        }
    };
    let sql = format!(
        "SELECT {SEEN} FROM ({keys}) k JOIN subjects s ON s.key = k.key WHERE k.key < $1 ORDER BY k.key DESC LIMIT $2"
    );
    let before = after.map_or(i64::MAX, |after| after.key);
    let found = view.rows(&sql, params![before, rows(most)]).await?;
    found.iter().map(candidate).collect()
}

fn read(row: &Row) -> Result<RunSummary, Failure> {
    let fetched_at: i64 = row.at(7)?;
    let names = |column| -> Result<Vec<HandlerName>, Failure> {
        let names: Vec<String> = row.at(column)?;
        Ok(names.into_iter().map(HandlerName::new).collect())
    };
    Ok(RunSummary {
        org: OrgId::new(row.at::<String>(0)?),
        run: RunId::new(row.at::<String>(1)?),
        label: RunLabel {
            name: row.at(2)?,
            template: row.at(3)?,
            template_name: row.at(4)?,
            status: row.at(5)?,
        },
        standing: row.word(6)?,
        fetched_at: Some(fetched_at)
            .filter(|at| *at > 0)
            .and_then(|at| Timestamp::from_microsecond(at).ok()),
        due_at: row.time_if_any(8)?,
        is_out: row.at(9)?,
        lane: row.lane(10)?,
        failures: row.attempts(11)?,
        reason: row.at(12)?,
        events: row.count(13)?,
        failing_for: names(14)?,
        given_up_for: names(15)?,
    })
}
