//! How an object with known members is declared.

use crate::lenient::{Field, Item, List, Map};

/// Something that was not understood, and where.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Surprise {
    /// Where it is, as a JSON Pointer (RFC 6901) into the raw JSON read plainly: without `/data` where an include is
    /// wrapped, and with positions counted from 0 where a list has them as keys.
    pub pointer: String,
    /// The JSON that is there; exact to 64-bit numbers.
    pub json: serde_json::Value,
}

/// What can name the places in itself that were not understood.
pub(crate) trait Inspect {
    fn inspect(&self, pointer: &str, found: &mut Vec<Surprise>) {
        let _ = (pointer, found);
    }
}

impl<T: Inspect> Inspect for Field<T> {
    fn inspect(&self, pointer: &str, found: &mut Vec<Surprise>) {
        match self {
            Self::Absent | Self::Empty => {}
            Self::Value(value) => value.inspect(pointer, found),
            Self::Unexpected(json) => found.push(Surprise {
                pointer: pointer.to_owned(),
                json: (**json).clone(),
            }),
        }
    }
}

impl<T: Inspect> Inspect for List<T> {
    fn inspect(&self, pointer: &str, found: &mut Vec<Surprise>) {
        for (position, element) in self.elements().iter().enumerate() {
            element.inspect(&format!("{pointer}/{position}"), found);
        }
    }
}

impl<T: Inspect> Inspect for Item<T> {
    fn inspect(&self, pointer: &str, found: &mut Vec<Surprise>) {
        (**self).inspect(pointer, found);
    }
}

impl<K: Ord + AsRef<str>, T: Inspect> Inspect for Map<K, T> {
    fn inspect(&self, pointer: &str, found: &mut Vec<Surprise>) {
        for (key, value) in self.iter() {
            let key = key.as_ref().replace('~', "~0").replace('/', "~1");
            value.inspect(&format!("{pointer}/{key}"), found);
        }
    }
}

impl Inspect for bool {}
impl Inspect for i64 {}
impl Inspect for f64 {}
impl Inspect for String {}
impl Inspect for serde_json::Value {}
impl Inspect for crate::ApiTime {}

/// Declares a struct whose members are all read leniently: any may be absent, of any JSON type, or there twice (the last
/// one counts); members that are not declared are left to the raw JSON. `or bare id` reads a string or a number in the
/// place of the object as its `id`.
macro_rules! record {
    (
        $(#[$doc:meta])*
        $vis:vis struct $name:ident $(or bare $id:ident)? {
            $( $(#[$field_doc:meta])* $field:ident $(= $json:literal)? : $type:ty, )*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        #[non_exhaustive]
        $vis struct $name {
            $( $(#[$field_doc])* $vis $field: $crate::lenient::Field<$type>, )*
        }

        const _: () = {
            use $crate::lenient::{Field, Shape};
            use serde::de::{IgnoredAny, MapAccess};

            #[allow(non_camel_case_types, reason = "the variants carry the names of the fields")]
            enum Key { $($field,)* UnknownMember }

            impl<'de> serde::Deserialize<'de> for Key {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    struct MemberName;

                    impl serde::de::Visitor<'_> for MemberName {
                        type Value = Key;

                        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                            formatter.write_str("the name of a member")
                        }

                        fn visit_str<E>(self, name: &str) -> Result<Key, E> {
                            Ok(match name {
                                $( $crate::record::json_name!($field $(= $json)?) => Key::$field, )*
                                _ => Key::UnknownMember,
                            })
                        }
                    }

                    deserializer.deserialize_identifier(MemberName)
                }
            }

            impl Shape for $name {
                $(
                    fn from_text(text: String) -> Field<Self> {
                        Shape::from_text(text).map(|id| Self { $id: Field::Value(id), ..Self::default() })
                    }

                    fn from_number(number: serde_json::Number) -> Field<Self> {
                        Shape::from_number(number).map(|id| Self { $id: Field::Value(id), ..Self::default() })
                    }
                )?

                fn from_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Field<Self>, A::Error> {
                    let mut record = Self::default();
                    while let Some(key) = map.next_key()? {
                        match key {
                            $( Key::$field => record.$field = map.next_value()?, )*
                            Key::UnknownMember => {
                                map.next_value::<IgnoredAny>()?;
                            }
                        }
                    }
                    Ok(Field::Value(record))
                }
            }

            impl $crate::record::Inspect for $name {
                fn inspect(&self, pointer: &str, found: &mut Vec<$crate::record::Surprise>) {
                    $(
                        let member = format!("{pointer}/{}", $crate::record::json_name!($field $(= $json)?));
                        $crate::record::Inspect::inspect(&self.$field, &member, found);
                    )*
                }
            }
        };
    };
}

/// The name of a member in the JSON: as declared, or that of the field.
macro_rules! json_name {
    ($field:ident = $json:literal) => {
        $json
    };
    ($field:ident) => {
        stringify!($field)
    };
}

pub(crate) use {json_name, record};
