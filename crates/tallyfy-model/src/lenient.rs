//! The building blocks that decode whatever form a value comes in.
//!
//! The same field has different JSON types from one endpoint to the next (API reference, sections b.1, b.2 and h). So
//! every member of an object is a [`Field`], and the type behind it says, by implementing [`Shape`], which JSON types
//! it understands. What it does not understand becomes [`Field::Unexpected`] and never fails what is around it.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Error, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor, value};
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value};

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

    fn unexpected(value: impl Into<Value>) -> Self {
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

impl<T> Field<List<T>> {
    /// The elements that were understood; none if the list is absent.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.get().into_iter().flat_map(List::iter)
    }
}

/// Which JSON types a value is understood in. What a type does not override is unexpected.
pub trait Shape: Sized {
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
    fn from_text(text: String) -> Field<Self> {
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
                Ok(T::from_text(value.to_owned()))
            }

            fn visit_string<E>(self, value: String) -> Result<Field<T>, E> {
                Ok(T::from_text(value))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Field<T>, A::Error> {
                T::from_seq(seq)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Field<T>, A::Error> {
                T::from_map(map)
            }
        }

        deserializer.deserialize_any(AnyForm(PhantomData))
    }
}

/// A whole number, which PHP writes as `3.0` if it came out of a division.
pub(crate) fn whole(number: &Number) -> Option<i64> {
    // Up to here every whole number is a float of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    number.as_i64().or_else(|| {
        let float = number.as_f64()?;
        (float.fract() == 0.0 && float.abs() < EXACT).then_some(float as i64)
    })
}

impl Shape for String {
    fn from_text(text: String) -> Field<Self> {
        Field::Value(text)
    }
}

impl Shape for bool {
    fn from_bool(value: bool) -> Field<Self> {
        Field::Value(value)
    }

    fn from_number(number: Number) -> Field<Self> {
        match whole(&number) {
            Some(0) => Field::Value(false),
            Some(1) => Field::Value(true),
            _ => Field::unexpected(number),
        }
    }

    fn from_text(text: String) -> Field<Self> {
        match text.as_str() {
            "" => Field::Empty,
            "0" | "false" => Field::Value(false),
            "1" | "true" => Field::Value(true),
            _ => Field::unexpected(text),
        }
    }
}

impl Shape for i64 {
    fn from_number(number: Number) -> Field<Self> {
        whole(&number).map_or_else(|| Field::unexpected(number), Field::Value)
    }

    fn from_text(text: String) -> Field<Self> {
        match text.parse() {
            Ok(number) => Field::Value(number),
            Err(_) if text.is_empty() => Field::Empty,
            Err(_) => Field::unexpected(text),
        }
    }
}

impl Shape for f64 {
    fn from_number(number: Number) -> Field<Self> {
        number.as_f64().map_or_else(|| Field::unexpected(number), Field::Value)
    }

    fn from_text(text: String) -> Field<Self> {
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Field::Value(number),
            _ if text.is_empty() => Field::Empty,
            _ => Field::unexpected(text),
        }
    }
}

/// Any JSON at all, `null` excepted: an answer, whose form depends on the type of its form field.
impl Shape for Value {
    fn from_bool(value: bool) -> Field<Self> {
        Field::Value(value.into())
    }

    fn from_number(number: Number) -> Field<Self> {
        Field::Value(number.into())
    }

    fn from_text(text: String) -> Field<Self> {
        Field::Value(text.into())
    }

    fn from_seq<'de, A: SeqAccess<'de>>(seq: A) -> Result<Field<Self>, A::Error> {
        Self::deserialize(value::SeqAccessDeserializer::new(seq)).map(Field::Value)
    }

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Field<Self>, A::Error> {
        Self::deserialize(value::MapAccessDeserializer::new(map)).map(Field::Value)
    }
}

/// A list: bare, wrapped in `{"data": […]}`, or an object whose keys are positions, which is how PHP writes an array
/// with gaps.
#[derive(Clone, Debug, PartialEq)]
pub struct List<T>(Vec<Field<T>>);

