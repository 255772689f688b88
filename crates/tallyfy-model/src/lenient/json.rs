//! JSON that is kept as it is.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Field, Shape};
use crate::{json_text, minified};

/// JSON of any type, as the text that came; in a [`Field`] never `null`, which is [`Field::Empty`]: an answer, whose form depends on the type of its form field, or
/// a member whose form is not documented.
///
/// Two of them are equal if their texts are, white space aside.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl Json {
    /// The text, to the byte. (In a run that holds tokens which `serde_json` refuses, such as `1e999`, those tokens are
    /// replaced here; [`Run::raw`](crate::Run::raw) has them.)
    pub fn raw(&self) -> &str {
        self.0.get()
    }

    /// The text as a tree. As exact as [`Run::to_value`](crate::Run::to_value).
    pub fn to_value(&self) -> Value {
        // The same text was checked before.
        json_text::from_str(self.raw()).unwrap_or(Value::Null)
    }

    /// Whether it is one of the forms in which Tallyfy writes "no value" (API reference, section c.7).
    pub fn is_cleared(&self) -> bool {
        match self.raw() {
            "\"\"" | "false" => true,
            array if array.starts_with('[') => array[1..].trim_start() == "]",
            number => number.parse() == Ok(0.0_f64),
        }
    }

    /// Reads it as something that it may be, as leniently as that is read elsewhere.
    ///
    /// ```
    /// use tallyfy_model::{Run, Tag};
    ///
    /// let run = Run::from_json(r#"{"id":"r1","stages":{"id":"g1","name":"Late"}}"#)?;
    /// let stage = run.stages.get().map(|json| json.read::<Tag>());
    /// assert_eq!(stage.unwrap().get().unwrap().any_title(), Some("Late"));
    /// # Ok::<(), tallyfy_model::NotARun>(())
    /// ```
    pub fn read<T: Shape>(&self) -> Field<T> {
        json_text::from_str(self.raw()).unwrap_or(Field::Empty)
    }
}

impl Shape for Json {
    fn from_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Field<Self>, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(match raw.get() {
            "null" => Field::Empty,
            _ => Field::Value(Self(raw)),
        })
    }
}

impl From<Box<RawValue>> for Json {
    fn from(raw: Box<RawValue>) -> Self {
        Self(raw)
    }
}

impl From<Json> for Box<RawValue> {
    fn from(json: Json) -> Self {
        json.0
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.raw() == other.raw() || minified(self.raw()) == minified(other.raw())
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&minified(self.raw()))
    }
}

impl fmt::Display for Json {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.raw())
    }
}
