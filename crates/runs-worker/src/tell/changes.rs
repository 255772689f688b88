//! The changes of an event, in words.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// How many changes are told one by one.
const TOLD: usize = 12;
/// How much of a value is told.
const MAX_VALUE: usize = 60;

/// An event, as far as its changes are told. Values stay the text that they are: a number keeps every digit.
#[derive(Deserialize)]
struct Event<'e> {
    #[serde(borrow)]
    data: Data<'e>,
}

#[derive(Deserialize)]
struct Data<'e> {
    #[serde(borrow, default)]
    changes: Vec<&'e RawValue>,
    #[serde(default)]
    reason: Option<String>,
}

/// A change, whatever its kind.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Change<'e> {
    kind: String,
    #[serde(borrow)]
    from: Option<&'e RawValue>,
    #[serde(borrow)]
    to: Option<&'e RawValue>,
    /// An object, or an id alone.
    #[serde(borrow)]
    task: Option<&'e RawValue>,
    #[serde(borrow)]
    tag: Option<&'e RawValue>,
    #[serde(borrow)]
    owner: Option<&'e RawValue>,
    label: Option<String>,
    field: Option<String>,
    pointer: Option<String>,
    fields: Vec<Field>,
}

#[derive(Deserialize)]
struct Field {
    pointer: String,
}

/// Something that a person calls by one of these.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    title: Option<String>,
    name: Option<String>,
    id: Option<Value>,
}

/// What an event says has changed, a line for each change.
pub(crate) fn in_words(event: &[u8]) -> Vec<String> {
    let Ok(Event { data }) = serde_json::from_slice(event) else {
        return Vec::new();
    };
    let mut lines: Vec<String> = data
        .changes
        .iter()
        .take(TOLD)
        .map(|change| line(change.get()))
        .collect();
    if data.changes.len() > TOLD {
        lines.push(format!("and {} more", data.changes.len() - TOLD));
    }
    lines.extend(data.reason);
    lines
}

fn line(change: &str) -> String {
    let Ok(change) = serde_json::from_str::<Change>(change) else {
        return "something changed".to_owned();
    };
    let kind = match change.kind.as_str() {
        "" => "changed".to_owned(),
        kind => kind.replace(['_', '.'], " "),
    };
    let whom = [change.task, change.tag, change.owner];
    let about = change.label.or(whom.into_iter().flatten().find_map(called));
    let about = about.or(change.field).or(change.pointer);
    let place = about.map(|about| format!(" {}", short(&about))).unwrap_or_default();
    let fields: Vec<&str> = change
        .fields
        .iter()
        .map(|field| field.pointer.trim_start_matches('/'))
        .collect();
    if !fields.is_empty() {
        return format!("{kind}{place}: {}", fields.join(", "));
    }
    match (change.from, change.to) {
        (None, None) => format!("{kind}{place}"),
        (from, to) => format!("{kind}{place}: {} → {}", value(from), value(to)),
    }
}

/// What something is called that came as an object.
fn called(whom: &RawValue) -> Option<String> {
    let named: Named = serde_json::from_str(whom.get()).ok()?;
    let id = named
        .id
        .map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
    named.title.or(named.name).or(id)
}

fn value(value: Option<&RawValue>) -> String {
    /// A file that was uploaded, of which a person knows the name.
    #[derive(Deserialize)]
    struct File {
        filename: String,
    }
    let Some(value) = value.map(RawValue::get) else {
        return "nothing".to_owned();
    };
    if let Ok(text) = serde_json::from_str::<String>(value) {
        return short(&text);
    }
    match serde_json::from_str::<Vec<File>>(value) {
        Ok(files) if !files.is_empty() => {
            let names: Vec<String> = files.into_iter().map(|file| file.filename).collect();
            short(&names.join(", "))
        }
        _ => short(value),
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_a_line_each() {
        let event = serde_json::json!({"data": {"changes": [
            {"kind": "status", "from": "active", "to": "complete"},
            {"kind": "task.completed", "task": {"id": "t1", "title": "Sign"}},
            {"kind": "task.changed", "task": {"id": "t1", "title": "Sign"}, "fields": [{"pointer": "/status"}]},
            {"kind": "owner.added", "owner": {"id": 1002}},
            {"kind": "answer", "field": "f1", "task": "t1", "label": "Contract", "from": null, "to": [{"filename": "a.pdf", "full_url": "https://x"}, {"filename": "b.pdf"}]},
            {"kind": "other", "pointer": "/summary", "from": null, "to": "x".repeat(80)},
        ]}});
        insta::assert_snapshot!(in_words(event.to_string().as_bytes()).join("\n"), @r"
        status: active → complete
        task completed Sign
        task changed Sign: status
        owner added 1002
        answer Contract: nothing → a.pdf, b.pdf
        other /summary: nothing → xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
        ");
        assert!(in_words(b"no JSON").is_empty());
    }

    #[test]
    fn a_number_keeps_every_digit() {
        let event = br#"{"data":{"changes":[{"kind":"answer","label":"Sum","from":0.10,"to":123456789012345678901.50},"odd"]}}"#;
        insta::assert_snapshot!(in_words(event).join("\n"), @r"
        answer Sum: 0.10 → 123456789012345678901.50
        something changed
        ");
    }
}
