//! A file as one end of a move.
//!
//! What arrives is written to a file beside the store, which gets the store's name when all of it is there.

use std::path::{Path, PathBuf};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, ToSql, params_from_iter};

use super::failure::store_error;
use super::lock::Lock;
use super::{connect, file, inspect, open_mark};
use crate::error::StoreError;
use crate::moving::State;
use crate::moving::table::{Kind, MOVEMENT, Row, TABLES, Table, Value};
use crate::time::SchedulingTime;

/// A file as one end of a move.
pub(crate) struct Database {
    /// The store.
    path: PathBuf,
    /// The file that is open: the store, or what becomes it.
    open: PathBuf,
    connection: Connection,
    _lock: Lock,
}

impl Database {
    /// The store in this file, which nobody may have open.
    pub(crate) fn source(path: &Path, now: SchedulingTime) -> Result<Self, StoreError> {
        let path = file::resolve(path)?;
        let moved = file::beside(&path, ".moved");
        let is_there = |path: &Path| Ok::<_, StoreError>(matches!(file::look(path)?, file::Found::File(_)));
        if !is_there(&path)? {
            if is_there(&moved)? {
                let message = format!("it was moved before; what it held is in {}", moved.display());
                return Err(StoreError::Refused(message));
            }
            return Err(StoreError::Missing { path });
        }
        if is_there(&moved)? {
            let message = format!("{} is in the way: it is of an earlier move", moved.display());
            return Err(StoreError::Refused(message));
        }
        let lock = Lock::take(&path, now)?;
        let has_log = inspect::has_log(&path);
        let connection = connect::writing(&path)?;
        let reading = |error| store_error(error, &path, &format!("reading {}", path.display()));
        if !has_log && open_mark::is_open(&connection).map_err(reading)? {
            return Err(StoreError::Refused(format!(
                "{}: {}",
                path.display(),
                open_mark::INCOMPLETE
            )));
        }
        open_mark::mark_closed(&connection).map_err(reading)?;
        Ok(Self {
            open: path.clone(),
            path,
            connection,
            _lock: lock,
        })
    }

    /// A store that is to be in this file, which is not there yet.
    pub(crate) fn target(path: &Path, state: &str, now: SchedulingTime) -> Result<Self, StoreError> {
        let path = file::resolve(path)?;
        if let file::Found::File(_) = file::look(&path)? {
            let message = format!(
                "there is a store at {}; name a file that is not there yet",
                path.display()
            );
            return Err(StoreError::Refused(message));
        }
        let lock = Lock::take(&path, now)?;
        let open = file::beside(&path, ".moving");
        let connection = connect::writing(&open)?;
        let writing = |error| store_error(error, &open, &format!("writing {}", open.display()));
        // What refers to a row may arrive before it; it is looked at in the end.
        connection
            .execute_batch("PRAGMA foreign_keys = OFF; CREATE TABLE IF NOT EXISTS moving (state TEXT NOT NULL) STRICT")
            .map_err(writing)?;
        let known: Option<String> = connection
            .query_row("SELECT state FROM moving", [], |row| row.get(0))
            .optional()
            .map_err(writing)?;
        match known {
            None => {
                let note = connection.execute("INSERT INTO moving (state) VALUES (?)", [state]);
                note.map_err(writing)?;
            }
            Some(known) if known == state => {}
            Some(_) => {
                let message = format!(
                    "the source has changed since the move to {} was interrupted; delete that file and move again",
                    open.display()
                );
                return Err(StoreError::Refused(message));
            }
        }
        Ok(Self {
            path,
            open,
            connection,
            _lock: lock,
        })
    }

    pub(crate) fn name(&self) -> String {
        self.open.display().to_string()
    }

    fn failed(&self, doing: &str) -> impl Fn(rusqlite::Error) -> StoreError {
        let doing = format!("{doing} {}", self.open.display());
        move |error| store_error(error, &self.open, &doing)
    }

    pub(crate) fn state(&self) -> Result<State, StoreError> {
        let counts: Result<Vec<u64>, _> = TABLES.iter().map(|table| self.count(table)).collect();
        let number = |sql: &&str| self.connection.query_row(sql, [], |row| row.get(0));
        let movement: rusqlite::Result<Vec<i64>> = MOVEMENT.iter().map(number).collect();
        Ok(State {
            counts: counts?,
            movement: movement.map_err(self.failed("reading"))?,
        })
    }

