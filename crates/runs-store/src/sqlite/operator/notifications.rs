//! Notifications, as a person looks at them.

use jiff::Timestamp;
use rusqlite::{Row, ToSql, params};
use tallyfy_model::OrgId;
use uuid::Uuid;

use super::{Meant, body};
use crate::desks::{NotificationSummary, Query, Whole};
use crate::sqlite::column::{Column, limit as rows};
use crate::sqlite::failure::Failure;
use crate::sqlite::writer::Transaction;

/// The columns of a notification. Its events are looked for among all of its run.
const COLUMNS: &str = "
    notifications.id, orgs.name, notifications.kind, notifications.event, notifications.run,
    notifications.task, notifications.received_at, notifications.duplicates,
    coalesce(notifications.ticket <= subjects.covered, 0),
    (SELECT group_concat(hex(id) ORDER BY number) FROM events
      WHERE events.subject = notifications.subject
        AND notifications.ticket BETWEEN events.first_ticket AND events.last_ticket)";

/// The same, with its events looked for among those with the numbers ?1 to ?2, so that a long story costs no more.
pub(in crate::sqlite) fn columns_within() -> String {
    let of_subject = "events.subject = notifications.subject";
    COLUMNS.replace(of_subject, &format!("{of_subject} AND events.number BETWEEN ?1 AND ?2"))
}

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
    let few = match query.ids.is_empty() {
        false => " AND notifications.id IN (SELECT unhex(value) FROM json_each(?5))",
        true => "",
    };
    if query.unrecognized && query.ids.is_empty() {
        return unrecognized(view, query, limit);
    }
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

/// Those that could not be read, the newest first, by the index that holds nothing else.
fn unrecognized(view: &Transaction<'_>, query: &Query, limit: usize) -> Result<Vec<NotificationSummary>, Failure> {
    let sql = format!(
        "SELECT {COLUMNS} FROM notifications INDEXED BY notifications_unrecognized
           CROSS JOIN orgs ON orgs.key = notifications.org
           LEFT JOIN subjects ON subjects.key = notifications.subject
          WHERE notifications.subject IS NULL
            AND (?1 IS NULL OR notifications.run = ?1) AND (?2 IS NULL OR orgs.name = ?2)
            AND received_at >= coalesce(?3, 0) AND received_at < coalesce(?4, 9223372036854775807) AND NOT ?6
            AND (received_at, seq) < (coalesce(?5, 9223372036854775807), coalesce(?7, 9223372036854775807))
          ORDER BY received_at DESC, seq DESC LIMIT ?8"
    );
    let meant = Meant::by(query);
    let after = query.after.as_ref().map(|after| after.id);
    let after = match after {
        None => None,
        // Nothing comes after one that is not there any more.
        Some(id) => match place(view, id)? {
            None => return Ok(Vec::new()),
            found => found,
        },
    };
    let (at, seq) = after.unzip();
    let params = params![
        meant.run,
        meant.org,
        meant.since,
        meant.until,
        at,
        query.pending,
        seq,
        rows(limit)
    ];
    view.rows(&sql, params, summary)
}

/// When a notification came, and its number.
fn place(view: &Transaction<'_>, id: Uuid) -> Result<Option<(i64, i64)>, Failure> {
    let sql = "SELECT received_at, seq FROM notifications WHERE id = ?";
    view.row(sql, [Column(id)], |row| Ok((row.get(0)?, row.get(1)?)))
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
