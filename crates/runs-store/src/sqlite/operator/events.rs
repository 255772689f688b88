//! Events, as a person looks at them.

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{Row, ToSql};
use tallyfy_model::{OrgId, RunId};
use uuid::Uuid;

use super::{EVENT_IS_MEANT, Meant, body, few_events};
use crate::desks::{EventPage, EventSummary, HandlerName, Query, Whole};
use crate::sqlite::column::{Column, limit as rows};
use crate::sqlite::failure::Failure;
use crate::sqlite::writer::Transaction;

/// The columns of an event.
pub(in crate::sqlite) const COLUMNS: &str = "
    events.id, orgs.name, subjects.id, events.number, events.type, events.created_at,
    (SELECT group_concat(handlers.name) FROM deliveries JOIN handlers ON handlers.key = deliveries.handler
      WHERE deliveries.subject = events.subject AND deliveries.number = events.number),
    (SELECT group_concat(handlers.name) FROM dead_letters JOIN handlers ON handlers.key = dead_letters.handler
      WHERE dead_letters.subject = events.subject AND dead_letters.number = events.number),
    (SELECT group_concat(handlers.name || ':' || outcomes.at) FROM outcomes JOIN handlers ON handlers.key = outcomes.handler
      WHERE outcomes.subject = events.subject AND outcomes.number = events.number AND kept_back_by IS NULL),
    (SELECT group_concat(handlers.name || ':' || kept_back_by) FROM outcomes JOIN handlers ON handlers.key = outcomes.handler
      WHERE outcomes.subject = events.subject AND outcomes.number = events.number)";
/// How many columns that are.
const COLUMN_COUNT: usize = 10;

/// Where they are from.
pub(in crate::sqlite) const FROM: &str =
    "events JOIN subjects ON subjects.key = events.subject JOIN orgs ON orgs.key = subjects.org";

/// What else a query says of events, for its values ?3, ?4, ?7 and ?8.
const MEANT: &str = "
        (?3 IS NULL OR events.created_at >= ?3) AND (?4 IS NULL OR events.created_at < ?4)
    AND ((?7 IS NULL AND NOT ?8)
      OR EXISTS (SELECT 1 FROM deliveries JOIN handlers ON handlers.key = deliveries.handler
                  WHERE deliveries.subject = events.subject AND deliveries.number = events.number
                    AND (?7 IS NULL OR handlers.name = ?7))
      OR (NOT ?8 AND EXISTS (
                 SELECT 1 FROM (SELECT handler, subject, number FROM dead_letters
                                 UNION ALL SELECT handler, subject, number FROM outcomes) AS ended
                   JOIN handlers ON handlers.key = ended.handler
                  WHERE ended.subject = events.subject AND ended.number = events.number AND handlers.name = ?7)))";

/// Events, the newest first.
pub(in crate::sqlite) fn newest(
    view: &Transaction<'_>,
    query: &Query,
    limit: usize,
) -> Result<Vec<EventSummary>, Failure> {
    let few = few_events(query);
    let after = query.after.as_ref().map(|after| Column(after.id));
    let on = after
        .as_ref()
        .map_or("", |_| " AND events.seq < (SELECT seq FROM events WHERE id = ?10)");
    let sql = format!(
        "SELECT {COLUMNS} FROM {FROM} WHERE {EVENT_IS_MEANT}{few} AND {MEANT}{on} ORDER BY events.seq DESC LIMIT ?9"
    );
    let limit = rows(limit);
    let meant = Meant::by(query);
    let mut values = meant.and(&[&query.pending, &limit]);
    values.extend(after.as_ref().map(|after| after as &dyn ToSql));
    view.rows(&sql, values.as_slice(), |row| summary(row, 0))
}

/// An event with its body.
pub(in crate::sqlite) fn whole(view: &Transaction<'_>, id: Uuid) -> Result<Option<Whole<EventSummary>>, Failure> {
    let mut query = Query::default();
    query.ids.push(id);
    let Some(summary) = newest(view, &query, 1)?.pop() else {
        return Ok(None);
    };
    let body = view.row("SELECT body FROM events WHERE id = ?", [Column(id)], body)?;
    Ok(body.map(|body| Whole::new(summary, body)))
}

/// Events with their bodies, the oldest first.
pub(in crate::sqlite) fn page(
    view: &Transaction<'_>,
    query: &Query,
    after: i64,
    limit: usize,
) -> Result<EventPage, Failure> {
    let few = few_events(query);
    let sql = format!(
        "SELECT {COLUMNS}, events.body, events.seq FROM {FROM}
          WHERE {EVENT_IS_MEANT}{few} AND {MEANT} AND events.seq > ?9
          ORDER BY events.seq LIMIT ?10"
    );
    let (meant, limit) = (Meant::by(query), rows(limit));
    let values = meant.and(&[&query.pending, &after, &limit]);
    let mut last = after;
    let events = view.rows(&sql, values.as_slice(), |row| {
        last = row.get(COLUMN_COUNT + 1)?;
        let body: Vec<u8> = row.get(COLUMN_COUNT)?;
        Ok(Whole::new(summary(row, 0)?, Bytes::from(body)))
    })?;
    Ok(EventPage::new(events, last))
}

/// Reads [`COLUMNS`] from this column on.
pub(in crate::sqlite) fn summary(row: &Row<'_>, first: usize) -> rusqlite::Result<EventSummary> {
    Ok(EventSummary {
        id: row.get::<_, Column<Uuid>>(first)?.0,
        org: OrgId::new(row.get::<_, String>(first + 1)?),
        run: RunId::new(row.get::<_, String>(first + 2)?),
        number: row.get(first + 3)?,
        event_type: row.get(first + 4)?,
        created_at: row.get::<_, Column<Timestamp>>(first + 5)?.0,
        waiting: listed(row, first + 6, |name| Some(HandlerName::new(name)))?,
        dead: listed(row, first + 7, |name| Some(HandlerName::new(name)))?,
        delivered: listed(row, first + 8, |text| {
            let (name, at) = text.rsplit_once(':')?;
            let at = Timestamp::from_microsecond(at.parse().ok()?).ok()?;
            Some((HandlerName::new(name), at))
        })?,
        kept_back: listed(row, first + 9, |text| {
            let (name, key) = text.rsplit_once(':')?;
            Some((HandlerName::new(name), key.to_owned()))
        })?,
    })
}

/// What a column lists with commas in between.
fn listed<T>(row: &Row<'_>, column: usize, read: impl Fn(&str) -> Option<T>) -> rusqlite::Result<Vec<T>> {
    let text: Option<String> = row.get(column)?;
    Ok(text.iter().flat_map(|text| text.split(',')).filter_map(read).collect())
}