    pub(crate) fn count(&self, table: &Table) -> Result<u64, StoreError> {
        let sql = format!("SELECT count(*) FROM {}", table.name);
        self.connection
            .query_row(&sql, [], |row| row.get(0))
            .map_err(self.failed("reading"))
    }

    pub(crate) fn last(&self, table: &Table) -> Result<Option<Row>, StoreError> {
        let order: Vec<String> = table.key.iter().map(|key| format!("{key} DESC")).collect();
        let (names, order) = (table.names(), order.join(", "));
        let sql = format!("SELECT {names} FROM {} ORDER BY {order} LIMIT 1", table.name);
        self.connection
            .query_row(&sql, [], |row| read(row, table))
            .optional()
            .map_err(self.failed("reading"))
    }

    pub(crate) fn page(&self, table: &Table, after: Option<Vec<(&Value, Kind)>>) -> Result<Vec<Row>, StoreError> {
        let key = table.key.join(", ");
        let (place, values) = match after {
            Some(after) => {
                let holes = vec!["?"; after.len()].join(", ");
                (format!("WHERE ({key}) > ({holes})"), after)
            }
            None => (String::new(), Vec::new()),
        };
        let (names, name, rows) = (table.names(), table.name, table.rows);
        let sql = format!("SELECT {names} FROM {name} {place} ORDER BY {key} LIMIT {rows}");
        let read = || {
            let mut statement = self.connection.prepare_cached(&sql)?;
            let values = params_from_iter(values.iter().map(|(value, _)| *value));
            let rows = statement.query_map(values, |row| read(row, table))?;
            rows.collect::<rusqlite::Result<Vec<Row>>>()
        };
        read().map_err(self.failed("reading"))
    }

    pub(crate) fn add(&mut self, table: &Table, rows: &[Row]) -> Result<(), StoreError> {
        let holes = vec!["?"; table.columns.len()].join(", ");
        let sql = format!("INSERT INTO {} ({}) VALUES ({holes})", table.name, table.names());
        let add = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            for row in rows {
                transaction.prepare_cached(&sql)?.execute(params_from_iter(row))?;
            }
            transaction.commit()
        };
        let added = add(&mut self.connection);
        added.map_err(self.failed("writing"))
    }

    /// Gives the file the store's name.
    pub(crate) fn finish_target(self) -> Result<(), StoreError> {
        let failed = |error| store_error(error, &self.open, &format!("writing {}", self.open.display()));
        let dangling: Option<String> = self
            .connection
            .query_row("SELECT \"table\" FROM pragma_foreign_key_check", [], |row| row.get(0))
            .optional()
            .map_err(failed)?;
        if let Some(table) = dangling {
            return Err(StoreError::Corrupt {
                path: self.open,
                detail: format!("a row of {table} refers to one that did not arrive"),
            });
        }
        self.connection.execute_batch("DROP TABLE moving").map_err(failed)?;
        self.connection.close().map_err(|(_, error)| failed(error))?;
        rename(&self.open, &self.path)
    }

    /// Takes the store out of the way of a worker.
    pub(crate) fn finish_source(self) -> Result<(), StoreError> {
        let failed = |error| store_error(error, &self.path, &format!("closing {}", self.path.display()));
        self.connection.close().map_err(|(_, error)| failed(error))?;
        rename(&self.path, &file::beside(&self.path, ".moved"))
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    let renamed = std::fs::rename(from, to).and_then(|()| file::sync_folder(to));
    renamed.map_err(|error| file::opening(to, error))
}

fn read(row: &SqlRow<'_>, table: &Table) -> rusqlite::Result<Row> {
    (0..table.columns.len())
        .map(|column| {
            Ok(match row.get_ref(column)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => Value::Number(number),
                ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
                // None of the columns is a fraction; a text that is no Unicode is an error.
                ValueRef::Text(_) | ValueRef::Real(_) => Value::Text(row.get(column)?),
            })
        })
        .collect()
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Number(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
