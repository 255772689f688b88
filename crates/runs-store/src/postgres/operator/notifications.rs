//! Notifications, as a person looks at them.

use bytes::Bytes;
use tallyfy_model::OrgId;
use tokio_postgres::Row;
use uuid::Uuid;

use super::Meant;
use crate::desks::{NotificationSummary, Query, Whole};
use crate::postgres::column::{Columns as _, limit as rows};
use crate::postgres::failure::Failure;
use crate::postgres::params::{params, typed};
use crate::postgres::session::Transaction;

/// The columns of a notification. Its events are looked for among all of its run.
const COLUMNS: &str = "
    n.id, o.name, n.kind, n.event, n.run, n.task, n.received_at, n.duplicates, coalesce(n.ticket <= s.covered, false),
    ARRAY (SELECT e.id FROM events e
            WHERE e.subject = n.subject AND n.ticket BETWEEN e.first_ticket AND e.last_ticket ORDER BY e.number)";

/// The same, with its events looked for among those with the numbers $1 to $2, so that a long story costs no more.
pub(in crate::postgres) fn columns_within() -> String {
    let of_subject = "e.subject = n.subject";
    COLUMNS.replace(of_subject, &format!("{of_subject} AND e.number BETWEEN $1 AND $2"))
}

/// Where they are from.
pub(in crate::postgres) const FROM: &str =
    "notifications n JOIN orgs o ON o.key = n.org LEFT JOIN subjects s ON s.key = n.subject";

/// Notifications, the newest first.
pub(in crate::postgres) async fn newest(
    view: &Transaction,
    query: &Query,
    limit: usize,
) -> Result<Vec<NotificationSummary>, Failure> {
    let sql = format!(
        "
        SELECT {COLUMNS} FROM {FROM}
         WHERE ($1 IS NULL OR n.run = $1) AND ($2 IS NULL OR o.name = $2)
           AND ($3 IS NULL OR n.received_at >= $3) AND ($4 IS NULL OR n.received_at < $4)
           AND (cardinality($5) = 0 OR n.id = ANY ($5)) AND cardinality($6) >= 0 AND ($7 IS NULL OR true)
           AND (NOT $8 OR n.subject IS NULL)
           AND (NOT $9 OR n.ticket > s.covered)
           AND ($11 IS NULL OR n.seq < (SELECT seq FROM notifications WHERE id = $11))
         ORDER BY n.seq DESC LIMIT $10"
    );
    let (meant, limit) = (Meant::by(view, query).await?, rows(limit));
    let after = query.after.as_ref().map(|after| after.id);
    let values = meant.and(&[
        typed(&query.unrecognized),
        typed(&query.pending),
        typed(&limit),
        typed(&after),
    ]);
    let found = view.rows(&sql, &values).await?;
    found.iter().map(summary).collect()
}

/// A notification with its body, as it came.
pub(in crate::postgres) async fn whole(
    view: &Transaction,
    id: Uuid,
) -> Result<Option<Whole<NotificationSummary>>, Failure> {
    let mut query = Query::default();
    query.ids.push(id);
    let Some(summary) = newest(view, &query, 1).await?.pop() else {
        return Ok(None);
    };
    let body = view
        .row("SELECT body FROM notifications WHERE id = $1", params![id])
        .await?;
    let body = body.map(|row| row.at::<Vec<u8>>(0)).transpose()?;
    Ok(body.map(|body| Whole::new(summary, Bytes::from(body))))
}

/// Reads [`COLUMNS`].
pub(in crate::postgres) fn summary(row: &Row) -> Result<NotificationSummary, Failure> {
    Ok(NotificationSummary {
        id: row.at(0)?,
        org: OrgId::new(row.at::<String>(1)?),
        kind: row.at(2)?,
        event: row.at(3)?,
        run: row.at(4)?,
        task: row.at(5)?,
        received_at: row.time(6)?,
        duplicates: row.attempts(7)?,
        covered: row.at(8)?,
        led_to: row.at(9)?,
    })
}
