//! Refreshes are committed or given back: all that end together, in a few statements.

use std::collections::{BTreeMap, HashMap};

use tallyfy_model::RunId;

use super::column::{Columns as _, micros};
use super::failure::Failure;
use super::outbox::{self, Covered, Published};
use super::params::{params, text};
use super::session::Transaction;
use super::story;
use super::subjects::{run_key, want};
use super::sweep;
use crate::desks::{
    EndedRefresh, Lane, LeaseLost, PostponeCause, Postponement, RefreshEnd, Refreshed, RunLabel, Subject, Word as _,
};
use crate::time::SchedulingTime;
use crate::torture;

/// A subject that is leased by the caller.
struct Held {
    org: i64,
    is_run: bool,
    wanted: i64,
    claimed: i64,
    covered: i64,
    events: i64,
}

/// Ends attempts, and wakes nobody; of each, whether it still had its lease.
pub(super) async fn end(
    transaction: &Transaction,
    ended: &[EndedRefresh],
    now: SchedulingTime,
) -> Result<Vec<Result<(), LeaseLost>>, Failure> {
    let mut held = lock(transaction, ended).await?;
    let mut outcomes = Vec::with_capacity(ended.len());
    let (mut commits, mut postponed, mut resolved) = (Vec::new(), Vec::new(), Vec::new());
    let mut told = Vec::new();
    for each in ended {
        let EndedRefresh { lease, end, report } = each;
        // A lease ends once.
        let Some(held) = held.remove(&(lease.key, lease.fence)) else {
            outcomes.push(Err(LeaseLost));
            continue;
        };
        outcomes.push(Ok(()));
        told.extend(report.as_ref().map(|report| (each, held.events + 1, report)));
        match end {
            RefreshEnd::Commit(refreshed) => commits.push((lease.key, held, refreshed)),
            RefreshEnd::Postpone(postponement) => postponed.push((lease.key, postponement)),
            RefreshEnd::Resolve(run) => resolved.push((lease.key, held, run)),
        }
    }
    commit(transaction, &commits, now).await?;
    for (key, postponement) in postponed {
        postpone(transaction, key, postponement).await?;
    }
    for (key, held, run) in resolved {
        resolve_task(transaction, key, &held, run, now).await?;
    }
    story::fetched(transaction, &told).await?;
    Ok(outcomes)
}

/// Locks what the callers hold, by subject and fencing number.
async fn lock(transaction: &Transaction, ended: &[EndedRefresh]) -> Result<HashMap<(i64, i64), Held>, Failure> {
    let of_subjects = ended.iter().map(|ended| &ended.lease);
    let of_subjects = of_subjects.filter(|lease| lease.handler.is_none());
    let (keys, fences): (Vec<i64>, Vec<i64>) = of_subjects.map(|lease| (lease.key, lease.fence)).unzip();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let found = transaction
        .rows(
            "SELECT l.key, l.fence, s.org, s.kind = 'run', s.wanted, s.claimed, s.covered, s.events
               FROM unnest($1, $2) AS l (key, fence)
               JOIN subjects s ON s.key = l.key AND s.fence = l.fence AND s.lease_until IS NOT NULL
              ORDER BY s.key FOR NO KEY UPDATE OF s",
            params![; keys, fences],
        )
        .await?;
    let held = found.iter().map(|row| {
        let held = Held {
            org: row.at(2)?,
            is_run: row.at(3)?,
            wanted: row.at(4)?,
            claimed: row.at(5)?,
            covered: row.at(6)?,
            events: row.at(7)?,
        };
        Ok(((row.at(0)?, row.at(1)?), held))
    });
    held.collect()
}

