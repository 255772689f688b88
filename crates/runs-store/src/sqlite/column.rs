//! How our types are written in a column.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use tallyfy_model::Announced;
use uuid::Uuid;

use crate::desks::{Lane, Word};
use crate::time::SchedulingTime;

/// A value of ours, as a column holds it.
pub(super) struct Column<T>(pub(super) T);

impl ToSql for Column<Timestamp> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.as_microsecond().into())
    }
}

impl FromSql for Column<Timestamp> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let micros = value.as_i64()?;
        Timestamp::from_microsecond(micros)
            .map(Self)
            .map_err(|_| FromSqlError::OutOfRange(micros))
    }
}

impl ToSql for Column<SchedulingTime> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.shown().as_microsecond().into())
    }
}

impl FromSql for Column<SchedulingTime> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Column::<Timestamp>::column_result(value).map(|Column(shown)| Self(SchedulingTime::new(shown)))
    }
}

impl ToSql for Column<Duration> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(i64::try_from(self.0.as_micros()).unwrap_or(i64::MAX).into())
    }
}

impl FromSql for Column<Duration> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let micros = value.as_i64()?;
        let micros = u64::try_from(micros).map_err(|_| FromSqlError::OutOfRange(micros))?;
        Ok(Self(Duration::from_micros(micros)))
    }
}

impl ToSql for Column<Uuid> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.as_bytes().as_slice().into())
    }
}

impl FromSql for Column<Uuid> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Uuid::from_slice(value.as_blob()?)
            .map(Self)
            .map_err(FromSqlError::other)
    }
}

impl ToSql for Column<&Announced> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match serde_json::to_string(self.0) {
            Ok(json) => Ok(json.into()),
            Err(error) => Err(rusqlite::Error::ToSqlConversionFailure(error.into())),
        }
    }
}

impl FromSql for Column<Announced> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?)
            .map(Self)
            .map_err(FromSqlError::other)
    }
}

impl ToSql for Column<Lane> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let number = match self.0 {
            Lane::Live => 0,
            Lane::Retry => 1,
            Lane::Sweep => 2,
        };
        Ok(number.into())
    }
}

impl FromSql for Column<Lane> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self(Lane::Live)),
            1 => Ok(Self(Lane::Retry)),
            2 => Ok(Self(Lane::Sweep)),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

impl<T: Word> ToSql for Column<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.word().into())
    }
}

impl<T: Word> FromSql for Column<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let word = value.as_str()?;
        T::of(word)
            .map(Self)
            .ok_or_else(|| FromSqlError::other(UnknownWord(word.to_owned())))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("unknown word {0:?}")]
struct UnknownWord(String);

/// A number of rows as SQLite counts them.
pub(super) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
