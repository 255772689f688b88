//! The building blocks that decode whatever form a value comes in.
//!
//! The same field has different JSON types from one endpoint to the next (API reference, sections b.1, b.2 and h). So
//! every member of an object is a [`Field`], and the type behind it says, by implementing [`Shape`], which JSON types
//! it understands. What it does not understand becomes [`Field::Unexpected`] and never fails what is around it.

mod collection;
mod envelope;
mod json;
mod scalar;

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;

use jiff::Timestamp;
use serde::de::{MapAccess, SeqAccess, Visitor, value};
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};

use crate::ApiTime;

pub(crate) use collection::is_position;
pub use collection::{Elements, Item, List, Map};
pub(crate) use envelope::out_of_envelope;
pub use json::Json;
pub(crate) use scalar::whole;

/// A member of a JSON object, as far as it was understood.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Field<T> {
    /// The object has no such member.
    #[default]
    Absent,
    /// It is `null`, or one of the forms in which Tallyfy writes "no value": `""`, `false`, `0` or `[]` where
    /// something else belongs (API reference, sections b.1 and c.7).
    Empty,
    /// It has a value.
    Value(T),
    /// It is of a type that nobody foresaw. The JSON is here, numbers as far as 64 bits go; the exact text is in the
    /// raw JSON of what it belongs to.
    Unexpected(Box<Value>),
}

impl<T> Field<T> {
    /// The value, if there is one.
    pub fn get(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Empty | Self::Unexpected(_) => None,
        }
    }

    /// The value, if there is one.
    pub fn into_value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Empty | Self::Unexpected(_) => None,
        }
    }

    pub(crate) fn unexpected(value: impl Into<Value>) -> Self {
        Self::Unexpected(Box::new(value.into()))
    }

    pub(crate) fn map<U>(self, convert: impl FnOnce(T) -> U) -> Field<U> {
        match self {
            Self::Absent => Field::Absent,
            Self::Empty => Field::Empty,
            Self::Value(value) => Field::Value(convert(value)),
            Self::Unexpected(json) => Field::Unexpected(json),
        }
    }
}

impl Field<String> {
    /// The text, if there is one.
    pub fn as_str(&self) -> Option<&str> {
        self.get().map(String::as_str)
    }
}

impl Field<ApiTime> {
    /// The instant, if there is one and its text names one for certain; see [`ApiTime::timestamp`].
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.get()?.timestamp()
    }
}

impl<T> Field<List<T>> {
    /// The elements that were understood; none if the list is absent.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.get().into_iter().flat_map(List::iter)
    }
}

impl<'a, T> IntoIterator for &'a Field<List<T>> {
    type Item = &'a T;
    type IntoIter = Elements<'a, T>;

    fn into_iter(self) -> Elements<'a, T> {
        self.get().map_or_else(Elements::none, IntoIterator::into_iter)
    }
}

impl<K: Ord, T> Field<Map<K, T>> {
    /// The value under a key, if there is a map with one that was understood.
    pub fn of<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&T>
    where
        K: Borrow<Q>,
    {
        self.get()?.get(key)
    }

    /// The keys and the values that were understood; none if the map is absent.
    pub fn entries(&self) -> impl Iterator<Item = (&K, &T)> {
        let entries = self.get().into_iter().flat_map(Map::iter);
        entries.filter_map(|(key, value)| Some((key, value.get()?)))
    }
}

/// Which JSON types a value is understood in. What a type does not override is unexpected.
pub trait Shape: Sized {
    /// Reads any JSON, by asking for one of the types below.
    ///
    /// # Errors
    /// Only what the source of the JSON reports.
    fn from_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Field<Self>, D::Error> {
        deserializer.deserialize_any(AnyForm(PhantomData))
    }

    /// Reads `true` or `false`.
    fn from_bool(value: bool) -> Field<Self> {
        if value { Field::unexpected(value) } else { Field::Empty }
    }

    /// Reads a number.
    fn from_number(number: Number) -> Field<Self> {
        if number.as_f64() == Some(0.0) {
            Field::Empty
        } else {
            Field::unexpected(number)
        }
    }

    /// Reads a string.
    fn from_text(text: &str) -> Field<Self> {
        if text.is_empty() {
            Field::Empty
        } else {
            Field::unexpected(text)
        }
    }

    /// Reads an array.
    ///
    /// # Errors
    /// Only what the source of the JSON reports.
    fn from_seq<'de, A: SeqAccess<'de>>(seq: A) -> Result<Field<Self>, A::Error> {
        let items = Vec::<Value>::deserialize(value::SeqAccessDeserializer::new(seq))?;
        Ok(if items.is_empty() {
            Field::Empty
        } else {
            Field::unexpected(items)
        })
    }

