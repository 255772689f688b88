//! What makes subjects due beside notifications, and what is kept of an organization.

use jiff::Timestamp;
use tallyfy_model::{OrgId, RunId, TaskId};

use super::column::{Columns as _, micros};
use super::failure::Failure;
use super::filing::announced;
use super::params::{params, text};
use super::session::Transaction;
use super::subjects::{known_org, org_key, run_key, want_one};
use crate::desks::{LONGEST_PAUSE, Lane, NewNotification, Subject};
use crate::time::SchedulingTime;

pub(super) async fn request_refresh(
    transaction: &Transaction,
    org: &OrgId,
    run: &RunId,
    lane: Lane,
    now: SchedulingTime,
) -> Result<(), Failure> {
    let org = org_key(transaction, org).await?;
    let subject = run_key(transaction, org, &Subject::Run(run.clone())).await?;
    want_one(transaction, subject, lane, now).await?;
    if lane == Lane::Live {
        transaction
            .execute(
                "UPDATE subjects
                    SET due_at = least(due_at, greatest($1, CASE WHEN not_before > $2 THEN 0 ELSE not_before END))
                  WHERE key = $3 AND lease_until IS NULL",
                params![micros(now), micros(now.after(LONGEST_PAUSE)), subject],
            )
            .await?;
    }
    Ok(())
}

/// Files a notification that was kept because it was unreadable, as it would be filed now. Whether it was there.
pub(super) async fn recognize(
    transaction: &Transaction,
    read: &NewNotification,
    now: SchedulingTime,
) -> Result<bool, Failure> {
    let Some(subject) = &read.subject else { return Ok(false) };
    let org = org_key(transaction, &read.org).await?;
    let subject = run_key(transaction, org, subject).await?;
    let unread = transaction
        .row(
            "SELECT seq FROM notifications WHERE id = $1 AND subject IS NULL FOR NO KEY UPDATE",
            params![read.id],
        )
        .await?;
    let Some(seq) = unread.map(|row| row.at::<i64>(0)).transpose()? else {
        return Ok(false);
    };
    let ticket = want_one(transaction, subject, Lane::Live, now).await?;
    let mut key = read.dedupe_key.as_deref().map(text);
    if key.is_some() {
        let twin = "SELECT 1 FROM notifications WHERE org = $1 AND dedupe_key = $2 AND seq <> $3";
        if transaction.row(twin, params![org, key, seq]).await?.is_some() {
            key = None;
        }
    }
    let head = &read.head;
    transaction
        .execute(
            "UPDATE notifications
                SET subject = $1, ticket = $2, kind = $3, event = $4, run = $5, task = $6, announced = $7, dedupe_key = $8
              WHERE seq = $9",
            params![
                subject,
                ticket,
                text(&head.kind),
                head.event.as_deref().map(text),
                head.run.as_ref().map(RunId::as_str).map(text),
                head.task.as_ref().map(TaskId::as_str).map(text),
                announced(read)?,
                key,
                seq
            ],
        )
        .await?;
    Ok(true)
}

/// Notes since when an organization is watched.
pub(super) async fn watch(transaction: &Transaction, org: &OrgId, since: Timestamp) -> Result<(), Failure> {
    let org = org_key(transaction, org).await?;
    let watch = "UPDATE orgs SET watched_since = $1 WHERE key = $2 AND watched_since IS NULL";
    transaction.execute(watch, params![micros(since), org]).await?;
    Ok(())
}

pub(super) async fn budget(view: &Transaction, org: &OrgId) -> Result<Option<String>, Failure> {
    let found = view
        .row("SELECT budget FROM orgs WHERE name = $1", params![text(org.as_str())])
        .await?;
    Ok(found.map(|row| row.at(0)).transpose()?.flatten())
}

pub(super) async fn keep_budget(transaction: &Transaction, org: &OrgId, budget: &str) -> Result<(), Failure> {
    let key = known_org(transaction, org).await?;
    let key = match key {
        Some(key) => key,
        None => org_key(transaction, org).await?,
    };
    let keep = "UPDATE orgs SET budget = $1 WHERE key = $2";
    transaction.execute(keep, params![text(budget), key]).await?;
    Ok(())
}
