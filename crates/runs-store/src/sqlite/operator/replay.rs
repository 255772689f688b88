//! Events that are handed out again.

use uuid::Uuid;

use super::put_back;
use crate::desks::HandlerName;
use crate::sqlite::column::Column;
use crate::sqlite::failure::Failure;
use crate::sqlite::writer::Transaction;
use crate::time::SchedulingTime;

/// Puts events in line for a handler again, and says how many of them there are.
pub(in crate::sqlite) fn replay(
    transaction: &Transaction<'_>,
    events: &[Uuid],
    handler: &HandlerName,
    now: SchedulingTime,
) -> Result<u64, Failure> {
    let key = transaction.row("SELECT key FROM handlers WHERE name = ?", [handler.as_str()], |row| {
        row.get::<_, i64>(0)
    })?;
    let Some(key) = key else {
        return Err(Failure::Unfitting(format!(
            "no handler was ever called `{handler}`; configure it and start the worker once"
        )));
    };
    let mut replayed = 0;
    for id in events {
        let place = transaction.row(
            "SELECT subject, number FROM events WHERE id = ?",
            [Column(*id)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        if let Some((subject, number)) = place {
            put_back(transaction, key, subject, number, now)?;
            replayed += 1;
        }
    }
    Ok(replayed)
}
