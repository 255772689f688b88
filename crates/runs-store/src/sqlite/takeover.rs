//! What the owner before us left behind.

use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::column::Column;
use crate::desks::{LONGEST_PAUSE, Lanes, lanes, lines};
use crate::time::SchedulingTime;
use crate::torture;

/// What is postponed further than this may have been so by a clock that has been set back since, and is due at once. To be
/// wrong about that costs one early attempt at a start; to wait for a time that is an hour ahead would cost an hour.
const FURTHEST: Duration = Duration::from_secs(5 * 60);

/// Voids the leases of the owner before us, who cannot be working any more, and the due times that make no sense.
///
/// An attempt that ended like this counts as failed. Something that brings the worker down each time would otherwise
/// look as if it had never been tried.
pub(super) fn take_over(connection: &mut Connection, now: SchedulingTime) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let refreshes = transaction.execute(
        "UPDATE subjects
            SET due_at = ?1, lease_until = NULL, looking = 0, claimed = covered, failures = failures + 1,
                lane = min(1, coalesce(next_lane, 1)), next_lane = NULL,
                reason = 'the worker ended before this attempt did'
          WHERE lease_until IS NOT NULL",
        params![Column(now)],
    )?;
    let deliveries = transaction.execute(
        "UPDATE cursors
            SET due_at = ?1, lease_until = NULL, reason = 'the worker ended before this attempt did'
          WHERE lease_until IS NOT NULL",
        params![Column(now)],
    )?;
    let sensible = now.after(FURTHEST);
    let mut postponed = 0;
    // By organization and line, and by handler, because so are the indexes.
    for org in keys(&transaction, "SELECT key FROM orgs")? {
        for (lane, is_known) in lines(lanes(Lanes::All)) {
            postponed += transaction.execute(
                "UPDATE subjects INDEXED BY subjects_waiting SET due_at = ?1
                  WHERE org = ?2 AND lane = ?3 AND (standing = 'present') = ?4 AND due_at > iif(looking, ?6, ?5)
                    AND due_at > ?5 AND lease_until IS NULL",
                params![
                    Column(now),
                    org,
                    Column(lane),
                    is_known,
                    Column(sensible),
                    Column(now.after(LONGEST_PAUSE))
                ],
            )?;
        }
    }
    for handler in keys(&transaction, "SELECT key FROM handlers")? {
        postponed += transaction.execute(
            "UPDATE cursors INDEXED BY cursors_waiting SET due_at = ?1
              WHERE handler = ?2 AND due_at > ?3 AND lease_until IS NULL",
            params![Column(now), handler, Column(sensible)],
        )?;
    }
    transaction.execute(
        "UPDATE subjects SET not_before = 0 WHERE not_before > ?",
        [Column(sensible)],
    )?;
    torture::point("take-over.before-commit");
    transaction.commit()?;
    if refreshes + deliveries + postponed > 0 {
        tracing::info!(refreshes, deliveries, postponed, "work of the last owner is due again");
    }
    Ok(())
}

fn keys(transaction: &Transaction<'_>, sql: &str) -> rusqlite::Result<Vec<i64>> {
    let mut statement = transaction.prepare(sql)?;
    let keys = statement.query_map([], |row| row.get(0))?;
    keys.collect()
}
