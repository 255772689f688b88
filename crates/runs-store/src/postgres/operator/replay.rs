//! Events that are handed out again.

use uuid::Uuid;

use super::put_back;
use crate::desks::HandlerName;
use crate::postgres::column::Columns as _;
use crate::postgres::failure::Failure;
use crate::postgres::outbox::Place;
use crate::postgres::params::{params, text};
use crate::postgres::session::Transaction;
use crate::time::SchedulingTime;

/// Puts events in line for a handler again, and says how many of them there are.
pub(in crate::postgres) async fn replay(
    transaction: &Transaction,
    events: &[Uuid],
    handler: &HandlerName,
    now: SchedulingTime,
) -> Result<u64, Failure> {
    let find = "SELECT key FROM handlers WHERE name = $1";
    let Some(found) = transaction.row(find, params![text(handler.as_str())]).await? else {
        return Err(Failure::Unfitting(format!(
            "no handler was ever called `{handler}`; configure it and start the worker once"
        )));
    };
    let key: i64 = found.at(0)?;
    let ids = events.to_vec();
    let found = transaction
        .rows("SELECT subject, number FROM events WHERE id = ANY ($1)", params![; ids])
        .await?;
    let places = found.iter().map(|row| Ok((key, row.at(0)?, row.at(1)?)));
    let places: Vec<Place> = places.collect::<Result<_, Failure>>()?;
    let replayed = places.len() as u64;
    put_back(transaction, places, now).await?;
    Ok(replayed)
}
