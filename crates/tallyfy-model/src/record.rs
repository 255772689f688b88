//! How an object with known members is declared.

use std::fmt;

use crate::lenient::{Field, Item, Json, List, Map, Shape};

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

/// [`Inspect::inspect`] for a member of an object.
pub(crate) fn inspect_member<T: Inspect>(field: &Field<T>, object: &str, name: &str, found: &mut Vec<Surprise>) {
    if matches!(field, Field::Value(_) | Field::Unexpected(_)) {
        field.inspect(&below(object, name), found);
    }
}

fn below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
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
            inspect_member(value, pointer, key.as_ref(), found);
        }
    }
}

impl Inspect for bool {}
impl Inspect for i64 {}
impl Inspect for f64 {}
impl Inspect for String {}
impl Inspect for Json {}
impl Inspect for crate::ApiTime {}

/// What is decoded from a JSON object.
pub trait Record: Shape {
    /// The members that came in a form that nobody foresaw.
    fn surprises(&self) -> Vec<Surprise>;
}

/// Declares a struct whose members are all read leniently: any may be absent, of any JSON type, or there twice (the last
/// one counts); members that are not declared are left to the raw JSON.
///
/// `or bare id` reads a string or a number in the place of the object as its `id`. `rarely Rest { … }` declares members
/// that few responses have: they take no room where none of them is there, and are reached by dereferencing. A second
/// such group hangs on the first.
/// `and inspect check` names a method that looks for what only the members together show to be odd.
macro_rules! record {
    (
        $(#[$doc:meta])*
        $vis:vis struct $name:ident $(or bare $id:ident)? $(and inspect $also:ident)? {
            $( $(#[$field_doc:meta])* $field:ident $(= $json:literal)? : $type:ty, )*
        }
        $(
            $(#[$rest_doc:meta])*
            rarely $rest:ident {
                $( $(#[$rare_doc:meta])* $rare:ident $(= $rare_json:literal)? : $rare_type:ty, )*
            }
            $(
                $(#[$last_doc:meta])*
                rarely $last:ident {
                    $( $(#[$rarest_doc:meta])* $rarest:ident $(= $rarest_json:literal)? : $rarest_type:ty, )*
                }
            )?
        )?
    ) => {
        $(#[$doc])*
        $(
            #[doc = ""]
            #[doc = concat!(
                "Reached in the same way, through [`", stringify!($rest), "`]: ",
                $( "`", stringify!($rare), "`, ", )*
                $($( "`", stringify!($rarest), "`, ", )*)?
                "each a [`Field`](crate::Field)."
            )]
        )?
        #[derive(Clone, Default, PartialEq)]
        #[non_exhaustive]
        $vis struct $name {
            $( $(#[$field_doc])* $vis $field: $crate::lenient::Field<$type>, )*
            $( rest: Option<Box<$rest>>, )?
        }

        $(
            $(#[$rest_doc])*
            #[derive(Clone, Default, PartialEq)]
            #[non_exhaustive]
            $vis struct $rest {
                $( $(#[$rare_doc])* $vis $rare: $crate::lenient::Field<$rare_type>, )*
                $( rest: Option<Box<$last>>, )?
            }

            impl std::ops::Deref for $name {
                type Target = $rest;

                fn deref(&self) -> &$rest {
                    static NONE: $rest = $rest {
                        $( $rare: $crate::lenient::Field::Absent, )*
                        $( rest: None::<Box<$last>>, )?
                    };
                    self.rest.as_deref().unwrap_or(&NONE)
                }
            }

            $(
                $(#[$last_doc])*
                #[derive(Clone, Default, PartialEq)]
                #[non_exhaustive]
                $vis struct $last {
                    $( $(#[$rarest_doc])* $vis $rarest: $crate::lenient::Field<$rarest_type>, )*
                }

                impl std::ops::Deref for $rest {
                    type Target = $last;

                    fn deref(&self) -> &$last {
                        static NONE: $last = $last { $( $rarest: $crate::lenient::Field::Absent, )* };
                        self.rest.as_deref().unwrap_or(&NONE)
                    }
                }
            )?
        )?

        const _: () = {
            use $crate::lenient::{Field, Shape};
            use $crate::record::{Inspect, Surprise, inspect_member, json_name, show};
            use serde::de::{IgnoredAny, MapAccess};

            #[allow(non_camel_case_types, reason = "the variants carry the names of the fields")]
            enum Key { $($field,)* $($($rare,)* $($($rarest,)*)?)? UnknownMember }

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
                                $( json_name!($field $(= $json)?) => Key::$field, )*
                                $(
                                    $( json_name!($rare $(= $rare_json)?) => Key::$rare, )*
                                    $($( json_name!($rarest $(= $rarest_json)?) => Key::$rarest, )*)?
                                )?
                                _ => Key::UnknownMember,
                            })
                        }
                    }

                    deserializer.deserialize_identifier(MemberName)
                }
            }

            impl $name {
                /// The names of the members that are decoded. What else is in the JSON is left to the raw JSON.
                #[allow(dead_code, reason = "not every record is public")]
                $vis const MEMBERS: &[&str] = &[
                    $( json_name!($field $(= $json)?), )*
                    $(
                        $( json_name!($rare $(= $rare_json)?), )*
                        $($( json_name!($rarest $(= $rarest_json)?), )*)?
                    )?
                ];
            }

            impl Shape for $name {
                $(
                    fn from_text(text: &str) -> Field<Self> {
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
                            $(
                                $( Key::$rare => record.rest.get_or_insert_default().$rare = map.next_value()?, )*
                                $($(
                                    Key::$rarest => {
                                        let rest = record.rest.get_or_insert_default();
                                        rest.rest.get_or_insert_default().$rarest = map.next_value()?;
                                    }
                                )*)?
                            )?
                            Key::UnknownMember => {
                                map.next_value::<IgnoredAny>()?;
                            }
                        }
                    }
                    Ok(Field::Value(record))
                }
            }

            impl $crate::record::Record for $name {
                fn surprises(&self) -> Vec<Surprise> {
                    let mut found = Vec::new();
                    self.inspect("", &mut found);
                    found
                }
            }

            impl Inspect for $name {
                fn inspect(&self, pointer: &str, found: &mut Vec<Surprise>) {
                    $( inspect_member(&self.$field, pointer, json_name!($field $(= $json)?), found); )*
                    $(
                        $( inspect_member(&self.$rare, pointer, json_name!($rare $(= $rare_json)?), found); )*
                        $($( inspect_member(&self.$rarest, pointer, json_name!($rarest $(= $rarest_json)?), found); )*)?
                    )?
                    $( self.$also(pointer, found); )?
                }
            }

            /// Leaves out what is absent, which is most of it.
            impl std::fmt::Debug for $name {
                fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    let mut shown = formatter.debug_struct(stringify!($name));
                    $( show(&mut shown, stringify!($field), &self.$field); )*
                    $(
                        $( show(&mut shown, stringify!($rare), &self.$rare); )*
                        $($( show(&mut shown, stringify!($rarest), &self.$rarest); )*)?
                    )?
                    shown.finish()
                }
            }

            $(
                impl std::fmt::Debug for $rest {
                    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        let mut shown = formatter.debug_struct(stringify!($rest));
                        $( show(&mut shown, stringify!($rare), &self.$rare); )*
                        $($( show(&mut shown, stringify!($rarest), &self.$rarest); )*)?
                        shown.finish()
                    }
                }

                $(
                    impl std::fmt::Debug for $last {
                        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                            let mut shown = formatter.debug_struct(stringify!($last));
                            $( show(&mut shown, stringify!($rarest), &self.$rarest); )*
                            shown.finish()
                        }
                    }
                )?
            )?
        };
    };
}

pub(crate) fn show<T: fmt::Debug>(shown: &mut fmt::DebugStruct<'_, '_>, name: &str, field: &Field<T>) {
    if !matches!(field, Field::Absent) {
        shown.field(name.trim_start_matches("r#"), field);
    }
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
