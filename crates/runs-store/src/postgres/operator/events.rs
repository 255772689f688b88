//! Events, as a person looks at them.

use bytes::Bytes;
use tallyfy_model::{OrgId, RunId};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{EVENT_IS_MEANT, Meant};
use crate::desks::{EventPage, EventSummary, HandlerName, Query, Whole};
use crate::postgres::column::{Columns as _, limit as rows};
use crate::postgres::failure::Failure;
use crate::postgres::params::{params, typed};
use crate::postgres::session::Transaction;

/// The columns of an event.
pub(in crate::postgres) const COLUMNS: &str = "
    e.id, o.name, s.id, e.number, e.type, e.created_at,
    ARRAY (SELECT h.name FROM deliveries d JOIN handlers h ON h.key = d.handler
            WHERE d.subject = e.subject AND d.number = e.number ORDER BY h.key),
    ARRAY (SELECT h.name FROM dead_letters d JOIN handlers h ON h.key = d.handler
            WHERE d.subject = e.subject AND d.number = e.number ORDER BY h.key),
    ARRAY (SELECT h.name FROM outcomes d JOIN handlers h ON h.key = d.handler
            WHERE d.subject = e.subject AND d.number = e.number ORDER BY h.key),
    ARRAY (SELECT d.at FROM outcomes d
            WHERE d.subject = e.subject AND d.number = e.number ORDER BY d.handler),
    ARRAY (SELECT d.kept_back_by FROM outcomes d
            WHERE d.subject = e.subject AND d.number = e.number ORDER BY d.handler)";
/// How many columns that are.
const COLUMN_COUNT: usize = 11;

/// Where they are from.
pub(in crate::postgres) const FROM: &str = "events e JOIN subjects s ON s.key = e.subject JOIN orgs o ON o.key = s.org";

/// What else a query says of events, for its values $3, $4, $7 and $8.
const MEANT: &str = "
        ($3 IS NULL OR e.created_at >= $3) AND ($4 IS NULL OR e.created_at < $4)
    AND (($7 IS NULL AND NOT $8)
      OR EXISTS (SELECT 1 FROM deliveries d
                  WHERE d.subject = e.subject AND d.number = e.number AND ($7 IS NULL OR d.handler = $7))
      OR (NOT $8 AND EXISTS (
                 SELECT 1 FROM (SELECT handler, subject, number FROM dead_letters
                                 UNION ALL SELECT handler, subject, number FROM outcomes) AS ended
                  WHERE ended.subject = e.subject AND ended.number = e.number AND ended.handler = $7)))";

/// Events, the newest first.
pub(in crate::postgres) async fn newest(
    view: &Transaction,
    query: &Query,
    limit: usize,
) -> Result<Vec<EventSummary>, Failure> {
    let sql = format!(
        "SELECT {COLUMNS} FROM {FROM} WHERE {EVENT_IS_MEANT} AND {MEANT}
            AND ($10 IS NULL OR e.seq < (SELECT seq FROM events WHERE id = $10))
          ORDER BY e.seq DESC LIMIT $9"
    );
    let (meant, limit) = (Meant::by(view, query).await?, rows(limit));
    let after = query.after.as_ref().map(|after| after.id);
    let values = meant.and(&[typed(&query.pending), typed(&limit), typed(&after)]);
    let found = view.rows(&sql, &values).await?;
    found.iter().map(|row| summary(row, 0)).collect()
}

/// An event with its body.
pub(in crate::postgres) async fn whole(view: &Transaction, id: Uuid) -> Result<Option<Whole<EventSummary>>, Failure> {
    let mut query = Query::default();
    query.ids.push(id);
    let Some(summary) = newest(view, &query, 1).await?.pop() else {
        return Ok(None);
    };
    let body = view.row("SELECT body FROM events WHERE id = $1", params![id]).await?;
    let body = body.map(|row| row.at::<Vec<u8>>(0)).transpose()?;
    Ok(body.map(|body| Whole::new(summary, Bytes::from(body))))
}

/// Events with their bodies, the oldest first.
pub(in crate::postgres) async fn page(
    view: &Transaction,
    query: &Query,
    after: i64,
    limit: usize,
) -> Result<EventPage, Failure> {
    let sql = format!(
        "SELECT {COLUMNS}, e.body, e.seq FROM {FROM} WHERE {EVENT_IS_MEANT} AND {MEANT} AND e.seq > $9
          ORDER BY e.seq LIMIT $10"
    );
    let (meant, limit) = (Meant::by(view, query).await?, rows(limit));
    let found = view
        .rows(&sql, &meant.and(&[typed(&query.pending), typed(&after), typed(&limit)]))
        .await?;
    let mut last = after;
    let mut events = Vec::with_capacity(found.len());
    for row in &found {
        last = row.at(COLUMN_COUNT + 1)?;
        let body: Vec<u8> = row.at(COLUMN_COUNT)?;
        events.push(Whole::new(summary(row, 0)?, Bytes::from(body)));
    }
    Ok(EventPage::new(events, last))
}

/// Reads [`COLUMNS`] from this column on.
pub(in crate::postgres) fn summary(row: &Row, first: usize) -> Result<EventSummary, Failure> {
    let names = |column| -> Result<Vec<HandlerName>, Failure> {
        let names: Vec<String> = row.at(first + column)?;
        Ok(names.into_iter().map(HandlerName::new).collect())
    };
    let mut summary = EventSummary {
        id: row.at(first)?,
        org: OrgId::new(row.at::<String>(first + 1)?),
        run: RunId::new(row.at::<String>(first + 2)?),
        number: row.count(first + 3)?,
        event_type: row.at(first + 4)?,
        created_at: row.time(first + 5)?,
        waiting: names(6)?,
        dead: names(7)?,
        delivered: Vec::new(),
        kept_back: Vec::new(),
    };
    let times: Vec<i64> = row.at(first + 9)?;
    let keys: Vec<Option<String>> = row.at(first + 10)?;
    for ((handler, at), key) in names(8)?.into_iter().zip(times).zip(keys) {
        match key {
            Some(key) => summary.kept_back.push((handler, key)),
            None => {
                let at = jiff::Timestamp::from_microsecond(at);
                summary
                    .delivered
                    .push((handler, at.map_err(|error| Failure::damaged(&error.to_string()))?));
            }
        }
    }
    Ok(summary)
}
