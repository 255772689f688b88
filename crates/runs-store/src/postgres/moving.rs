//! A schema as one end of a move.
//!
//! A table in the schema says that a move into it, or out of it, was begun or is done: then nobody opens it.

use deadpool_postgres::Pool;
use tokio_postgres::Row as SqlRow;
use uuid::Uuid;

use super::column::Columns as _;
use super::failure::Failure;
use super::params::{Typed, array, params, text, typed};
use super::session::{Access, Transaction};
use super::settings::{PostgresSettings, Target};
use super::workers::NOW;
use super::{connect, schema};
use crate::error::StoreError;
use crate::moving::State;
use crate::moving::table::{Kind, MOVEMENT, Row, TABLES, Table, Value};

/// For how long a worker that was seen is taken to be running, in microseconds.
const SEEN: i64 = 60_000_000;

const ARRIVING: &str = "arriving";
const LEAVING: &str = "leaving";
const LEFT: &str = "left";

const MAKE_NOTE: &str =
    "CREATE TABLE IF NOT EXISTS runs_worker_move (what text NOT NULL, other text NOT NULL, state text NOT NULL)";

/// A schema as one end of a move.
pub(crate) struct Server {
    pool: Pool,
    target: Target,
}

/// What is noted of a move.
struct Note {
    what: String,
    other: String,
    state: String,
}

/// Refuses a schema that a move has begun to fill, or to empty.
pub(super) async fn refuse(target: &Target, pool: &Pool) -> Result<(), StoreError> {
    let looked = async {
        let view = Transaction::begin(pool, &target.schema, Access::Read).await?;
        let note = look(&view, &target.schema).await;
        view.roll_back().await;
        note
    };
    let Some(note) = looked.await.map_err(|failure| connect::explain(target, failure))? else {
        return Ok(());
    };
    let (place, other) = (target.place.display(), note.other);
    Err(StoreError::Refused(match note.what.as_str() {
        ARRIVING => format!("{place}: the move from {other} is not finished; run the same `runs-worker move` again"),
        LEAVING => format!("{place}: the move to {other} is not finished; run the same `runs-worker move` again"),
        _ => format!("{place}: what it held was moved to {other}"),
    }))
}

async fn look(view: &Transaction, schema: &str) -> Result<Option<Note>, Failure> {
    let there = "SELECT 1 FROM pg_tables WHERE schemaname = $1 AND tablename = 'runs_worker_move'";
    if view.row(there, params![schema]).await?.is_none() {
        return Ok(None);
    }
    let note = view.row("SELECT what, other, state FROM runs_worker_move", &[]).await?;
    note.map(|row| {
        Ok(Note {
            what: row.at(0)?,
            other: row.at(1)?,
            state: row.at(2)?,
        })
    })
    .transpose()
}

impl Server {
    /// The store in this schema, which no worker may use.
    pub(crate) async fn source(settings: &PostgresSettings, to: &str) -> Result<Self, StoreError> {
        let server = Self::connect(settings).await?;
        let found = schema::inspect(&server.target, &server.pool).await?;
        if !matches!(found, schema::Found::Store { version, .. } if version > 0) {
            let path = server.target.place.clone();
            return Err(StoreError::Missing { path });
        }
        schema::migrate(&server.target, &server.pool).await?;
        let begun = server.write(async |transaction| {
            busy(transaction).await?;
            match look(transaction, &server.target.schema).await? {
                None => note(transaction, LEAVING, to, "").await,
                Some(Note { what, other, .. }) if what == LEAVING && other == to => Ok(()),
                Some(Note { what, other, .. }) => Err(Failure::Unfitting(match what.as_str() {
                    LEFT => format!("{}: what it held was moved to {other}", server.name()),
                    LEAVING => format!("{}: a move to {other} was begun; finish that first", server.name()),
                    _ => format!("{}: a move from {other} was begun; finish that first", server.name()),
                })),
            }
        });
        begun.await?;
        Ok(server)
    }

