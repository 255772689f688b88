//! Filling a form: the answers of a task, or of a kick-off form, encoded as the types of their fields want them.

mod encode;
mod entry;

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tallyfy_model::{Checklist, FieldId, FormField, Task};
use thiserror::Error;

pub use entry::Entry;

/// A form that is being filled.
///
/// It knows its fields, so that an answer has the form that the type of its field wants, and is keyed by the field's id:
/// answers under an alias or a label, and options as nothing but text, are dropped or stored broken by the API without a word
/// (API reference, sections c.7 and h).
///
/// ```
/// use tallyfy_runs::Form;
/// use tallyfy_runs::model::{Task, WithJson};
///
/// let task = WithJson::<Task>::from_json(
///     r#"{"id":"t1","form_fields":[{"id":"f1","label":"Colour","field_type":"dropdown","required":true,
///         "options":[{"id":1,"text":"Gold"},{"id":2,"text":"Blue"}]}]}"#,
/// )?;
/// let form = Form::of_task(&task).fill("Colour", "Blue")?;
/// assert_eq!(form.to_json().to_string(), r#"{"f1":{"id":2,"text":"Blue","value":null}}"#);
/// assert!(Form::of_task(&task).fill("Colour", "Green").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Form {
    fields: Vec<FormField>,
    answers: BTreeMap<FieldId, Value>,
}

/// Why an entry is no answer to a field.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WrongEntry {
    /// The form has no fields. Those of a task are there only if they were asked for, by
    /// [`TaskInclude::FormFields`](crate::TaskInclude::FormFields).
    #[error("the form has no fields; those of a task are fetched with `form_fields`")]
    NoFields,
    /// The form has no field with this id, label or alias.
    #[error("there is no field `{0}` in the form")]
    NoSuchField(String),
    /// Several fields have this label or alias: use the id.
    #[error("several fields are called `{0}`, use the id")]
    Ambiguous(String),
    /// The entry is not what is entered in such a field.
    #[error("field `{field}`: {reason}")]
    NotForThisField {
        /// The label of the field, or its id.
        field: String,
        /// What is expected.
        reason: String,
    },
}

impl Form {
    /// The form of a task, which must have been fetched with
    /// [`TaskInclude::FormFields`](crate::TaskInclude::FormFields), or with its step.
    pub fn of_task(task: &Task) -> Self {
        let of_its_step = task.step.get().into_iter().flat_map(|step| &step.captures);
        Self::of(task.form_fields.iter().chain(of_its_step))
    }

    /// The kick-off form of a template.
    pub fn of_kickoff(template: &Checklist) -> Self {
        Self::of(template.prerun.iter())
    }

    fn of<'a>(fields: impl Iterator<Item = &'a FormField>) -> Self {
        let mut known: Vec<FormField> = Vec::new();
        for field in fields {
            if field.any_id().is_some() && known.iter().all(|other| other.any_id() != field.any_id()) {
                known.push(field.clone());
            }
        }
        Self {
            fields: known,
            answers: BTreeMap::new(),
        }
    }

    /// Answers the field with this id, label or alias.
    ///
    /// # Errors
    /// [`WrongEntry`] if there is no such field, or its type takes no such answer.
    pub fn fill(mut self, field: &str, entry: impl Into<Entry>) -> Result<Self, WrongEntry> {
        let (id, answer) = {
            let field = self.field(field)?;
            let answer = encode::encoded(field, entry.into()).map_err(|reason| WrongEntry::NotForThisField {
                field: name_of(field),
                reason,
            })?;
            (field.any_id().cloned(), answer)
        };
        if let Some(id) = id {
            self.answers.insert(id, answer);
        }
        Ok(self)
    }

    /// Answers a field with JSON as it is: for a field that was not fetched, or of a type that this crate does not know.
    #[must_use]
    pub fn fill_raw(mut self, field: impl Into<FieldId>, answer: Value) -> Self {
        self.answers.insert(field.into(), answer);
        self
    }

    /// The fields that must be answered, and are not: neither here nor before.
    pub fn missing(&self) -> impl Iterator<Item = &FormField> {
        self.fields.iter().filter(|field| {
            let filled = field.any_id().and_then(|id| self.answers.get(id));
            let before = || field.answer_json().is_some_and(|answer| !answer.is_cleared());
            let is_answered = filled.map_or_else(before, |answer| !answer.is_null());
            field.required.get() == Some(&true) && !is_answered
        })
    }

    /// The answers as the API takes them: an object, by the ids of the fields.
    pub fn to_json(&self) -> Value {
        let answers = self.answers.iter().map(|(id, answer)| (id.to_string(), answer.clone()));
        Value::Object(answers.collect::<Map<_, _>>())
    }

    fn field(&self, name: &str) -> Result<&FormField, WrongEntry> {
        if self.fields.is_empty() {
            return Err(WrongEntry::NoFields);
        }
        let by_id = self
            .fields
            .iter()
            .find(|field| field.any_id().is_some_and(|id| id == name));
        if let Some(field) = by_id {
            return Ok(field);
        }
        let is_called = |field: &&FormField| field.label.as_str() == Some(name) || field.alias.as_str() == Some(name);
        let mut called = self.fields.iter().filter(is_called);
        match (called.next(), called.next()) {
            (Some(field), None) => Ok(field),
            (Some(_), Some(_)) => Err(WrongEntry::Ambiguous(name.to_owned())),
            (None, _) => Err(WrongEntry::NoSuchField(name.to_owned())),
        }
    }
}

/// What a person knows a field by.
pub(crate) fn name_of(field: &FormField) -> String {
    let id = || field.any_id().map(ToString::to_string).unwrap_or_default();
    field.label.as_str().map_or_else(id, str::to_owned)
}
