//! Lists, things and maps, in each of the forms that they come in.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Error, MapAccess, SeqAccess, value};
use serde_json::{Number, Value};

use super::envelope::{Enclosed, Replayed, first_element, last_data, out_of_envelope};
use super::{Field, Shape};

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