    /// A store that is to be in this schema, which holds none yet.
    pub(crate) async fn target(settings: &PostgresSettings, from: &str, state: &str) -> Result<Self, StoreError> {
        let server = Self::connect(settings).await?;
        schema::migrate(&server.target, &server.pool).await?;
        let begun = server.write(async |transaction| {
            match look(transaction, &server.target.schema).await? {
                None => {
                    busy(transaction).await?;
                    for table in TABLES {
                        let any = format!("SELECT 1 FROM {} LIMIT 1", table.name);
                        if transaction.row(&any, &[]).await?.is_some() {
                            return Err(Failure::Unfitting(format!(
                                "{} is not empty; name another schema, or drop this one",
                                server.name()
                            )));
                        }
                    }
                    note(transaction, ARRIVING, from, state).await
                }
                Some(note) if note.what == ARRIVING && note.other == from && note.state == state => Ok(()),
                Some(note) if note.what == ARRIVING => Err(Failure::Unfitting(format!(
                    "{}: a move from {} was interrupted, and what is to be moved is not the same; drop the schema and move again",
                    server.name(),
                    note.other
                ))),
                Some(note) => Err(Failure::Unfitting(format!(
                    "{}: what it held was moved to {}; name another schema",
                    server.name(),
                    note.other
                ))),
            }
        });
        begun.await?;
        Ok(server)
    }

    async fn connect(settings: &PostgresSettings) -> Result<Self, StoreError> {
        let target = Target::read(settings)?;
        let pool = connect::pool(&target, connect::tls(&target)?)?;
        connect::examine(&target, &pool).await?;
        Ok(Self { pool, target })
    }

    pub(crate) fn name(&self) -> String {
        self.target.place.display().to_string()
    }

    /// Does this in a transaction.
    async fn write<T>(&self, work: impl AsyncFnOnce(&Transaction) -> Result<T, Failure>) -> Result<T, StoreError> {
        let done = async {
            let transaction = Transaction::begin(&self.pool, &self.target.schema, Access::Write).await?;
            // To count a large table, or to add to one, takes longer than a verb may.
            transaction.batch("SET LOCAL statement_timeout TO 0").await?;
            match work(&transaction).await {
                Ok(done) => transaction.commit().await.map(|_| done),
                Err(failure) => {
                    transaction.roll_back().await;
                    Err(failure)
                }
            }
        };
        let done = done.await;
        done.map_err(|failure| failure.into_store_error(&self.target.place, "moving a store"))
    }

    pub(crate) async fn state(&self) -> Result<State, StoreError> {
        self.write(async |view| {
            let (mut counts, mut movement) = (Vec::new(), Vec::new());
            for table in TABLES {
                counts.push(count(view, table).await?);
            }
            for sql in MOVEMENT {
                let row = view.row(sql, &[]).await?.ok_or(Failure::Conflict)?;
                movement.push(row.at(0)?);
            }
            Ok(State { counts, movement })
        })
        .await
    }

    pub(crate) async fn count(&self, table: &Table) -> Result<u64, StoreError> {
        self.write(async |view| count(view, table).await).await
    }

    pub(crate) async fn last(&self, table: &Table) -> Result<Option<Row>, StoreError> {
        let order: Vec<String> = table.key.iter().map(|key| format!("{key} DESC")).collect();
        let (names, order) = (table.names(), order.join(", "));
        let sql = format!("SELECT {names} FROM {} ORDER BY {order} LIMIT 1", table.name);
        self.write(async |view| {
            let row = view.row(&sql, &[]).await?;
            row.map(|row| read(&row, table)).transpose()
        })
        .await
    }

    pub(crate) async fn page(&self, table: &Table, after: Option<Vec<(&Value, Kind)>>) -> Result<Vec<Row>, StoreError> {
        let key = table.key.join(", ");
        let after = after.unwrap_or_default();
        let place = if after.is_empty() {
            String::new()
        } else {
            let holes: Vec<String> = (1..=after.len()).map(|number| format!("${number}")).collect();
            format!("WHERE ({key}) > ({})", holes.join(", "))
        };
        let (names, name, rows) = (table.names(), table.name, table.rows);
        let sql = format!("SELECT {names} FROM {name} {place} ORDER BY {key} LIMIT {rows}");
        self.write(async |view| {
            let values = after.iter().map(|(value, kind)| KeyValue::new(value, *kind));
            let values = values.collect::<Result<Vec<_>, _>>()?;
            let values: Vec<Typed<'_>> = values.iter().map(KeyValue::typed).collect();
            let rows = view.rows(&sql, &values).await?;
            rows.iter().map(|row| read(row, table)).collect()
        })
        .await
    }

