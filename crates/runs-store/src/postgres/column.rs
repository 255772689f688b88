//! How our types are written in a column.

use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use super::failure::Failure;
use crate::desks::{Lane, Word};
use crate::time::SchedulingTime;

/// A time, in a column.
pub(super) fn micros(at: impl Into<Timestamp>) -> i64 {
    at.into().as_microsecond()
}

/// A number of rows as the database counts them.
pub(super) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// A count of ours, in a column.
pub(super) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The number of a lane.
pub(super) fn lane(lane: Lane) -> i16 {
    match lane {
        Lane::Live => 0,
        Lane::Retry => 1,
        Lane::Sweep => 2,
    }
}

/// Reads columns by their place.
pub(super) trait Columns {
    /// As it is.
    fn at<'r, T: FromSql<'r>>(&'r self, column: usize) -> Result<T, Failure>;

    /// A time.
    fn time(&self, column: usize) -> Result<Timestamp, Failure> {
        as_time(self.at(column)?)
    }

    /// A time that may be missing.
    fn time_if_any(&self, column: usize) -> Result<Option<Timestamp>, Failure> {
        self.at::<Option<i64>>(column)?.map(as_time).transpose()
    }

    /// A scheduling time.
    fn due(&self, column: usize) -> Result<SchedulingTime, Failure> {
        self.time(column).map(SchedulingTime::new)
    }

    /// A scheduling time that may be missing.
    fn due_if_any(&self, column: usize) -> Result<Option<SchedulingTime>, Failure> {
        Ok(self.time_if_any(column)?.map(SchedulingTime::new))
    }

    /// A count.
    fn count(&self, column: usize) -> Result<u64, Failure> {
        let count: i64 = self.at(column)?;
        u64::try_from(count).map_err(|_| Failure::damaged(&format!("a count of {count}")))
    }

    /// A small count.
    fn small<T: TryFrom<i64>>(&self, column: usize) -> Result<T, Failure> {
        let count: i64 = self.at(column)?;
        T::try_from(count).map_err(|_| Failure::damaged(&format!("a count of {count}")))
    }

    /// A count of attempts.
    fn attempts(&self, column: usize) -> Result<u32, Failure> {
        let count: i32 = self.at(column)?;
        u32::try_from(count).map_err(|_| Failure::damaged(&format!("a count of {count}")))
    }

    /// A value that is a word in a column.
    fn word<T: Word>(&self, column: usize) -> Result<T, Failure> {
        let word: &str = self.at(column)?;
        T::of(word).ok_or_else(|| Failure::damaged(&format!("unknown word {word:?}")))
    }

    /// A lane.
    fn lane(&self, column: usize) -> Result<Lane, Failure> {
        match self.at::<i16>(column)? {
            0 => Ok(Lane::Live),
            1 => Ok(Lane::Retry),
            2 => Ok(Lane::Sweep),
            other => Err(Failure::damaged(&format!("lane {other}"))),
        }
    }
}

impl Columns for Row {
    fn at<'r, T: FromSql<'r>>(&'r self, column: usize) -> Result<T, Failure> {
        self.try_get(column)
            .map_err(|error| Failure::damaged(&error.to_string()))
    }
}

fn as_time(micros: i64) -> Result<Timestamp, Failure> {
    Timestamp::from_microsecond(micros).map_err(|_| Failure::damaged(&format!("a time of {micros}")))
}