impl<T> List<T> {
    /// The elements that were understood.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().filter_map(Field::get)
    }

    /// Every element, understood or not.
    pub fn elements(&self) -> &[Field<T>] {
        &self.0
    }
}

impl<T: Shape> Shape for List<T> {
    fn from_seq<'de, A: SeqAccess<'de>>(seq: A) -> Result<Field<Self>, A::Error> {
        Ok(BareList::from_seq(seq)?.map(|BareList(items)| Self(items)))
    }

    fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Field<Self>, A::Error> {
        let list = match map.next_key::<String>()? {
            Some(first) if first == "data" => last_data(map)?,
            first => {
                let is_list = first.as_deref().is_none_or(is_position);
                let map = Replayed { key: first, rest: map };
                if is_list {
                    BareList::from_map(map)?
                } else {
                    let mut members = serde_json::Map::deserialize(value::MapAccessDeserializer::new(map))?;
                    match members.remove("data") {
                        Some(wrapped) => Field::deserialize(wrapped).map_err(Error::custom)?,
                        None => Field::unexpected(members),
                    }
                }
            }
        };
        Ok(list.map(|BareList(items)| Self(items)))
    }
}

/// A list that is out of its envelope: an envelope within would be a way to fill the stack.
struct BareList<T>(Vec<Field<T>>);

impl<T: Shape> Shape for BareList<T> {
    fn from_seq<'de, A: SeqAccess<'de>>(seq: A) -> Result<Field<Self>, A::Error> {
        Vec::deserialize(value::SeqAccessDeserializer::new(seq)).map(|items| Field::Value(Self(items)))
    }

    fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Field<Self>, A::Error> {
        let mut next = map.next_key::<String>()?;
        if next.as_deref().is_some_and(|key| !is_position(key)) {
            let map = value::MapAccessDeserializer::new(Replayed { key: next, rest: map });
            return Value::deserialize(map).map(Field::unexpected);
        }
        let mut items = Vec::new();
        while next.is_some() {
            items.push(map.next_value()?);
            next = map.next_key()?;
        }
        Ok(Field::Value(Self(items)))
    }
}

fn is_position(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit())
}

/// One thing: bare, wrapped in `{"data": {…}}`, or in an array of its own, whose first element it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Item<T>(T);

impl<T> Item<T> {
    /// The thing itself.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> std::ops::Deref for Item<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Shape> Shape for Item<T> {
    fn from_text(text: String) -> Field<Self> {
        T::from_text(text).map(Self)
    }

    fn from_number(number: Number) -> Field<Self> {
        T::from_number(number).map(Self)
    }

    fn from_seq<'de, A: SeqAccess<'de>>(seq: A) -> Result<Field<Self>, A::Error> {
        Ok(first_element::<Enclosed<T>, A>(seq)?.map(|Enclosed(thing)| Self(thing)))
    }

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Field<Self>, A::Error> {
        out_of_envelope(map, |Enclosed(thing)| Self(thing), Self)
    }
}

/// What is in the envelope or the array of an [`Item`]: in an envelope or an array once more at most, since more would
/// be a way to fill the stack.
struct Enclosed<T>(T);

impl<T: Shape> Shape for Enclosed<T> {
    fn from_text(text: String) -> Field<Self> {
        T::from_text(text).map(Self)
    }

    fn from_number(number: Number) -> Field<Self> {
        T::from_number(number).map(Self)
    }

    fn from_seq<'de, A: SeqAccess<'de>>(seq: A) -> Result<Field<Self>, A::Error> {
        Ok(first_element(seq)?.map(Self))
    }

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Field<Self>, A::Error> {
        out_of_envelope(map, Self, Self)
    }
}

