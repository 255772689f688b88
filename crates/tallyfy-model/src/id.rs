//! Identifiers, one type for each thing that has one.
//!
//! Run, task, checklist, capture, tag and group ids are 32 lower-case hex digits, user ids are integers that some
//! endpoints write as strings, organization ids are strings. No maximum length is documented. An id is therefore kept
//! as the text that came, a number as its digits, so that `1002` and `"1002"` are one id. The API takes hexadecimal ids in
//! either case, so those are kept in lower case, and a run is one run whichever way somebody spelled it. Only the id of an
//! organization, of whose form nothing is documented, stays as it came.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Number;

use crate::lenient::{Field, Shape, whole};
use crate::record::Inspect;

/// The longest id that is taken from an unauthenticated or unsigned body.
const MAX_PLAUSIBLE_LEN: usize = 128;

/// How many digits a hexadecimal id has.
const HEXADECIMAL_LEN: usize = 32;

/// Whether a text from an unsigned body may be used as an id: short, and made of letters, digits, `-` and `_` only.
///
/// What the API itself returns is not held to this; it is shown, stored and escaped, whatever it is.
pub(crate) fn is_plausible(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= MAX_PLAUSIBLE_LEN
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// An id as it came.
fn as_it_came(id: String) -> String {
    id
}

/// An id of 32 hexadecimal digits in lower case, and any other as it came.
fn in_lower_case(mut id: String) -> String {
    if id.len() == HEXADECIMAL_LEN && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        id.make_ascii_lowercase();
    }
    id
}

struct IdText;

impl Visitor<'_> for IdText {
    type Value = String;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an id as a string or a whole number")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<String, E> {
        Ok(value.to_owned())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<String, E> {
        Ok(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }
}

macro_rules! ids {
    ($written:path: $($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes any text as an id; whether it names something, only the API can say.
            pub fn new(id: impl Into<String>) -> Self {
                Self($written(id.into()))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}({:?})", stringify!($name), self.0)
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self::new(id)
            }
        }

        impl From<&Self> for $name {
            fn from(id: &Self) -> Self {
                id.clone()
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self::new(id)
            }
        }

        impl FromStr for $name {
            type Err = Infallible;

            fn from_str(id: &str) -> Result<Self, Infallible> {
                Ok(Self::new(id))
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, id: &str) -> bool {
                self.0 == id
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, id: &&str) -> bool {
                self.0 == *id
            }
        }

        impl PartialEq<$name> for str {
            fn eq(&self, id: &$name) -> bool {
                self == id.0
            }
        }

        impl PartialEq<$name> for &str {
            fn eq(&self, id: &$name) -> bool {
                *self == id.0
            }
        }

        impl Shape for $name {
            fn from_text(text: &str) -> Field<Self> {
                if text.is_empty() { Field::Empty } else { Field::Value(Self::new(text)) }
            }

            fn from_number(number: Number) -> Field<Self> {
                match whole(&number) {
                    Some(0) => Field::Empty,
                    Some(id) => Field::Value(Self(id.to_string())),
                    None if number.is_u64() => Field::Value(Self(number.to_string())),
                    None => Field::Unexpected(Box::new(number.into())),
                }
            }
        }

        impl Inspect for $name {}

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(IdText).map(Self::new)
            }
        }
    )+};
}

ids! {
    as_it_came:
    /// An organization: the tenant that owns runs, templates and members.
    OrgId,
}

ids! {
    in_lower_case:
    /// A run, which the product's pages call a process.
    RunId,
    /// A task of a run, or a one-off task.
    TaskId,
    /// A template, which the API calls a checklist.
    ChecklistId,
    /// A step of a template.
    StepId,
    /// A member. The API sends an integer, some endpoints and all webhooks a string.
    UserId,
    /// A group of members.
    GroupId,
    /// A tag of the organization (not the association of a tag with a run, whose id is a number of its own).
    TagId,
    /// An option of a form field, or a column of a table: a number within the field.
    OptionId,
    /// A file.
    AssetId,
    /// A folder. Rows that put a thing in a folder have numbers of their own.
    FolderId,
    /// A comment.
    ThreadId,
    /// A webhook that is registered for an organization.
    WatcherId,
    /// A form field, which the API calls a capture; also called its timeline id. The key of an answer.
    FieldId,
}

/// Ids that the API writes as numbers, at least in some places.
macro_rules! numbered {
    ($($name:ident),+) => {$(
        impl From<u64> for $name {
            fn from(id: u64) -> Self {
                Self(id.to_string())
            }
        }
    )+};
}

numbered!(UserId, OptionId, ThreadId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_its_digits_are_one_id() {
        let number: UserId = serde_json::from_str("1002").unwrap();
        let string: UserId = serde_json::from_str("\"1002\"").unwrap();
        assert_eq!(number, string);
        assert_eq!(serde_json::to_string(&number).unwrap(), "\"1002\"");
    }

    #[test]
    fn a_hexadecimal_id_is_one_id_in_either_case() {
        let upper = "0123456789ABCDEF0123456789ABCDEF";
        let lower = upper.to_lowercase();
        assert_eq!(RunId::new(upper).as_str(), lower);
        assert_eq!(RunId::from(upper), RunId::from(upper.to_owned()));
        assert_eq!(serde_json::from_value::<TaskId>(upper.into()).unwrap().as_str(), lower);
        for as_it_came in ["R1", "0123456789ABCDEF", "G123456789ABCDEF0123456789ABCDEF"] {
            assert_eq!(RunId::new(as_it_came).as_str(), as_it_came);
        }
        assert_eq!(OrgId::new(upper).as_str(), upper);
    }

    #[test]
    fn an_id_is_made_of_text_or_a_number_and_compared_with_text() {
        assert_eq!("r1".parse::<RunId>(), Ok(RunId::from("r1")));
        let r1 = RunId::from("r1");
        assert!(r1 == "r1");
        assert!(*"r1" == r1);
        assert!(r1 != *"r2");
        assert_eq!(UserId::from(1002), "1002");
    }

    #[test]
    fn what_is_neither_text_nor_whole_number_is_no_id() {
        for json in ["true", "null", "[]", "{}", "1.5"] {
            assert!(serde_json::from_str::<RunId>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn ids_from_unsigned_bodies_are_short_and_plain() {
        assert!(is_plausible("0123456789abcdef0123456789abcdef"));
        assert!(is_plausible("PROCESS_RUN_ID_TO_GET"));
        for odd in ["", "a/b", "..", "a b", "a\n", "ä", &"a".repeat(129)] {
            assert!(!is_plausible(odd), "{odd:?}");
        }
    }
}