    /// Reads an object.
    ///
    /// # Errors
    /// Only what the source of the JSON reports.
    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Field<Self>, A::Error> {
        Value::deserialize(value::MapAccessDeserializer::new(map)).map(Field::unexpected)
    }
}

impl<'de, T: Shape> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::from_any(deserializer)
    }
}

struct AnyForm<T>(PhantomData<T>);

impl<'de, T: Shape> Visitor<'de> for AnyForm<T> {
    type Value = Field<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Field<T>, E> {
        Ok(Field::Empty)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Field<T>, E> {
        Ok(T::from_bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Field<T>, E> {
        Ok(T::from_number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Field<T>, E> {
        Ok(T::from_number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Field<T>, E> {
        Ok(Number::from_f64(value).map_or(Field::Empty, T::from_number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Field<T>, E> {
        Ok(T::from_text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Field<T>, A::Error> {
        T::from_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Field<T>, A::Error> {
        T::from_map(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: Shape>(json: &str) -> Field<T> {
        serde_json::from_str(json).unwrap()
    }

    fn texts(json: &str) -> Vec<String> {
        read::<List<String>>(json).iter().cloned().collect()
    }

    #[test]
    fn a_list_is_read_bare_wrapped_or_with_positions_as_keys() {
        for json in [
            r#"["a","b"]"#,
            r#"{"data":["a","b"]}"#,
            r#"{"data":["a","b"],"meta":{"pagination":[]}}"#,
            r#"{"meta":{"pagination":[]},"data":["a","b"]}"#,
            r#"{"data":["z"],"data":["a","b"]}"#,
            r#"{"0":"a","4":"b"}"#,
        ] {
            assert_eq!(texts(json), ["a", "b"], "{json}");
        }
    }

    #[test]
    fn an_include_that_resolved_to_nothing_is_empty() {
        assert_eq!(read::<List<String>>(r#"{"data":null}"#), Field::Empty);
        assert_eq!(read::<Item<String>>(r#"{"data":null}"#), Field::Empty);
        assert_eq!(read::<Item<String>>(r#"{"data":[]}"#), Field::Empty);
    }

    #[test]
    fn an_element_of_a_foreign_type_does_not_take_its_neighbours_along() {
        let list = read::<List<String>>(r#"["a",{"x":1},null,"b"]"#);
        assert_eq!(list.iter().collect::<Vec<_>>(), ["a", "b"]);
        let elements = list.get().unwrap().elements();
        assert_eq!(elements[1], Field::Unexpected(Box::new(serde_json::json!({"x": 1}))));
        assert_eq!(elements[2], Field::Empty);
    }

    #[test]
    fn one_thing_is_read_bare_wrapped_or_alone_in_an_array() {
        for json in [
            r#""a""#,
            r#"{"data":"a"}"#,
            r#"["a"]"#,
            r#"{"data":["a","b"]}"#,
            r#"{"data":"z","data":"a"}"#,
            r#"{"meta":{},"data":"a"}"#,
        ] {
            assert_eq!(
                read::<Item<String>>(json).get().map(|item| item.as_str()),
                Some("a"),
                "{json}"
            );
        }
    }

    #[test]
    fn an_empty_map_may_be_an_array() {
        for json in ["[]", "{}"] {
            assert_eq!(
                read::<Map<String, Json>>(json).get().unwrap().iter().count(),
                0,
                "{json}"
            );
        }
        assert!(matches!(read::<Map<String, Json>>("[1]"), Field::Unexpected(_)));
    }

    #[test]
    fn cleared_values_are_empty_in_every_typed_field() {
        for json in ["null", "\"\"", "false", "0", "[]"] {
            assert_eq!(read::<Item<crate::ApiTime>>(json).get(), None, "{json}");
            assert!(!matches!(read::<crate::RunId>(json), Field::Unexpected(_)), "{json}");
            assert!(!matches!(read::<List<i64>>(json), Field::Unexpected(_)), "{json}");
            assert!(!matches!(read::<f64>(json), Field::Unexpected(_)), "{json}");
        }
    }

    #[test]
    fn what_nobody_foresaw_keeps_its_json() {
        assert_eq!(read::<bool>("7"), Field::Unexpected(Box::new(7.into())));
        assert_eq!(read::<String>("true"), Field::Unexpected(Box::new(true.into())));
        assert_eq!(read::<i64>("1.5"), Field::Unexpected(Box::new(1.5.into())));
    }

    #[test]
    fn numbers_and_flags_are_read_from_text_too() {
        assert_eq!(read::<i64>("\"60\""), Field::Value(60));
        assert_eq!(read::<f64>("\"33.3\""), Field::Value(33.3));
        assert_eq!(read::<bool>("\"1\""), Field::Value(true));
        assert_eq!(read::<bool>("0"), Field::Value(false));
        assert_eq!(read::<i64>("3.0"), Field::Value(3));
        assert_eq!(read::<String>("0.0"), Field::Empty);
    }
}
