//! Answers to form fields: what the server takes for each type, and plausible examples.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::template::find_capture;
use super::{Capture, FieldType, WorldError};

/// Answers by timeline id, alias or label of the field.
pub type Answers = BTreeMap<String, Value>;

/// Puts answers under the timeline ids of their fields.
pub(crate) fn resolve(captures: &[Capture], answers: &Answers) -> Result<BTreeMap<String, Value>, WorldError> {
    let mut resolved = BTreeMap::new();
    for (name, value) in answers {
        let capture =
            find_capture(captures, name).ok_or_else(|| WorldError::invalid(name, "there is no such form field"))?;
        check(capture, value).map_err(|message| WorldError::invalid(&capture.alias, message))?;
        resolved.insert(capture.id.clone(), value.clone());
    }
    Ok(resolved)
}

/// The first required field that has no answer.
pub(crate) fn first_missing<'a>(captures: &'a [Capture], answers: &BTreeMap<String, Value>) -> Option<&'a Capture> {
    captures
        .iter()
        .find(|c| c.required && answers.get(&c.id).is_none_or(is_cleared))
}

/// Whether a value means "no answer", which every type but table allows.
fn is_cleared(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// Section c.7 of the API reference, value by value.
fn check(capture: &Capture, value: &Value) -> Result<(), &'static str> {
    if is_cleared(value) && capture.field_type != FieldType::Table {
        return Ok(());
    }
    match capture.field_type {
        FieldType::Text => match value {
            Value::String(text) if text.chars().count() > 200 => Err("must not be longer than 200 characters"),
            Value::Array(_) | Value::Object(_) => Err("must be a scalar"),
            _ => Ok(()),
        },
        FieldType::Textarea => match value {
            Value::String(text) if text.chars().count() <= 30_000 => Ok(()),
            Value::String(_) => Err("must not be longer than 30000 characters"),
            _ => Err("must be a string"),
        },
        FieldType::Date => {
            let begins_like_a_date = value
                .as_str()
                .and_then(|text| text.get(..10))
                .is_some_and(|day| day.parse::<jiff::civil::Date>().is_ok());
            if begins_like_a_date {
                Ok(())
            } else {
                Err("must be a date")
            }
        }
        FieldType::Radio => match value.as_str() {
            Some(text) if capture.options.iter().any(|option| option == text) => Ok(()),
            _ => Err("must be the text of an option"),
        },
        FieldType::Dropdown if value.get("id").is_some() && value.get("text").is_some() => Ok(()),
        FieldType::Dropdown => Err("must be an object with id and text"),
        FieldType::Multiselect | FieldType::File if value.is_array() => Ok(()),
        FieldType::Multiselect | FieldType::File => Err("must be an array"),
        FieldType::Table => match value.as_array() {
            Some(columns) if columns.len() == capture.columns.len() => Ok(()),
            _ => Err("Number of columns does not match required columns"),
        },
        FieldType::AssigneesForm if value.is_object() => Ok(()),
        FieldType::AssigneesForm => Err("must be an object"),
        // Stored as it comes, wrappers included.
        FieldType::Email => Ok(()),
    }
}

/// A plausible answer to a field; `n` makes answers differ.
#[must_use]
pub fn example_answer(capture: &Capture, n: u64) -> Value {
    let option = |n: u64| {
        let index = usize::try_from(n).unwrap_or(0) % capture.options.len().max(1);
        (index + 1, capture.options.get(index).cloned().unwrap_or_default())
    };
    match capture.field_type {
        FieldType::Text => json!(format!("{} {n}", capture.label)),
        FieldType::Textarea => json!(format!("<p>Notes on <b>{}</b>, no. {n}</p>", capture.label)),
        FieldType::Radio => json!(option(n).1),
        FieldType::Dropdown => {
            let (id, text) = option(n);
            json!({"id": id, "text": text, "value": null})
        }
        FieldType::Multiselect => {
            let chosen = option(n).0;
            let entries = capture
                .options
                .iter()
                .enumerate()
                .map(|(i, text)| json!({"id": i + 1, "text": text, "value": null, "selected": i + 1 == chosen}));
            Value::Array(entries.collect())
        }
        FieldType::Date => json!(format!("2026-{:02}-{:02}T00:00:00.000Z", n % 12 + 1, n % 28 + 1)),
        FieldType::Email => json!(format!("person{n}@customer.example")),
        FieldType::File => json!([{
            "id": format!("{:032x}", 0xf11e_0000_u64 + n),
            "filename": format!("contract-{n}.pdf"),
            "version": 1,
            "url": format!("/files/contract-{n}.pdf"),
            "full_url": format!("https://go.tallyfy.test/files/contract-{n}.pdf"),
            "uploaded_from": capture.id,
            "uploaded_at": "2026-01-05T09:00:00Z",
            "step_id": null,
            "source": "local",
            "uploaded_to_s3": true,
            "system": false,
            "subject": {"id": capture.id, "type": "Task"},
        }]),
        FieldType::Table => {
            let cells = capture.columns.iter().map(|column| json!(format!("{column} {n}")));
            Value::Array(cells.collect())
        }
        FieldType::AssigneesForm => json!({"users": [1002], "guests": [], "groups": []}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Ids;
    use crate::world::{CaptureDraft, TemplateDraft};

    fn field(field_type: FieldType) -> Capture {
        let draft = TemplateDraft::new("T").kickoff(CaptureDraft::new("Field", field_type));
        draft
            .build(&mut Ids::seeded(1), 1, jiff::Timestamp::UNIX_EPOCH)
            .kickoff
            .remove(0)
    }

    #[test]
    fn an_example_answer_is_accepted_for_every_type() {
        for field_type in FieldType::ALL {
            let capture = field(field_type);
            for n in 0..3 {
                assert_eq!(check(&capture, &example_answer(&capture, n)), Ok(()), "{field_type:?}");
            }
        }
    }

    #[test]
    fn each_type_refuses_what_the_server_refuses() {
        let refused = [
            (FieldType::Text, json!({"value": "x"})),
            (FieldType::Textarea, json!(12345)),
            (FieldType::Radio, json!({"id": 1, "text": "First choice"})),
            (FieldType::Dropdown, json!("First choice")),
            (FieldType::Multiselect, json!("First choice")),
            (FieldType::Date, json!(1_767_225_600)),
            (FieldType::Table, json!(["one column"])),
            (FieldType::AssigneesForm, json!([1002])),
        ];
        for (field_type, value) in refused {
            assert!(
                check(&field(field_type), &value).is_err(),
                "{field_type:?} took {value}"
            );
        }
    }

    #[test]
    fn a_text_may_hold_any_scalar_and_an_email_anything() {
        for value in [json!("x"), json!(7), json!(1.5), json!(true)] {
            assert_eq!(check(&field(FieldType::Text), &value), Ok(()));
        }
        assert_eq!(
            check(&field(FieldType::Email), &json!({"value": "a@b.example"})),
            Ok(())
        );
    }
}