    pub(crate) async fn add(&self, table: &Table, rows: &[Row]) -> Result<(), StoreError> {
        let holes: Vec<String> = (1..=table.columns.len()).map(|number| format!("${number}")).collect();
        let sql = format!(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT * FROM unnest({})",
            table.name,
            table.names(),
            holes.join(", ")
        );
        self.write(async |transaction| {
            let columns: Vec<Column<'_>> = (0..table.columns.len())
                .map(|column| Column::of(rows, column, table.columns[column].1))
                .collect::<Result<_, _>>()?;
            let values: Vec<Typed<'_>> = columns.iter().map(Column::typed).collect();
            transaction.execute(&sql, &values).await.map(drop)
        })
        .await
    }

    /// Lets workers open it again.
    pub(crate) async fn leave_as_it_was(self) -> Result<(), StoreError> {
        self.write(async |transaction| transaction.batch("DROP TABLE runs_worker_move").await)
            .await
    }

    /// Lets workers open it.
    pub(crate) async fn finish_target(self) -> Result<(), StoreError> {
        self.write(async |transaction| {
            for table in TABLES.iter().filter(|table| table.numbered) {
                let (name, key) = (table.name, table.key.first().copied().unwrap_or_default());
                // The numbers go on behind the last one that arrived.
                let next = format!(
                    "SELECT setval(pg_get_serial_sequence('{name}', '{key}'), (SELECT coalesce(max({key}), 0) + 1 FROM {name}), false)"
                );
                transaction.row(&next, &[]).await?;
            }
            transaction.batch("DROP TABLE runs_worker_move").await
        })
        .await
    }

    /// Lets nobody open it any more.
    pub(crate) async fn finish_source(self) -> Result<(), StoreError> {
        self.write(async |transaction| {
            let sql = "UPDATE runs_worker_move SET what = $1";
            transaction.execute(sql, params![LEFT]).await.map(drop)
        })
        .await
    }
}

/// Refuses a store that a worker uses.
async fn busy(transaction: &Transaction) -> Result<(), Failure> {
    let sql = format!("SELECT name FROM workers WHERE ended_at IS NULL AND seen_at > {NOW} - $1 LIMIT 1");
    match transaction.row(&sql, params![SEEN]).await? {
        Some(row) => Err(Failure::Unfitting(format!(
            "a worker uses it, or did within the last minute: {}; stop it first",
            row.at::<String>(0)?
        ))),
        None => Ok(()),
    }
}

async fn note(transaction: &Transaction, what: &str, other: &str, state: &str) -> Result<(), Failure> {
    transaction.batch(MAKE_NOTE).await?;
    let sql = "INSERT INTO runs_worker_move (what, other, state) VALUES ($1, $2, $3)";
    transaction.execute(sql, params![what, other, state]).await.map(drop)
}

async fn count(view: &Transaction, table: &Table) -> Result<u64, Failure> {
    let sql = format!("SELECT count(*) FROM {}", table.name);
    view.row(&sql, &[]).await?.ok_or(Failure::Conflict)?.count(0)
}

fn read(row: &SqlRow, table: &Table) -> Result<Row, Failure> {
    let number = |number: Option<i64>| number.map_or(Value::Null, Value::Number);
    let read = |(place, (_, kind)): (usize, &(&str, Kind))| {
        Ok(match kind {
            Kind::Long => number(row.at(place)?),
            Kind::Int => number(row.at::<Option<i32>>(place)?.map(i64::from)),
            Kind::Short => number(row.at::<Option<i16>>(place)?.map(i64::from)),
            Kind::Flag => number(row.at::<Option<bool>>(place)?.map(i64::from)),
            Kind::Text => row.at::<Option<String>>(place)?.map_or(Value::Null, Value::Text),
            Kind::Bytes => row.at::<Option<Vec<u8>>>(place)?.map_or(Value::Null, Value::Bytes),
            Kind::Uuid => {
                let id = row.at::<Option<Uuid>>(place)?;
                id.map_or(Value::Null, |id| Value::Bytes(id.as_bytes().to_vec()))
            }
        })
    };
    table.columns.iter().enumerate().map(read).collect()
}

