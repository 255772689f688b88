//! What a handler left behind.

use crate::desks::HandlerName;
use crate::postgres::column::Columns as _;
use crate::postgres::failure::Failure;
use crate::postgres::params::{params, text};
use crate::postgres::session::Transaction;

/// Deletes what waits for a handler that is not active, and says how many events that were.
pub(in crate::postgres) async fn drop_waiting(
    transaction: &Transaction,
    handler: &HandlerName,
) -> Result<u64, Failure> {
    let find = "SELECT key, active FROM handlers WHERE name = $1 FOR NO KEY UPDATE";
    let found = transaction.row(find, params![text(handler.as_str())]).await?;
    let Some(found) = found else {
        return Err(Failure::Unfitting(format!("no handler was ever called `{handler}`")));
    };
    if found.at(1)? {
        return Err(Failure::Unfitting(format!(
            "the handler `{handler}` is configured; take it out of the configuration and start the worker once"
        )));
    }
    let key: i64 = found.at(0)?;
    transaction
        .execute(
            "UPDATE cursors
                SET due_at = NULL, lease_until = NULL, holder = NULL, attempts = 0, reason = NULL, tried_since = NULL,
                    failed_at = NULL
              WHERE handler = $1",
            params![key],
        )
        .await?;
    transaction
        .execute("DELETE FROM deliveries WHERE handler = $1", params![key])
        .await
}