async fn commit(
    transaction: &Transaction,
    commits: &[(i64, Held, &Refreshed)],
    now: SchedulingTime,
) -> Result<(), Failure> {
    if commits.is_empty() {
        return Ok(());
    }
    let mut published = Vec::new();
    for (subject, held, refreshed) in commits {
        if !refreshed.events.is_empty() && !held.is_run {
            return Err(Failure::Refused("a task that has no run has no events"));
        }
        let covered = Covered {
            first: held.covered + 1,
            last: held.claimed,
        };
        for (event, number) in refreshed.events.iter().zip(held.events + 1..) {
            published.push(Published {
                subject: *subject,
                number,
                covered,
                event,
            });
        }
    }
    outbox::publish(transaction, &published, now).await?;
    torture::point("postgres.events-published");
    let seen = commits.iter().filter(|(_, held, _)| held.is_run);
    let seen: Vec<_> = seen
        .map(|(subject, held, refreshed)| (held.org, *subject, refreshed.version.as_ref()))
        .collect();
    // None needs the outcome of another, so they are sent without waiting for it.
    tokio::try_join!(
        biased;
        keep_snapshots(transaction, commits),
        sweep::fetched(transaction, &seen),
        end_leases(transaction, commits, now),
    )?;
    Ok(())
}

async fn keep_snapshots(transaction: &Transaction, commits: &[(i64, Held, &Refreshed)]) -> Result<(), Failure> {
    let new = commits
        .iter()
        .filter_map(|(subject, _, refreshed)| Some((*subject, refreshed.snapshot.as_ref()?)));
    let new: Vec<_> = new.collect();
    if new.is_empty() {
        return Ok(());
    }
    let subjects: Vec<i64> = new.iter().map(|(subject, _)| *subject).collect();
    let fetched_at: Vec<i64> = new.iter().map(|(_, snapshot)| micros(snapshot.fetched_at)).collect();
    let bodies: Vec<&[u8]> = new.iter().map(|(_, snapshot)| snapshot.body.as_ref()).collect();
    transaction
        .execute(
            "INSERT INTO snapshots (subject, fetched_at, body) SELECT * FROM unnest($1, $2, $3)
             ON CONFLICT (subject) DO UPDATE SET fetched_at = excluded.fetched_at, body = excluded.body",
            params![; subjects, fetched_at, bodies],
        )
        .await?;
    Ok(())
}

async fn end_leases(
    transaction: &Transaction,
    commits: &[(i64, Held, &Refreshed)],
    now: SchedulingTime,
) -> Result<(), Failure> {
    // What was asked for since the claim goes before a look of our own.
    let is_wanted = |held: &Held| held.wanted > held.claimed;
    let due = commits.iter().map(|(_, held, refreshed)| match is_wanted(held) {
        true => Some(now.max(refreshed.not_before)),
        false => refreshed.look_again,
    });
    let due_at: Vec<Option<i64>> = due.map(|due| due.map(micros)).collect();
    let looking: Vec<bool> = commits
        .iter()
        .zip(&due_at)
        .map(|((_, held, _), due)| !is_wanted(held) && due.is_some())
        .collect();
    let keys: Vec<i64> = commits.iter().map(|(subject, ..)| *subject).collect();
    let not_before: Vec<i64> = commits
        .iter()
        .map(|(.., refreshed)| micros(refreshed.not_before))
        .collect();
    let standing: Vec<&str> = commits
        .iter()
        .map(|(.., refreshed)| refreshed.standing.word())
        .collect();
    let made = |refreshed: &Refreshed| i64::try_from(refreshed.events.len()).unwrap_or(i64::MAX);
    let events: Vec<i64> = commits
        .iter()
        .map(|(_, held, refreshed)| held.events + made(refreshed))
        .collect();
    let memory: Vec<Option<String>> = commits
        .iter()
        .map(|(.., refreshed)| refreshed.memory.as_deref().map(text))
        .collect();
    let labelled: Vec<bool> = commits
        .iter()
        .map(|(.., refreshed)| refreshed.label.is_some())
        .collect();
    let label = |part: fn(&RunLabel) -> Option<&str>| -> Vec<Option<String>> {
        let labels = commits.iter().map(|(.., refreshed)| refreshed.label.as_ref());
        labels.map(|label| label.and_then(part).map(story::short)).collect()
    };
    let name = label(|label| label.name.as_deref());
    let template = label(|label| label.template.as_deref());
    let template_name = label(|label| label.template_name.as_deref());
    let status = label(|label| label.status.as_deref());
    transaction
        .execute(
            "UPDATE subjects s
                SET covered = s.claimed, lease_until = NULL, holder = NULL, due_at = c.due_at, looking = c.looking,
                    not_before = c.not_before, standing = c.standing, events = c.events, memory = c.memory,
                    lane = CASE WHEN c.looking THEN 1 ELSE coalesce(s.next_lane, 0) END, next_lane = NULL, failures = 0,
                    reason = NULL, fetched_at = $1,
                    name = CASE WHEN c.labelled THEN c.name ELSE s.name END,
                    template = CASE WHEN c.labelled THEN c.template ELSE s.template END,
                    template_name = CASE WHEN c.labelled THEN c.template_name ELSE s.template_name END,
                    status = CASE WHEN c.labelled THEN c.status ELSE s.status END
               FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
                 AS c (key, due_at, looking, not_before, standing, events, memory,
                       labelled, name, template, template_name, status)
              WHERE s.key = c.key",
            params![
                micros(now);
                keys, due_at, looking, not_before, standing, events, memory,
                labelled, name, template, template_name, status
            ],
        )
        .await?;
    Ok(())
}

