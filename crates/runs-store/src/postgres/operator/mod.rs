//! What a person looks at and sets right, a file for each thing.

pub(super) mod dead_letters;
pub(super) mod deliveries;
pub(super) mod events;
pub(super) mod handlers;
pub(super) mod ids;
pub(super) mod notifications;
pub(super) mod replay;

use uuid::Uuid;

use super::column::{Columns as _, micros};
use super::failure::Failure;
use super::outbox::{Place, columns};
use super::params::{Typed, array, params, text, typed};
use super::session::Transaction;
use crate::desks::Query;
use crate::time::SchedulingTime;

/// How many rows are changed in one transaction: the workers write in between.
pub(super) const BATCH: usize = 500;

/// Which events a query means, for its values $1, $2, $5 and $6.
const EVENT_IS_MEANT: &str = "
        ($1 IS NULL OR s.id = $1) AND ($2 IS NULL OR o.name = $2)
    AND (cardinality($5) = 0 OR e.id = ANY ($5)) AND (cardinality($6) = 0 OR e.type = ANY ($6))";

/// What a query says, as the values $1 to $7 of a statement.
struct Meant {
    run: Option<String>,
    org: Option<String>,
    since: Option<i64>,
    until: Option<i64>,
    ids: Vec<Uuid>,
    types: Vec<String>,
    /// The key of the handler, by which the planner knows how many rows it has.
    handler: Option<i64>,
}

/// The key of a handler that there is not.
const NOBODY: i64 = 0;

impl Meant {
    async fn by(view: &Transaction, query: &Query) -> Result<Self, Failure> {
        let handler = match &query.handler {
            Some(name) => {
                let find = "SELECT key FROM handlers WHERE name = $1";
                let found = view.row(find, params![text(name.as_str())]).await?;
                Some(found.map_or(Ok(NOBODY), |row| row.at(0))?)
            }
            None => None,
        };
        Ok(Self {
            run: query.run.as_ref().map(|run| text(run.as_str())),
            org: query.org.as_ref().map(|org| text(org.as_str())),
            since: query.since.map(micros),
            until: query.until.map(micros),
            ids: query.ids.clone(),
            types: query.types.iter().map(|name| text(name)).collect(),
            handler,
        })
    }

    /// The values, and from $8 on these.
    fn and<'v>(&'v self, more: &[Typed<'v>]) -> Vec<Typed<'v>> {
        let mut values = vec![
            typed(&self.run),
            typed(&self.org),
            typed(&self.since),
            typed(&self.until),
            array(&self.ids),
            array(&self.types),
            typed(&self.handler),
        ];
        values.extend_from_slice(more);
        values
    }
}

/// Puts events at the heads of their runs' lines for handlers, unless an earlier one is there; if the head is out for
/// delivery, it is the next.
async fn put_back(transaction: &Transaction, mut places: Vec<Place>, now: SchedulingTime) -> Result<(), Failure> {
    if places.is_empty() {
        return Ok(());
    }
    places.sort_unstable();
    places.dedup();
    let (handlers, subjects, numbers) = columns(&places);
    transaction
        .execute(
            "INSERT INTO deliveries (handler, subject, number, since)
             SELECT handler, subject, number, $1 FROM unnest($2, $3, $4) AS d (handler, subject, number)
             ON CONFLICT DO NOTHING",
            params![micros(now); handlers, subjects, numbers],
        )
        .await?;
    // That it was delivered once is told along with what becomes of it now.
    transaction
        .execute(
            "INSERT INTO attempts (subject, number, handler, fence, attempt, at, took, ended, worker)
             SELECT o.subject, o.number, o.handler, o.fence, o.attempt, o.told_at, o.took, 0, o.worker
               FROM unnest($1, $2, $3) AS p (handler, subject, number)
               JOIN outcomes o ON o.subject = p.subject AND o.number = p.number AND o.handler = p.handler
              WHERE o.fence IS NOT NULL
             ON CONFLICT DO NOTHING",
            params![; handlers, subjects, numbers],
        )
        .await?;
    transaction
        .execute(
            "DELETE FROM outcomes o USING unnest($1, $2, $3) AS p (handler, subject, number)
              WHERE o.subject = p.subject AND o.number = p.number AND o.handler = p.handler",
            params![; handlers, subjects, numbers],
        )
        .await?;
    // The first of each line.
    places.dedup_by_key(|place| (place.0, place.1));
    let (handlers, subjects, numbers) = columns(&places);
    transaction
        .execute(
            "INSERT INTO cursors (handler, subject, number, due_at)
             SELECT handler, subject, number, $1
               FROM unnest($2, $3, $4) WITH ORDINALITY AS c (handler, subject, number, place) ORDER BY place
             ON CONFLICT (handler, subject) DO UPDATE
                SET number = excluded.number, due_at = excluded.due_at, attempts = 0, reason = NULL,
                    tried_since = NULL, failed_at = NULL
              WHERE cursors.due_at IS NULL OR (cursors.lease_until IS NULL AND excluded.number < cursors.number)",
            params![micros(now); handlers, subjects, numbers],
        )
        .await?;
    transaction.wake_deliverable();
    Ok(())
}
