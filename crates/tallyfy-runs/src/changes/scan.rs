//! Taking JSON text apart by one level, or, for the tasks of a run, by two at once: what has to be looked at is long, and
//! each look costs as much as reading it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The members of an object in the order in which they came.
pub(super) type RawMembers<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// The members of an object; none if it is none.
pub(super) fn raw_members(text: &str) -> RawMembers<'_> {
    let Members { raw, .. } = serde_json::from_str::<Members<'_, false>>(text).unwrap_or_default();
    raw
}

/// The members of a run but its tasks, and its tasks one by one, if there are any. `None` if the tasks are in no form of a
/// list, or something in the way is no JSON for `serde_json`.
pub(super) fn run_and_tasks(text: &str) -> Option<(RawMembers<'_>, Option<Vec<&RawValue>>)> {
    let Members { raw, tasks } = serde_json::from_str::<Members<'_, true>>(text).ok()?;
    match tasks {
        None => Some((raw, None)),
        Some(Elements(Some(tasks))) => Some((raw, Some(tasks))),
        Some(Elements(None)) => None,
    }
}

#[derive(Default)]
struct Members<'a, const SPLIT_TASKS: bool> {
    raw: RawMembers<'a>,
    tasks: Option<Elements<'a>>,
}

impl<'de, const SPLIT_TASKS: bool> Deserialize<'de> for Members<'de, SPLIT_TASKS> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<const SPLIT_TASKS: bool>;

        impl<'de, const SPLIT_TASKS: bool> Visitor<'de> for Object<SPLIT_TASKS> {
            type Value = Members<'de, SPLIT_TASKS>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Members::default();
                while let Some(key) = map.next_key::<&RawValue>()? {
                    if SPLIT_TASKS && key.get() == "\"tasks\"" {
                        members.tasks = Some(map.next_value()?);
                    } else {
                        members.raw.push((unescaped(key.get()), map.next_value()?));
                    }
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// The elements of a list, bare or in an envelope; `None` if it is neither.
struct Elements<'a>(Option<Vec<&'a RawValue>>);

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyForm;

        impl<'de> Visitor<'de> for AnyForm {
            type Value = Elements<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    elements.push(element);
                }
                Ok(Elements(Some(elements)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut elements = Elements(None);
                let mut is_envelope = true;
                while let Some(key) = map.next_key::<&RawValue>()? {
                    match key.get() {
                        "\"data\"" if is_envelope => elements = map.next_value()?,
                        name => {
                            is_envelope &= name == "\"meta\"";
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(if is_envelope { elements } else { Elements(None) })
            }
        }

        deserializer.deserialize_any(AnyForm)
    }
}

/// The text of a JSON string. Where an escape stands for no character, the text as it is written is all there is.
pub(super) fn unescaped(string: &str) -> Cow<'_, str> {
    let inside = string.get(1..string.len().saturating_sub(1)).unwrap_or_default();
    if !inside.contains('\\') {
        return Cow::Borrowed(inside);
    }
    serde_json::from_str(string).map_or(Cow::Borrowed(inside), Cow::Owned)
}
