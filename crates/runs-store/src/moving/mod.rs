//! Moving a store from one database to another, with everything: ids, order, what waits, what was given up.
//!
//! Both databases have the same tables, so that a move copies rows, by their keys and some at a time. What has arrived is
//! the memory of how far it got: a move that was interrupted goes on behind the last row of each table. Until it is done
//! the target cannot be opened, and from then on the source cannot.

pub(crate) mod table;

use std::path::PathBuf;

use crate::error::StoreError;
use crate::postgres::PostgresSettings;
use crate::postgres::moving::Server;
use crate::sqlite::moving::Database;
use crate::time::SchedulingTime;
use table::{Row, TABLES, Table};

/// Where a store is moved from, or to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Place {
    /// An SQLite file.
    File(PathBuf),
    /// A schema on a PostgreSQL server.
    Server(PostgresSettings),
}

/// How far a move got.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The table that is being moved.
    pub table: &'static str,
    /// How many of its rows have arrived.
    pub arrived: u64,
    /// How many there are.
    pub of: u64,
}

/// Moves a store, and says how many rows of each table that were. No worker may be running on either.
///
/// A file that was moved has `.moved` behind its name then; a schema that was moved says so to whoever opens it.
///
/// # Errors
/// [`StoreError::Refused`] for a target that is not empty, a source that a worker uses, one that was moved before, and
/// one that has changed since a move was interrupted; [`StoreError::Missing`]; those of opening a store.
pub async fn move_store(
    from: &Place,
    to: &Place,
    now: SchedulingTime,
    mut tell: impl FnMut(&Progress),
) -> Result<Vec<(&'static str, u64)>, StoreError> {
    let mut source = End::source(from, to, now).await?;
    let state = source.state().await?;
    let mut target = match End::target(to, from, &state, now).await {
        Ok(target) => target,
        Err(error) => {
            source.leave_as_it_was().await?;
            return Err(error);
        }
    };
    for (table, of) in TABLES.iter().zip(&state.counts) {
        let mut after = target.last(table).await?;
        let mut arrived = target.count(table).await?;
        loop {
            let progress = Progress {
                table: table.name,
                arrived,
                of: *of,
            };
            tell(&progress);
            let page = source.page(table, after.as_ref()).await?;
            let Some(last) = page.last() else { break };
            target.add(table, &page).await?;
            arrived += page.len() as u64;
            after = Some(last.clone());
        }
    }
    let arrived = target.state().await?;
    if arrived != state {
        return Err(StoreError::Refused(format!(
            "what arrived at {} is not what was sent: {arrived} in the place of {state}; the source is as it was",
            target.name()
        )));
    }
    target.finish_target().await?;
    source.finish_source().await?;
    Ok(TABLES.iter().map(|table| table.name).zip(state.counts).collect())
}

/// What is moved, as `table.column`.
pub fn columns() -> impl Iterator<Item = String> {
    TABLES.iter().flat_map(|table| {
        let columns = table.columns.iter();
        columns.map(|(column, _)| format!("{}.{column}", table.name))
    })
}

/// What tells two states of a store apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// How many rows each table has.
    pub(crate) counts: Vec<u64>,
    /// What [`table::MOVEMENT`] asks for.
    pub(crate) movement: Vec<i64>,
}

impl std::fmt::Display for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (table, count) in TABLES.iter().zip(&self.counts) {
            write!(formatter, "{}={count} ", table.name)?;
        }
        write!(formatter, "{:?}", self.movement)
    }
}

/// One end of a move. What SQLite does blocks; nothing else is going on in a program that moves a store.
enum End {
    File(Database),
    Server(Server),
}

impl End {
    async fn source(at: &Place, other: &Place, now: SchedulingTime) -> Result<Self, StoreError> {
        Ok(match at {
            Place::File(file) => Self::File(Database::source(file, now)?),
            Place::Server(settings) => Self::Server(Server::source(settings, &other.to_string()).await?),
        })
    }

    async fn target(at: &Place, other: &Place, state: &State, now: SchedulingTime) -> Result<Self, StoreError> {
        let state = state.to_string();
        Ok(match at {
            Place::File(file) => Self::File(Database::target(file, &state, now)?),
            Place::Server(settings) => Self::Server(Server::target(settings, &other.to_string(), &state).await?),
        })
    }

    fn name(&self) -> String {
        match self {
            Self::File(file) => file.name(),
            Self::Server(server) => server.name(),
        }
    }

    async fn state(&self) -> Result<State, StoreError> {
        match self {
            Self::File(file) => file.state(),
            Self::Server(server) => server.state().await,
        }
    }

    async fn count(&self, table: &Table) -> Result<u64, StoreError> {
        match self {
            Self::File(file) => file.count(table),
            Self::Server(server) => server.count(table).await,
        }
    }

    /// The row with the greatest key.
    async fn last(&self, table: &Table) -> Result<Option<Row>, StoreError> {
        match self {
            Self::File(file) => file.last(table),
            Self::Server(server) => server.last(table).await,
        }
    }

    /// The next rows by their keys.
    async fn page(&mut self, table: &Table, after: Option<&Row>) -> Result<Vec<Row>, StoreError> {
        let after = after.map(|row| table.key_of(row));
        match self {
            Self::File(file) => file.page(table, after),
            Self::Server(server) => server.page(table, after).await,
        }
    }

    /// Adds rows, all of them or none.
    async fn add(&mut self, table: &Table, rows: &[Row]) -> Result<(), StoreError> {
        match self {
            Self::File(file) => file.add(table, rows),
            Self::Server(server) => server.add(table, rows).await,
        }
    }

    /// Nothing was moved.
    async fn leave_as_it_was(self) -> Result<(), StoreError> {
        match self {
            Self::File(_) => Ok(()),
            Self::Server(server) => server.leave_as_it_was().await,
        }
    }

    async fn finish_target(self) -> Result<(), StoreError> {
        match self {
            Self::File(file) => file.finish_target(),
            Self::Server(server) => server.finish_target().await,
        }
    }

    async fn finish_source(self) -> Result<(), StoreError> {
        match self {
            Self::File(file) => file.finish_source(),
            Self::Server(server) => server.finish_source().await,
        }
    }
}

/// Where it is, for a person; without secrets.
impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(file) => file.display().fmt(formatter),
            Self::Server(settings) => settings.fmt(formatter),
        }
    }
}
