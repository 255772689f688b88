//! Lists, things and maps, in each of the forms that they come in.

use std::borrow::Borrow;
use std::fmt;
use std::slice;

use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess, value};
use serde_json::{Number, Value};

use super::envelope::{Enclosed, Name, Replayed, first_element, last_data, out_of_envelope};
use super::{Field, Json, Shape};

/// A list: bare, wrapped in `{"data": […]}` or under a name of its own, or an object whose keys are positions, which is how
/// PHP writes an array with gaps.
#[derive(Clone, Debug, PartialEq)]
pub struct List<T>(Vec<Field<T>>);

impl<T> List<T> {
    pub(crate) fn of_one(element: T) -> Self {
        Self(vec![Field::Value(element)])
    }

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
        let list = match map.next_key::<Name<'_>>()? {
            Some(first) if first.is_data() => last_data(map)?,
            Some(first) if !is_position(first.as_str()) => data_among_others(first, map)?,
            first => BareList::from_map(Replayed { key: first, rest: map })?,
        };
        Ok(list.map(|BareList(items)| Self(items)))
    }
}

/// What is in an envelope with something before its `data`.
fn data_among_others<'de, T: Shape, A: MapAccess<'de>>(
    first: Name<'de>,
    mut map: A,
) -> Result<Field<BareList<T>>, A::Error> {
    let mut list = None;
    let mut others = Vec::new();
    let mut next = Some(first);
    while let Some(key) = next {
        if key.is_data() {
            list = Some(map.next_value()?);
        } else {
            others.push((key.as_str().to_owned(), map.next_value()?));
        }
        next = map.next_key()?;
    }
    Ok(list.unwrap_or_else(|| under_its_name(others)))
}

/// A list under a name of its own, as `{"form_fields": […]}`, which is how one endpoint sends it (API reference, section
/// b.1).
fn under_its_name<T: Shape>(members: Vec<(String, Field<Json>)>) -> Field<BareList<T>> {
    if let [(_, Field::Value(list))] = members.as_slice()
        && list.raw().starts_with('[')
    {
        return list.read();
    }
    let value = |json: Field<Json>| json.get().map_or(Value::Null, Json::to_value);
    Field::unexpected(serde_json::Map::from_iter(
        members.into_iter().map(|(key, json)| (key, value(json))),
    ))
}

/// A list that is out of its envelope: an envelope within would be a way to fill the stack.
struct BareList<T>(Vec<Field<T>>);

impl<T: Shape> Shape for BareList<T> {
    fn from_seq<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<Field<Self>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        items.shrink_to_fit();
        Ok(Field::Value(Self(items)))
    }

    fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Field<Self>, A::Error> {
        let mut next = map.next_key::<Name<'_>>()?;
        if next.as_ref().is_some_and(|key| !is_position(key.as_str())) {
            let mut members = Vec::new();
            while let Some(key) = next {
                members.push((key.as_str().to_owned(), map.next_value()?));
                next = map.next_key()?;
            }
            return Ok(under_its_name(members));
        }
        let mut items = Vec::new();
        while next.is_some() {
            items.push(map.next_value()?);
            next = map.next_key()?;
        }
        Ok(Field::Value(Self(items)))
    }
}

/// The elements that were understood.
impl<T> IntoIterator for List<T> {
    type Item = T;
    type IntoIter = std::iter::FilterMap<std::vec::IntoIter<Field<T>>, fn(Field<T>) -> Option<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().filter_map(Field::into_value)
    }
}

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a T;
    type IntoIter = Elements<'a, T>;

    fn into_iter(self) -> Elements<'a, T> {
        Elements(self.0.iter())
    }
}

/// The elements of a [`List`] that were understood.
#[derive(Clone, Debug)]
pub struct Elements<'a, T>(slice::Iter<'a, Field<T>>);

impl<T> Elements<'_, T> {
    pub(super) fn none() -> Self {
        Self([].iter())
    }
}

impl<'a, T> Iterator for Elements<'a, T> {
    type Item = &'a T;

    fn next(&mut self) -> Option<&'a T> {
        self.0.find_map(Field::get)
    }
}

impl<T> FromIterator<Field<T>> for List<T> {
    fn from_iter<I: IntoIterator<Item = Field<T>>>(elements: I) -> Self {
        Self(elements.into_iter().collect())
    }
}

/// Whether a key can be the position of an element.
pub(crate) fn is_position(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit())
}

/// One thing: bare, wrapped in `{"data": {…}}`, or in an array of its own, whose first element it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Item<T>(Box<T>);

impl<T> Item<T> {
    fn new(thing: T) -> Self {
        Self(Box::new(thing))
    }

    /// The thing itself.
    pub fn into_inner(self) -> T {
        *self.0
    }
}

impl<T> std::ops::Deref for Item<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Shape> Shape for Item<T> {
    fn from_text(text: &str) -> Field<Self> {
        T::from_text(text).map(Self::new)
    }

    fn from_number(number: Number) -> Field<Self> {
        T::from_number(number).map(Self::new)
    }

    fn from_seq<'de, A: SeqAccess<'de>>(seq: A) -> Result<Field<Self>, A::Error> {
        Ok(first_element::<Enclosed<T>, A>(seq)?.map(|Enclosed(thing)| Self::new(thing)))
    }

    fn from_map<'de, A: MapAccess<'de>>(map: A) -> Result<Field<Self>, A::Error> {
        out_of_envelope(map, |Enclosed(thing)| Self::new(thing), Self::new)
    }
}

/// An object that is a map; `[]` when it is empty, as PHP writes it.
#[derive(Clone, PartialEq)]
pub struct Map<K, T>(
    /// In the order of the keys. Most are small, and a tree would take many times the room.
    Vec<(K, Field<T>)>,
);

impl<K: Ord, T> Map<K, T> {
    /// The value under a key, if there is one that was understood.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&T>
    where
        K: Borrow<Q>,
    {
        let at = self.0.binary_search_by(|(other, _)| other.borrow().cmp(key)).ok()?;
        self.0.get(at)?.1.get()
    }

    /// The keys and values, in the order of the keys; a cleared value is [`Field::Empty`].
    pub fn iter(&self) -> impl Iterator<Item = (&K, &Field<T>)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// Of a key that occurs several times, the last value counts.
    fn of(mut entries: Vec<(K, Field<T>)>) -> Self {
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        entries.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                std::mem::swap(next, kept);
            }
            same
        });
        entries.shrink_to_fit();
        Self(entries)
    }
}

/// The keys and values, in the order of the keys.
impl<K, T> IntoIterator for Map<K, T> {
    type Item = (K, Field<T>);
    type IntoIter = std::vec::IntoIter<(K, Field<T>)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<K: fmt::Debug, T: fmt::Debug> fmt::Debug for Map<K, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_map()
            .entries(self.0.iter().map(|(key, value)| (key, value)))
            .finish()
    }
}

impl<K: Ord + for<'a> From<&'a str>, T: Shape> Shape for Map<K, T> {
    fn from_seq<'de, A: SeqAccess<'de>>(seq: A) -> Result<Field<Self>, A::Error> {
        let items = Vec::<Value>::deserialize(value::SeqAccessDeserializer::new(seq))?;
        Ok(if items.is_empty() {
            Field::Value(Self(Vec::new()))
        } else {
            Field::unexpected(items)
        })
    }

    fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Field<Self>, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Name<'_>, Field<T>>()? {
            entries.push((K::from(key.as_str()), value));
        }
        Ok(Field::Value(Self::of(entries)))
    }
}
