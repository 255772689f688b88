//! Form fields and their answers.

use serde_json::{Value, json};

use super::{Object, Render, object};
use crate::quirks::AnswerForm;
use crate::world::{Capture, FieldType};

impl Render<'_> {
    /// The definition of a field, as templates list it.
    pub(super) fn capture(&self, capture: &Capture, step: Option<&str>) -> Value {
        let options: Vec<Value> = numbered(&capture.options, "text")
            .into_iter()
            .map(|mut option| {
                option.insert("value".into(), Value::Null);
                Value::Object(option)
            })
            .collect();
        let columns: Vec<Object> = numbered(&capture.columns, "label");
        json!({
            "id": capture.id,
            "step_id": step,
            "alias": capture.alias,
            "field_type": capture.field_type.as_str(),
            "label": capture.label,
            "guidance": null,
            "position": capture.position,
            "required": capture.required,
            "options": options,
            "columns": columns,
            "default_value_enabled": false,
            "default_value": null,
        })
    }

    /// A field of a task or a run, with its answer if that is wanted.
    pub(super) fn form_field(&self, capture: &Capture, step: Option<&str>, answer: Option<&Value>) -> Value {
        let mut field = object(self.capture(capture, step));
        if let Some(answer) = answer {
            let key = match self.quirks.answers {
                AnswerForm::FieldValue => "field_value",
                AnswerForm::Value => "value",
            };
            field.insert(key.into(), answer.clone());
        }
        self.add_extras(&mut field);
        Value::Object(field)
    }
}

/// `[{"id": 1, KEY: "…"}, …]`.
fn numbered(texts: &[String], key: &str) -> Vec<Object> {
    texts
        .iter()
        .enumerate()
        .map(|(n, text)| object(json!({"id": n + 1, key: text})))
        .collect()
}

/// The files among the answers to these fields.
pub(super) fn files_of(captures: &[Capture], answer: impl Fn(&Capture) -> Option<Value>) -> Vec<Value> {
    let files = captures.iter().filter(|capture| capture.field_type == FieldType::File);
    files
        .filter_map(answer)
        .filter_map(|value| value.as_array().cloned())
        .flatten()
        .collect()
}
