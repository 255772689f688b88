//! How an entry is written, by the type of its field (API reference, section c.7). Decides only.

use serde_json::{Value, json};
use tallyfy_model::{ApiTime, FieldOption, FieldType, FormField, OptionId};

use super::Entry;

/// The longest answers that the server takes, in characters.
const LONGEST_TEXT: usize = 200;
const LONGEST_TEXTAREA: usize = 30_000;

/// The answer as the API takes it, or what is expected in the place of the entry.
pub(super) fn encoded(field: &FormField, entry: Entry) -> Result<Value, String> {
    let Some(field_type) = field.field_type.get() else {
        return Err("its type is not known, fill it with JSON as it is".to_owned());
    };
    match (field_type, entry) {
        // A table has as many cells as columns, and no way to have none.
        (FieldType::Table, Entry::Cleared) => Err("a table cannot be cleared".to_owned()),
        (_, Entry::Cleared) => Ok(Value::Null),
        (FieldType::Text, Entry::Text(text)) => within(LONGEST_TEXT, text),
        (FieldType::Textarea, Entry::Text(text)) => within(LONGEST_TEXTAREA, text),
        (FieldType::Email, Entry::Text(text)) if text.contains('@') => Ok(text.into()),
        (FieldType::Email, _) => Err("expected an e-mail address".to_owned()),
        (FieldType::Date, Entry::Time(time)) => Ok(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()),
        (FieldType::Date, Entry::Text(text)) if is_date(&text) => Ok(text.into()),
        (FieldType::Date, _) => Err("expected a date such as 2026-01-31 or 2026-01-31T09:00:00Z".to_owned()),
        (FieldType::Radio, Entry::Text(text)) => Ok(option(field, &text)?.text.as_str().into()),
        (FieldType::Dropdown, Entry::Text(text)) => Ok(dropdown(option(field, &text)?)),
        (FieldType::Multiselect, Entry::Text(text)) => multiselect(field, &[text]),
        (FieldType::Multiselect, Entry::Texts(texts)) => multiselect(field, &texts),
        (FieldType::Table, Entry::Texts(cells)) => table(field, cells),
        (FieldType::Assignees, Entry::People(people)) => Ok(people.to_json()),
        (FieldType::File, _) => Err("files are uploaded first; fill in what that answers, as it is".to_owned()),
        (FieldType::Other(_), _) => Err(format!(
            "its type {field_type} is not known, fill it with JSON as it is"
        )),
        (_, entry) => Err(format!("its type {field_type} takes no {}", kind(&entry))),
    }
}

fn within(longest: usize, text: String) -> Result<Value, String> {
    match text.chars().count() {
        length if length > longest => Err(format!("{length} characters, expected at most {longest}")),
        _ => Ok(text.into()),
    }
}

fn is_date(text: &str) -> bool {
    // Localized dates are read from webhooks, and not taken here.
    !text.contains('/') && ApiTime::new(text).timestamp().is_some()
}

/// The option with this text, which may have spaces around it, or with this id.
fn option<'a>(field: &'a FormField, wanted: &str) -> Result<&'a FieldOption, String> {
    let has_text = |option: &&FieldOption| option.text.as_str().is_some_and(|text| text.trim() == wanted.trim());
    let has_id = |option: &&FieldOption| option.id.get().is_some_and(|id| id == wanted);
    let exact = field.options.iter().find(|option| option.text.as_str() == Some(wanted));
    let found = exact.or_else(|| field.options.iter().find(has_text));
    found.or_else(|| field.options.iter().find(has_id)).ok_or_else(|| {
        let texts: Vec<&str> = field.options.iter().filter_map(|option| option.text.as_str()).collect();
        format!("there is no option `{wanted}`, expected one of: {}", texts.join(", "))
    })
}

fn dropdown(option: &FieldOption) -> Value {
    json!({"id": option.id.get().map(number), "text": option.text.as_str(), "value": null})
}

fn multiselect(field: &FormField, texts: &[String]) -> Result<Value, String> {
    let chosen = texts.iter().map(|text| {
        let mut chosen = dropdown(option(field, text)?);
        // Without it, the option is stored and not shown as chosen.
        chosen["selected"] = true.into();
        Ok(chosen)
    });
    chosen.collect::<Result<Vec<_>, String>>().map(Value::Array)
}

fn table(field: &FormField, cells: Vec<String>) -> Result<Value, String> {
    let columns = field.columns.iter().count();
    if columns != 0 && cells.len() != columns {
        return Err(format!(
            "expected one cell for each of {columns} columns, got {}",
            cells.len()
        ));
    }
    Ok(cells.into())
}

/// An id as the number that it is.
fn number(id: &OptionId) -> Value {
    id.as_str()
        .parse::<u64>()
        .map_or_else(|_| id.as_str().into(), Value::from)
}

fn kind(entry: &Entry) -> &'static str {
    match entry {
        Entry::Text(_) => "text",
        Entry::Texts(_) => "list of texts",
        Entry::Time(_) => "time",
        Entry::People(_) => "people",
        Entry::Cleared => "cleared answer",
    }
}