async fn postpone(transaction: &Transaction, subject: i64, postponement: &Postponement) -> Result<(), Failure> {
    // A failure sends it among the retries, unless something better was asked for meanwhile.
    transaction
        .execute(
            "UPDATE subjects
                SET due_at = $1, lease_until = NULL, holder = NULL, claimed = covered,
                    looking = $2 AND next_lane IS NULL, failures = failures + (CASE WHEN $3 THEN 1 ELSE 0 END),
                    reason = $4, memory = coalesce($5, memory),
                    lane = CASE WHEN $3 THEN least(1, coalesce(next_lane, 1)) ELSE least(lane, coalesce(next_lane, lane)) END,
                    next_lane = NULL
              WHERE key = $6",
            params![
                micros(postponement.until),
                postponement.cause == PostponeCause::LookAgain,
                postponement.cause == PostponeCause::Failed,
                text(&postponement.reason),
                postponement.memory.as_deref().map(text),
                subject
            ],
        )
        .await?;
    Ok(())
}

async fn resolve_task(
    transaction: &Transaction,
    task: i64,
    held: &Held,
    run: &RunId,
    now: SchedulingTime,
) -> Result<(), Failure> {
    if held.is_run {
        return Err(Failure::Refused("a run has no run"));
    }
    let run = run_key(transaction, held.org, &Subject::Run(run.clone())).await?;
    let pending = transaction
        .rows(
            "SELECT seq FROM notifications WHERE subject = $1 AND ticket > $2 ORDER BY ticket",
            params![task, held.covered],
        )
        .await?;
    let pending: Vec<i64> = pending.iter().map(|row| row.at(0)).collect::<Result<_, _>>()?;
    // Once in any case: a duplicate may have made the task due without leaving a notification of its own.
    let taken = i64::try_from(pending.len().max(1)).unwrap_or(i64::MAX);
    let last = want(transaction, &BTreeMap::from([(run, taken)]), Lane::Live, now).await?;
    let first = last.get(&run).copied().unwrap_or_default() - taken + 1;
    transaction
        .execute(
            "UPDATE notifications n SET subject = $1, ticket = $2 + p.place - 1
               FROM unnest($3) WITH ORDINALITY AS p (seq, place) WHERE n.seq = p.seq",
            params![run, first; pending],
        )
        .await?;
    transaction
        .execute(
            "UPDATE subjects
                SET run = $1, claimed = wanted, covered = wanted, due_at = NULL, lease_until = NULL, holder = NULL,
                    lane = 0, next_lane = NULL, failures = 0, memory = NULL, reason = NULL, standing = 'present'
              WHERE key = $2",
            params![run, task],
        )
        .await?;
    Ok(())
}