fn first_element<'de, T: Shape, A: SeqAccess<'de>>(mut seq: A) -> Result<Field<T>, A::Error> {
    let first = seq.next_element()?;
    while seq.next_element::<IgnoredAny>()?.is_some() {}
    Ok(first.unwrap_or(Field::Empty))
}

/// Reads an object that is an envelope with an `I` in it, or else a `T` itself.
fn out_of_envelope<'de, T: Shape, I: Shape, O, A: MapAccess<'de>>(
    mut map: A,
    open: impl FnOnce(I) -> O,
    keep: impl FnOnce(T) -> O,
) -> Result<Field<O>, A::Error> {
    let Some(first) = map.next_key::<String>()? else {
        return Ok(Field::Empty);
    };
    if first == "data" {
        return Ok(last_data(map)?.map(open));
    }
    let mut wrapped = Field::Absent;
    let bare = T::from_map(Unwrapping {
        first: Some(first),
        rest: map,
        wrapped: &mut wrapped,
    })?;
    Ok(match wrapped {
        Field::Value(wrapped) => Field::Value(open(wrapped)),
        Field::Absent | Field::Empty | Field::Unexpected(_) => bare.map(keep),
    })
}

/// An object that is a map; `[]` when it is empty, as PHP writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Map<K: Ord, T>(BTreeMap<K, Field<T>>);

impl<K: Ord, T> Map<K, T> {
    /// The value under a key, if there is one that was understood.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&T>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.0.get(key).and_then(Field::get)
    }

    /// The keys and values, in the order of the keys; a cleared value is [`Field::Empty`].
    pub fn iter(&self) -> impl Iterator<Item = (&K, &Field<T>)> {
        self.0.iter()
    }
}

impl<K: Ord + From<String>, T: Shape> Shape for Map<K, T> {
    fn from_seq<'de, A: SeqAccess<'de>>(seq: A) -> Result<Field<Self>, A::Error> {
        let items = Vec::<Value>::deserialize(value::SeqAccessDeserializer::new(seq))?;
        Ok(if items.is_empty() {
            Field::Value(Self(BTreeMap::new()))
        } else {
            Field::unexpected(items)
        })
    }

    fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Field<Self>, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, Field<T>>()? {
            entries.insert(K::from(key), value);
        }
        Ok(Field::Value(Self(entries)))
    }
}

/// What is in an envelope whose key `data` was read already.
fn last_data<'de, T: Shape, A: MapAccess<'de>>(mut map: A) -> Result<Field<T>, A::Error> {
    let mut wrapped = map.next_value()?;
    while let Some(key) = map.next_key::<String>()? {
        if key == "data" {
            wrapped = map.next_value()?;
        } else {
            map.next_value::<IgnoredAny>()?;
        }
    }
    Ok(wrapped)
}

/// An object whose first key was looked at already.
struct Replayed<A> {
    key: Option<String>,
    rest: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Replayed<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        match self.key.take() {
            Some(key) => seed.deserialize(key.into_deserializer()).map(Some),
            None => self.rest.next_key_seed(seed),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.rest.next_value_seed(seed)
    }
}

/// An object that turns out to be an envelope, or not: its member `data` is taken out.
struct Unwrapping<'a, A, T> {
    first: Option<String>,
    rest: A,
    wrapped: &'a mut Field<T>,
}

impl<'de, A: MapAccess<'de>, T: Shape> MapAccess<'de> for Unwrapping<'_, A, T> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let mut next = self.first.take();
        loop {
            let key = match next.take() {
                Some(key) => key,
                None => match self.rest.next_key::<String>()? {
                    Some(key) => key,
                    None => return Ok(None),
                },
            };
            if key != "data" {
                return seed.deserialize(key.into_deserializer()).map(Some);
            }
            *self.wrapped = self.rest.next_value()?;
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.rest.next_value_seed(seed)
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
                read::<Map<String, Value>>(json).get().unwrap().iter().count(),
                0,
                "{json}"
            );
        }
        assert!(matches!(read::<Map<String, Value>>("[1]"), Field::Unexpected(_)));
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
