//! The world as JSON, in the vendor's words and with its quirks. Pure: no I/O, no clock.

mod date;
mod form;
mod include;
mod literal;
mod people;
mod run;
mod task;
mod template;
mod webhook;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::quirks::{EmptyIncludeForm, EmptyMapForm, IdForm, IncludeForm, Quirks};
use crate::world::Organization;

pub(crate) use include::Includes;
pub(crate) use literal::to_text;
pub(crate) use webhook::{organization_event, process_payload, task_payload};

/// A JSON object under construction.
pub(crate) type Object = Map<String, Value>;

/// Renders things of one organization for one response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Render<'w> {
    pub(crate) org: &'w Organization,
    pub(crate) quirks: &'w Quirks,
    pub(crate) now: Timestamp,
}

impl Render<'_> {
    /// The id of a member.
    fn user_id(&self, id: i64) -> Value {
        match self.quirks.ids {
            IdForm::Number => json!(id),
            IdForm::String => json!(id.to_string()),
        }
    }

    /// A map, whose empty form depends.
    fn map(&self, entries: Object) -> Value {
        if entries.is_empty() && self.quirks.empty_maps == EmptyMapForm::List {
            return json!([]);
        }
        Value::Object(entries)
    }

    /// An include with many elements.
    fn collection(&self, items: Vec<Value>) -> Value {
        match (self.quirks.includes, self.quirks.empty_includes) {
            (IncludeForm::Wrapped, EmptyIncludeForm::Null) if items.is_empty() => json!({"data": null}),
            (IncludeForm::Wrapped, _) => json!({"data": items}),
            (IncludeForm::Bare, _) => Value::Array(items),
        }
    }

    /// An include with one element or none.
    fn item(&self, item: Option<Value>) -> Value {
        match self.quirks.includes {
            IncludeForm::Wrapped => json!({"data": item}),
            IncludeForm::Bare => item.unwrap_or_default(),
        }
    }

    /// Adds fields nobody has documented.
    fn add_extras(&self, object: &mut Object) {
        if self.quirks.extra_fields {
            object.insert("risk_score".into(), literal::literal("1.50"));
            object.insert("external_ref".into(), literal::literal("12345678901234567890"));
            object.insert("ledger_total".into(), literal::literal("100000000000000000000000.10"));
            object.insert("insights".into(), json!({"summary": null, "labels": ["new", "2027"]}));
        }
    }
}

/// The object that `json!({…})` makes.
fn object(value: Value) -> Object {
    match value {
        Value::Object(map) => map,
        _ => Object::new(),
    }
}
