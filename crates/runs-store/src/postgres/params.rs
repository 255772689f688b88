//! Values for statements, with their types: the server is not asked for them, so that a statement can be sent without a name,
//! and it does not matter which of a pooler's connections it reaches.

use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

/// A value and its type.
pub(super) type Typed<'v> = (&'v (dyn ToSql + Sync), Type);

/// A Rust type that has one SQL type.
pub(super) trait Param: ToSql + Sync {
    /// Which.
    const TYPE: Type;
    /// An array of it.
    const ARRAY: Type;
}

macro_rules! types {
    ($($rust:ty: $sql:ident, $array:ident;)*) => {$(
        impl Param for $rust {
            const TYPE: Type = Type::$sql;
            const ARRAY: Type = Type::$array;
        }
    )*};
}

types! {
    bool: BOOL, BOOL_ARRAY;
    i16: INT2, INT2_ARRAY;
    i32: INT4, INT4_ARRAY;
    i64: INT8, INT8_ARRAY;
    &str: TEXT, TEXT_ARRAY;
    String: TEXT, TEXT_ARRAY;
    &[u8]: BYTEA, BYTEA_ARRAY;
    Uuid: UUID, UUID_ARRAY;
}

impl<T: Param> Param for Option<T> {
    const TYPE: Type = T::TYPE;
    const ARRAY: Type = T::ARRAY;
}

/// A value with its type.
pub(super) fn typed<T: Param>(value: &T) -> Typed<'_> {
    (value, T::TYPE)
}

/// An array with its type.
pub(super) fn array<T: Param>(values: &Vec<T>) -> Typed<'_> {
    (values, T::ARRAY)
}

/// The values of a statement: `params![one; array]` would be two, of which the second is an array.
macro_rules! params {
    ($($value:expr),* $(; $($array:expr),*)?) => {
        &[$($crate::postgres::params::typed(&$value),)* $($($crate::postgres::params::array(&$array),)*)?]
    };
}

pub(super) use params;

/// Text as PostgreSQL can hold it: it knows no NUL character.
pub(super) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
