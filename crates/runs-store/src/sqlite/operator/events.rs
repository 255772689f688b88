//! Events, as a person looks at them.

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{Row, params};
use tallyfy_model::{OrgId, RunId};
use uuid::Uuid;

use super::{body, handler_of, ids_of, org_of, run_of, since, types, until};
use crate::desks::{EventPage, EventSummary, HandlerName, Query, Whole};
use crate::sqlite::column::{Column, limit as rows};
use crate::sqlite::failure::Failure;
use crate::sqlite::writer::Transaction;

/// The columns of an event.
pub(super) const COLUMNS: &str = "
    events.id, orgs.name, subjects.id, events.number, events.type, events.created_at,
    (SELECT group_concat(handlers.name) FROM deliveries JOIN handlers ON handlers.key = deliveries.handler
      WHERE deliveries.subject = events.subject AND deliveries.number = events.number),
    (SELECT group_concat(handlers.name) FROM dead_letters JOIN handlers ON handlers.key = dead_letters.handler
      WHERE dead_letters.subject = events.subject AND dead_letters.number = events.number)";

/// Where they are from.
pub(super) const FROM: &str =
    "events JOIN subjects ON subjects.key = events.subject JOIN orgs ON orgs.key = subjects.org";

/// Which events a query means, for its values from ?1 to ?8.
const MEANT: &str = "
        (?1 IS NULL OR subjects.id = ?1) AND (?2 IS NULL OR orgs.name = ?2)
    AND (?3 IS NULL OR events.created_at >= ?3) AND (?4 IS NULL OR events.created_at < ?4)
    AND (?5 = '' OR instr(?5, hex(events.id)) > 0)
    AND (?6 = '' OR instr(?6, ' ' || events.type || ' ') > 0)
    AND ((?7 IS NULL AND NOT ?8)
      OR EXISTS (SELECT 1 FROM deliveries JOIN handlers ON handlers.key = deliveries.handler
                  WHERE deliveries.subject = events.subject AND deliveries.number = events.number
                    AND (?7 IS NULL OR handlers.name = ?7))
      OR (NOT ?8 AND EXISTS (SELECT 1 FROM dead_letters JOIN handlers ON handlers.key = dead_letters.handler
                  WHERE dead_letters.subject = events.subject AND dead_letters.number = events.number
                    AND handlers.name = ?7)))";

/// Events, the newest first.
pub(in crate::sqlite) fn newest(
    view: &Transaction<'_>,
    query: &Query,
    limit: usize,
) -> Result<Vec<EventSummary>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM {FROM} WHERE {MEANT} ORDER BY events.seq DESC LIMIT ?9");
    let params = params![
        run_of(query),
        org_of(query),
        since(query),
        until(query),
        ids_of(query),
        types(query),
        handler_of(query),
        query.pending,
        rows(limit),
    ];
    view.rows(&sql, params, |row| summary(row, 0))
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
    let sql = format!(
        "SELECT {COLUMNS}, events.body, events.seq FROM {FROM} WHERE {MEANT} AND events.seq > ?9
          ORDER BY events.seq LIMIT ?10"
    );
    let params = params![
        run_of(query),
        org_of(query),
        since(query),
        until(query),
        ids_of(query),
        types(query),
        handler_of(query),
        query.pending,
        after,
        rows(limit),
    ];
    let mut last = after;
    let events = view.rows(&sql, params, |row| {
        last = row.get(9)?;
        Ok(Whole::new(summary(row, 0)?, Bytes::from(row.get::<_, Vec<u8>>(8)?)))
    })?;
    Ok(EventPage::new(events, last))
}

/// Reads [`COLUMNS`] from this column on.
pub(super) fn summary(row: &Row<'_>, first: usize) -> rusqlite::Result<EventSummary> {
    let names = |text: Option<String>| -> Vec<HandlerName> {
        text.iter()
            .flat_map(|text| text.split(','))
            .map(HandlerName::new)
            .collect()
    };
    Ok(EventSummary {
        id: row.get::<_, Column<Uuid>>(first)?.0,
        org: OrgId::new(row.get::<_, String>(first + 1)?),
        run: RunId::new(row.get::<_, String>(first + 2)?),
        number: row.get(first + 3)?,
        event_type: row.get(first + 4)?,
        created_at: row.get::<_, Column<Timestamp>>(first + 5)?.0,
        waiting: names(row.get(first + 6)?),
        dead: names(row.get(first + 7)?),
    })
}
