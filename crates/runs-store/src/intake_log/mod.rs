//! Where records of an intake log are.

use uuid::Uuid;

/// Names one intake log, for as long as it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogId(Uuid);

impl LogId {
    /// Takes an id.
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The id as it is kept.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

/// The number of a record in its log: it grows by one with each, over the whole life of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// Before the first record.
    pub const START: Self = Self(0);

    /// The record of this number, from 1.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }
}
