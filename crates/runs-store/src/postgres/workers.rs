//! The workers of a store, by the database's clock.

use super::column::{Columns as _, micros};
use super::failure::Failure;
use super::params::{params, text};
use super::session::Transaction;
use crate::desks::WorkerIdentity;
use crate::time::SchedulingTime;

/// What the database's clock shows, in microseconds. Not the time at which the transaction began.
pub(super) const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

/// What that clock shows.
pub(super) async fn time(view: &Transaction) -> Result<SchedulingTime, Failure> {
    let now = view
        .row(&format!("SELECT {NOW}"), &[])
        .await?
        .ok_or(Failure::Conflict)?;
    now.due(0)
}

/// Enters a worker, and says by which key it leases.
pub(super) async fn enter(transaction: &Transaction, worker: &WorkerIdentity) -> Result<i64, Failure> {
    let sql = format!(
        "INSERT INTO workers (id, name, host, version, started_at, seen_at) VALUES ($1, $2, $3, $4, {NOW}, {NOW})
         ON CONFLICT (id) DO UPDATE
            SET name = excluded.name, host = excluded.host, version = excluded.version,
                started_at = excluded.started_at, seen_at = excluded.seen_at, ended_at = NULL
         RETURNING key"
    );
    let (name, host, version) = (text(&worker.name), text(&worker.host), text(&worker.version));
    let entered = transaction.row(&sql, params![worker.id, name, host, version]).await?;
    entered.ok_or(Failure::Conflict)?.at(0)
}

/// Notes that a worker has ended in an orderly way.
pub(super) async fn leave(transaction: &Transaction, worker: i64) -> Result<(), Failure> {
    let sql = format!("UPDATE workers SET seen_at = {NOW}, ended_at = {NOW} WHERE key = $1");
    transaction.execute(&sql, params![worker]).await.map(drop)
}

/// Voids what a worker had leased when it ended before, which it cannot be working on any more. An attempt that ended like
/// this counts as failed: what brings the worker down each time would otherwise look as if it had never been tried.
///
/// Its clock is not yet held to the database's: where it is ahead, nothing has to wait for longer than its lease.
pub(super) async fn void_leases(transaction: &Transaction, worker: i64, now: SchedulingTime) -> Result<u64, Failure> {
    let refreshes = transaction
        .execute(
            "UPDATE subjects
                SET due_at = least($1, lease_until), lease_until = NULL, holder = NULL, looking = false, claimed = covered,
                    failures = failures + 1, lane = least(1, coalesce(next_lane, 1)), next_lane = NULL,
                    reason = 'the worker ended before this attempt did'
              WHERE due_at IS NOT NULL AND holder = $2 AND lease_until IS NOT NULL",
            params![micros(now), worker],
        )
        .await?;
    let deliveries = transaction
        .execute(
            "UPDATE cursors
                SET due_at = least($1, lease_until), lease_until = NULL, holder = NULL, reason = 'the worker ended before this attempt did'
              WHERE due_at IS NOT NULL AND holder = $2 AND lease_until IS NOT NULL",
            params![micros(now), worker],
        )
        .await?;
    Ok(refreshes + deliveries)
}
