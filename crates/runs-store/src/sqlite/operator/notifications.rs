//! Notifications, as a person looks at them.

use jiff::Timestamp;
use rusqlite::{Row, ToSql};
use tallyfy_model::OrgId;
use uuid::Uuid;

use super::{Meant, body};
use crate::desks::{NotificationSummary, Query, Whole};
use crate::sqlite::column::{Column, limit as rows};
use crate::sqlite::failure::Failure;
use crate::sqlite::writer::Transaction;

/// The columns of a notification.
pub(in crate::sqlite) const COLUMNS: &str = "
    notifications.id, orgs.name, notifications.kind, notifications.event, notifications.run,
    notifications.task, notifications.received_at, notifications.duplicates,
    coalesce(notifications.ticket <= subjects.covered, 0),
    (SELECT group_concat(hex(id) ORDER BY number) FROM events
      WHERE events.subject = notifications.subject
        AND notifications.ticket BETWEEN events.first_ticket AND events.last_ticket)";

/// Where they are from.
pub(in crate::sqlite) const FROM: &str = "notifications JOIN orgs ON orgs.key = notifications.org
    LEFT JOIN subjects ON subjects.key = notifications.subject";

/// Notifications, the newest first.
pub(in crate::sqlite) fn newest(
    view: &Transaction<'_>,
    query: &Query,
    limit: usize,
) -> Result<Vec<NotificationSummary>, Failure> {
    let after = query.after.as_ref().map(|after| Column(after.id));
    let on = after.as_ref().map_or(
        "",
        |_| " AND notifications.seq < (SELECT seq FROM notifications WHERE id = ?11)",
    );
    let few = match (query.ids.is_empty(), query.unrecognized) {
        (false, _) => " AND notifications.id IN (SELECT unhex(value) FROM json_each(?5))",
        // As the index of them says it.
        (true, true) => " AND notifications.subject IS NULL",
        (true, false) => "",
    };
    let sql = format!(
        "SELECT {COLUMNS}
          FROM {FROM}
         WHERE (?1 IS NULL OR notifications.run = ?1) AND (?2 IS NULL OR orgs.name = ?2)
           AND (?3 IS NULL OR notifications.received_at >= ?3) AND (?4 IS NULL OR notifications.received_at < ?4)
           AND (?5 = '' OR instr(?5, hex(notifications.id)) > 0)
           AND (NOT ?8 OR notifications.subject IS NULL)
           AND (NOT ?9 OR notifications.ticket > subjects.covered){few}{on}
         ORDER BY notifications.seq DESC LIMIT ?10"
    );
    let (meant, limit) = (Meant::by(query), rows(limit));
    let mut values = meant.and(&[&query.unrecognized, &query.pending, &limit]);
    values.extend(after.as_ref().map(|after| after as &dyn ToSql));
    view.rows(&sql, values.as_slice(), summary)
}

/// A notification with its body, as it came.
pub(in crate::sqlite) fn whole(
    view: &Transaction<'_>,
    id: Uuid,
) -> Result<Option<Whole<NotificationSummary>>, Failure> {
    let mut query = Query::default();
    query.ids.push(id);
    let Some(summary) = newest(view, &query, 1)?.pop() else {
        return Ok(None);
    };
    let body = view.row("SELECT body FROM notifications WHERE id = ?", [Column(id)], body)?;
    Ok(body.map(|body| Whole::new(summary, body)))
}

/// Reads [`COLUMNS`].
pub(in crate::sqlite) fn summary(row: &Row<'_>) -> rusqlite::Result<NotificationSummary> {
    let led_to: Option<String> = row.get(9)?;
    let led_to = led_to.iter().flat_map(|ids| ids.split(','));
    Ok(NotificationSummary {
        id: row.get::<_, Column<Uuid>>(0)?.0,
        org: OrgId::new(row.get::<_, String>(1)?),
        kind: row.get(2)?,
        event: row.get(3)?,
        run: row.get(4)?,
        task: row.get(5)?,
        received_at: row.get::<_, Column<Timestamp>>(6)?.0,
        duplicates: row.get(7)?,
        covered: row.get(8)?,
        led_to: led_to.filter_map(|id| id.parse().ok()).collect(),
    })
}
