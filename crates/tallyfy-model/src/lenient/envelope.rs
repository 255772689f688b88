//! The envelopes that includes come in, and how they are recognized.

use serde::de::{DeserializeSeed, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess};
use serde_json::Number;

use super::{Field, Shape};

/// What is in the envelope or the array of an [`Item`](super::Item): in an envelope or an array once more at most, since more would
/// be a way to fill the stack.
pub(super) struct Enclosed<T>(pub(super) T);

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

pub(super) fn first_element<'de, T: Shape, A: SeqAccess<'de>>(mut seq: A) -> Result<Field<T>, A::Error> {
    let first = seq.next_element()?;
    while seq.next_element::<IgnoredAny>()?.is_some() {}
    Ok(first.unwrap_or(Field::Empty))
}

/// Reads an object that is an envelope with an `I` in it, or else a `T` itself.
pub(super) fn out_of_envelope<'de, T: Shape, I: Shape, O, A: MapAccess<'de>>(
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

/// What is in an envelope whose key `data` was read already.
pub(super) fn last_data<'de, T: Shape, A: MapAccess<'de>>(mut map: A) -> Result<Field<T>, A::Error> {
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
pub(super) struct Replayed<A> {
    pub(super) key: Option<String>,
    pub(super) rest: A,
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
    pub(super) rest: A,
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