/// A value of a key, as a statement takes it.
enum KeyValue {
    Number(i64),
    Text(String),
    Id(Uuid),
}

impl KeyValue {
    fn new(value: &Value, kind: Kind) -> Result<Self, Failure> {
        match (value, kind) {
            (Value::Number(number), Kind::Long) => Ok(Self::Number(*number)),
            (Value::Text(key), Kind::Text) => Ok(Self::Text(text(key))),
            (Value::Bytes(id), Kind::Uuid) => Ok(Self::Id(uuid_of(id)?)),
            _ => Err(Failure::damaged("a key of another kind")),
        }
    }

    fn typed(&self) -> Typed<'_> {
        match self {
            Self::Number(number) => typed(number),
            Self::Text(text) => typed(text),
            Self::Id(id) => typed(id),
        }
    }
}

/// The values of one column of several rows.
enum Column<'r> {
    Long(Vec<Option<i64>>),
    Int(Vec<Option<i32>>),
    Short(Vec<Option<i16>>),
    Flag(Vec<Option<bool>>),
    Text(Vec<Option<String>>),
    Bytes(Vec<Option<&'r [u8]>>),
    Id(Vec<Option<Uuid>>),
}

impl<'r> Column<'r> {
    fn of(rows: &'r [Row], column: usize, kind: Kind) -> Result<Self, Failure> {
        let values = || rows.iter().map(|row| row.get(column).unwrap_or(&Value::Null));
        Ok(match kind {
            Kind::Long => Self::Long(values().map(number).collect::<Result<_, _>>()?),
            Kind::Int => Self::Int(values().map(number).collect::<Result<_, _>>()?),
            Kind::Short => Self::Short(values().map(number).collect::<Result<_, _>>()?),
            Kind::Flag => {
                let flag = |value: &Value| Ok::<_, Failure>(number::<i64>(value)?.map(|flag| flag != 0));
                Self::Flag(values().map(flag).collect::<Result<_, _>>()?)
            }
            Kind::Text => {
                let written = |value: &Value| match value {
                    Value::Null => Ok(None),
                    Value::Text(written) => Ok(Some(text(written))),
                    Value::Number(_) | Value::Bytes(_) => Err(Failure::damaged("a text of another kind")),
                };
                Self::Text(values().map(written).collect::<Result<_, _>>()?)
            }
            Kind::Bytes => Self::Bytes(values().map(bytes).collect::<Result<_, _>>()?),
            Kind::Uuid => {
                let id = |value| bytes(value)?.map(uuid_of).transpose();
                Self::Id(values().map(id).collect::<Result<_, _>>()?)
            }
        })
    }

    fn typed(&self) -> Typed<'_> {
        match self {
            Self::Long(values) => array(values),
            Self::Int(values) => array(values),
            Self::Short(values) => array(values),
            Self::Flag(values) => array(values),
            Self::Text(values) => array(values),
            Self::Bytes(values) => array(values),
            Self::Id(values) => array(values),
        }
    }
}

fn number<T: TryFrom<i64>>(value: &Value) -> Result<Option<T>, Failure> {
    match value {
        Value::Null => Ok(None),
        Value::Number(number) => {
            let fitting = T::try_from(*number).map_err(|_| Failure::damaged("a number that is too large"))?;
            Ok(Some(fitting))
        }
        Value::Text(_) | Value::Bytes(_) => Err(Failure::damaged("a number of another kind")),
    }
}

fn bytes(value: &Value) -> Result<Option<&[u8]>, Failure> {
    match value {
        Value::Null => Ok(None),
        Value::Bytes(bytes) => Ok(Some(bytes)),
        Value::Number(_) | Value::Text(_) => Err(Failure::damaged("bytes of another kind")),
    }
}

fn uuid_of(bytes: &[u8]) -> Result<Uuid, Failure> {
    Uuid::from_slice(bytes).map_err(|_| Failure::damaged("an id that is none"))
}
