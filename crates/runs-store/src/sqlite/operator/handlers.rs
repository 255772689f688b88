//! What a handler left behind.

use crate::desks::HandlerName;
use crate::sqlite::failure::Failure;
use crate::sqlite::writer::Transaction;

/// Deletes what waits for a handler that is not active, and says how many events that were.
pub(in crate::sqlite) fn drop_waiting(transaction: &Transaction<'_>, handler: &HandlerName) -> Result<u64, Failure> {
    let found = transaction.row(
        "SELECT key, active FROM handlers WHERE name = ?",
        [handler.as_str()],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?)),
    )?;
    let key = match found {
        Some((key, false)) => key,
        Some((_, true)) => {
            return Err(Failure::Unfitting(format!(
                "the handler `{handler}` is configured; take it out of the configuration and start the worker once"
            )));
        }
        None => return Err(Failure::Unfitting(format!("no handler was ever called `{handler}`"))),
    };
    transaction.execute(
        "UPDATE cursors
            SET due_at = NULL, lease_until = NULL, attempts = 0, reason = NULL, tried_since = NULL, failed_at = NULL
          WHERE handler = ?",
        [key],
    )?;
    let dropped = transaction.execute("DELETE FROM deliveries WHERE handler = ?", [key])?;
    Ok(dropped as u64)
}
