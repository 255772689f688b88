//! Ids, of which a person types the beginning.

use uuid::Uuid;

use crate::desks::IdsOf;
use crate::postgres::column::{Columns as _, limit as rows};
use crate::postgres::failure::Failure;
use crate::postgres::params::params;
use crate::postgres::session::Transaction;

/// The ids between these two, both included.
pub(in crate::postgres) async fn between(
    view: &Transaction,
    of: IdsOf,
    first: Uuid,
    last: Uuid,
    limit: usize,
) -> Result<Vec<Uuid>, Failure> {
    let sql = match of {
        IdsOf::Events => "SELECT id FROM events WHERE id BETWEEN $1 AND $2 ORDER BY id LIMIT $3",
        IdsOf::Notifications => "SELECT id FROM notifications WHERE id BETWEEN $1 AND $2 ORDER BY id LIMIT $3",
    };
    let found = view.rows(sql, params![first, last, rows(limit)]).await?;
    found.iter().map(|row| row.at(0)).collect()
}
