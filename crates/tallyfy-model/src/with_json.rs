//! A thing and the JSON that it came from.

use std::fmt;
use std::ops::Deref;

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{self, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::json_text;
use crate::lenient::{Field, Item, Json};
use crate::record::{Record, Surprise};

/// A task, a template or a member with the JSON that it came from: what [`Run`](crate::Run) is to a run.
///
/// It dereferences to the thing. Serialization writes the JSON as it came, so nothing that the API sent is lost.
///
/// ```
/// use tallyfy_model::{Task, WithJson};
///
/// let task = WithJson::<Task>::from_json(r#"{"id":"t1","title":"Call","new":1.50,"position":"first"}"#)?;
/// assert_eq!(task.title.as_str(), Some("Call"));
/// assert!(task.raw().contains("1.50"));
/// assert_eq!(task.surprises()[0].pointer, "/position");
/// assert_eq!(serde_json::to_string(&task).unwrap(), task.raw());
/// # Ok::<(), tallyfy_model::Unreadable>(())
/// ```
#[derive(Clone)]
pub struct WithJson<T> {
    thing: T,
    raw: Box<str>,
}

impl<T: Record> WithJson<T> {
    /// Decodes JSON: the thing itself, in a `data` envelope, or alone in an array.
    ///
    /// # Errors
    /// [`Unreadable`] if it is not JSON or has no such thing in it.
    pub fn from_json(json: &str) -> Result<Self, Unreadable> {
        let raw: Box<RawValue> = serde_json::from_str(json).map_err(Unreadable::Json)?;
        Self::from_raw(raw)
    }

    /// The same, from JSON whose text is held already.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json).
    pub fn from_raw(raw: Box<RawValue>) -> Result<Self, Unreadable> {
        let json = Json::from(raw);
        match json.read::<Item<T>>() {
            Field::Value(thing) => Ok(Self {
                thing: thing.into_inner(),
                raw: taken_out(json.raw()).into(),
            }),
            Field::Absent | Field::Empty | Field::Unexpected(_) => Err(Unreadable::SomethingElse),
        }
    }

    /// The JSON as it came, byte for byte, without the envelope.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The JSON as a tree; as exact as [`Run::to_value`](crate::Run::to_value).
    pub fn to_value(&self) -> Value {
        // The same text was decoded before.
        json_text::from_str(&self.raw).unwrap_or(Value::Null)
    }

    /// The members that came in a form that nobody foresaw.
    pub fn surprises(&self) -> Vec<Surprise> {
        self.thing.surprises()
    }

    /// The thing, without its JSON.
    pub fn into_inner(self) -> T {
        self.thing
    }
}

/// What is in the envelopes and arrays around a thing, of which [`Item`] opens two.
fn taken_out(json: &str) -> &str {
    #[derive(serde::Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        data: &'a RawValue,
        #[serde(default)]
        id: Option<de::IgnoredAny>,
    }

    let mut json = json;
    for _ in 0..2 {
        let inner = if json.starts_with('[') {
            let elements: Option<Vec<&RawValue>> = serde_json::from_str(json).ok();
            elements.and_then(|elements| elements.first().copied())
        } else {
            let envelope: Option<Envelope<'_>> = serde_json::from_str(json).ok();
            envelope
                .filter(|envelope| envelope.id.is_none())
                .map(|envelope| envelope.data)
        };
        match inner {
            Some(inner) => json = inner.get(),
            None => break,
        }
    }
    json
}

impl<T> Deref for WithJson<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.thing
    }
}

impl<T> AsRef<T> for WithJson<T> {
    fn as_ref(&self) -> &T {
        &self.thing
    }
}

impl<T: fmt::Debug> fmt::Debug for WithJson<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.thing.fmt(formatter)
    }
}

/// Two are equal if they say the same, whatever else is in their JSON.
impl<T: PartialEq> PartialEq for WithJson<T> {
    fn eq(&self, other: &Self) -> bool {
        self.thing == other.thing
    }
}

impl<T> Serialize for WithJson<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.raw).map_err(ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

/// Only from JSON: another format has no JSON text to keep.
impl<'de, T: Record> Deserialize<'de> for WithJson<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_raw(Box::<RawValue>::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Why some JSON is not what was to be read from it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unreadable {
    /// It is not JSON.
    Json(serde_json::Error),
    /// It is JSON, but something else, or nothing.
    SomethingElse,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Json(_) => "not JSON",
            Self::SomethingElse => "JSON of something else",
        })
    }
}

impl std::error::Error for Unreadable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Json(error) => Some(error),
            Self::SomethingElse => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Task;

    fn read(json: &str) -> WithJson<Task> {
        WithJson::from_json(json).unwrap()
    }

    #[test]
    fn the_json_is_that_of_the_thing_whatever_is_around_it() {
        let task = r#"{"id":"t1", "new":1.50}"#;
        for json in [
            task.to_owned(),
            format!("{{\"data\":{task}}}"),
            format!("[{task}]"),
            format!("{{\"data\":[{task}]}}"),
            format!("{{\"data\":{{\"data\":{task}}}}}"),
        ] {
            assert_eq!(read(&json).raw(), task, "{json}");
            assert_eq!(read(&json).id.get().unwrap(), "t1");
        }
    }

    #[test]
    fn it_is_written_and_read_again_as_it_came() {
        let task = read(r#"{"id":"t1","big":12345678901234567890123}"#);
        let again: WithJson<Task> = serde_json::from_str(&serde_json::to_string(&[&task]).unwrap()).unwrap();
        assert_eq!((again.raw(), &again), (task.raw(), &task));
        assert_eq!(task.to_value()["id"], "t1");
    }

    #[test]
    fn something_else_is_refused() {
        for json in ["", "null", "[]", r#"{"data":null}"#, "true"] {
            assert!(WithJson::<Task>::from_json(json).is_err(), "{json}");
        }
    }
}
