//! A file that somebody else has prepared: nothing in it may do more than what this program put there, and it is held
//! against that.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::failure::store_error;
use super::schema;
use crate::error::StoreError;

/// How many findings are told.
const TOLD: usize = 5;

/// Lets nothing in the schema call what reaches outside of the file, and nobody change the schema but by its own statements.
pub(super) fn distrust(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // There are none of ours.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    Ok(())
}

/// Refuses a store whose tables, indexes and triggers are not those of its version.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let foreign = schema::version(connection).and_then(|version| foreign(connection, version));
    match foreign.map_err(|error| store_error(error, path, "reading the schema"))? {
        foreign if foreign.is_empty() => Ok(()),
        foreign => Err(StoreError::Corrupt {
            path: path.to_owned(),
            detail: foreign.join("; "),
        }),
    }
}

/// What is in the schema and not ours, is ours and not there, or has become another: the first few.
pub(super) fn foreign(connection: &Connection, version: i64) -> rusqlite::Result<Vec<String>> {
    if version == 0 {
        return Ok(Vec::new());
    }
    let (found, mut ours) = (named(connection)?, named(&schema::of(version)?)?);
    let mut told = Vec::new();
    for (name, sql) in found {
        match ours.remove(&name) {
            Some(our) if our == sql => {}
            Some(_) => told.push(format!("the {} is not as this program made it", name.shown())),
            None => told.push(format!("the {} was not made by this program", name.shown())),
        }
    }
    told.extend(ours.keys().map(|name| format!("the {} is missing", name.shown())));
    told.truncate(TOLD);
    Ok(told)
}

/// A table, an index or a trigger.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    kind: String,
    name: String,
}

impl Name {
    /// Names are written by whoever made the file.
    fn shown(&self) -> String {
        let visible = |text: &str| text.escape_debug().take(100).collect::<String>();
        format!("{} {}", visible(&self.kind), visible(&self.name))
    }
}

/// Everything but what SQLite makes by itself, with the statements that made it, however they are laid out.
fn named(connection: &Connection) -> rusqlite::Result<BTreeMap<Name, String>> {
    let mut statement = connection.prepare(
        "SELECT type, name, coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )?;
    let all = statement.query_map([], |row| {
        let (kind, name, sql): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let sql = sql.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok((Name { kind, name }, sql))
    })?;
    all.collect()
}
