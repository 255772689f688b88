//! Ids, of which a person types the beginning.

use rusqlite::params;
use uuid::Uuid;

use crate::desks::IdsOf;
use crate::sqlite::column::{Column, limit as rows};
use crate::sqlite::failure::Failure;
use crate::sqlite::writer::Transaction;

/// The ids between these two, both included.
pub(in crate::sqlite) fn between(
    view: &Transaction<'_>,
    of: IdsOf,
    first: Uuid,
    last: Uuid,
    limit: usize,
) -> Result<Vec<Uuid>, Failure> {
    let sql = match of {
        IdsOf::Events => "SELECT id FROM events WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?",
        IdsOf::Notifications => "SELECT id FROM notifications WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?",
    };
    let params = params![Column(first), Column(last), rows(limit)];
    view.rows(sql, params, |row| Ok(row.get::<_, Column<Uuid>>(0)?.0))
}
