//! The envelopes that includes come in, and how they are recognized.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Number;

use super::{Field, Shape};

/// What is in the envelope or the array of an [`Item`](super::Item): in an envelope or an array once more at most, since more would
/// be a way to fill the stack.
pub(super) struct Enclosed<T>(pub(super) T);

impl<T: Shape> Shape for Enclosed<T> {
    fn from_text(text: &str) -> Field<Self> {
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
pub(crate) fn out_of_envelope<'de, T: Shape, I: Shape, O, A: MapAccess<'de>>(
    mut map: A,
    open: impl FnOnce(I) -> O,
    keep: impl FnOnce(T) -> O,
) -> Result<Field<O>, A::Error> {
    let Some(first) = map.next_key::<Name<'_>>()? else {
        return Ok(Field::Empty);
    };
    if first.is_data() {
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
    while let Some(key) = map.next_key::<Name<'_>>()? {
        if key.is_data() {
            wrapped = map.next_value()?;
        } else {
            map.next_value::<IgnoredAny>()?;
        }
    }
    Ok(wrapped)
}

/// The name of a member, borrowed from the text where nothing in it is escaped.
pub(super) struct Name<'de>(Cow<'de, str>);

impl Name<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn is_data(&self) -> bool {
        self.0 == "data"
    }
}

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyName;

        impl<'de> Visitor<'de> for AnyName {
            type Value = Cow<'de, str>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the name of a member")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(name.into())
            }

            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(name.to_owned().into())
            }
        }

        deserializer.deserialize_str(AnyName).map(Self)
    }
}

/// An object whose first key was looked at already.
pub(super) struct Replayed<'de, A> {
    pub(super) key: Option<Name<'de>>,
    pub(super) rest: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Replayed<'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        match self.key.take() {
            Some(key) => seed.deserialize(key.0.into_deserializer()).map(Some),
            None => self.rest.next_key_seed(seed),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.rest.next_value_seed(seed)
    }
}

/// An object that turns out to be an envelope, or not: its member `data` is taken out.
struct Unwrapping<'a, 'de, A, T> {
    first: Option<Name<'de>>,
    pub(super) rest: A,
    wrapped: &'a mut Field<T>,
}

impl<'de, A: MapAccess<'de>, T: Shape> MapAccess<'de> for Unwrapping<'_, 'de, A, T> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let mut next = self.first.take();
        loop {
            let key = match next.take() {
                Some(key) => key,
                None => match self.rest.next_key::<Name<'_>>()? {
                    Some(key) => key,
                    None => return Ok(None),
                },
            };
            if !key.is_data() {
                return seed.deserialize(key.0.into_deserializer()).map(Some);
            }
            *self.wrapped = self.rest.next_value()?;
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.rest.next_value_seed(seed)
    }
}
