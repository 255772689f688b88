//! The changes of an event, in words.

use serde_json::Value;

/// How many changes are told one by one.
const TOLD: usize = 12;
/// How much of a value is told.
const MAX_VALUE: usize = 60;

/// What an event says has changed, a line for each change.
pub(crate) fn in_words(event: &[u8]) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Event {
        data: Data,
    }
    #[derive(serde::Deserialize)]
    struct Data {
        #[serde(default)]
        changes: Vec<Value>,
        #[serde(default)]
        reason: Option<String>,
    }
    let Ok(Event { data }) = serde_json::from_slice(event) else {
        return Vec::new();
    };
    let mut lines: Vec<String> = data.changes.iter().take(TOLD).map(line).collect();
    if data.changes.len() > TOLD {
        lines.push(format!("and {} more", data.changes.len() - TOLD));
    }
    lines.extend(data.reason);
    lines
}

fn line(change: &Value) -> String {
    let kind = change["kind"].as_str().unwrap_or("changed").replace('_', " ");
    let about = ["title", "name", "id"]
        .into_iter()
        .find_map(|key| {
            ["task", "tag", "owner", "member"]
                .into_iter()
                .find_map(|of| change[of][key].as_str())
        })
        .or(change["label"].as_str())
        .or(change["field"].as_str())
        .or(change["pointer"].as_str());
    let place = about.map(|about| format!(" {}", short(about))).unwrap_or_default();
    let fields: Vec<&str> = change["fields"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|field| field["pointer"].as_str())
        .map(|pointer| pointer.trim_start_matches('/'))
        .collect();
    if !fields.is_empty() {
        return format!("{kind}{place}: {}", fields.join(", "));
    }
    match (change.get("from"), change.get("to")) {
        (None, None) => format!("{kind}{place}"),
        (from, to) => format!("{kind}{place}: {} → {}", value(from), value(to)),
    }
}

fn value(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "nothing".to_owned(),
        Some(Value::String(text)) => short(text),
        Some(other) => short(&other.to_string()),
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
            {"kind": "task_changed", "task": {"id": "t1", "title": "Sign"}, "fields": [{"pointer": "/status"}]},
            {"kind": "field", "pointer": "/summary", "from": null, "to": "x".repeat(80)},
        ]}});
        insta::assert_snapshot!(in_words(event.to_string().as_bytes()).join("\n"), @r"
        status: active → complete
        task changed Sign: status
        field /summary: nothing → xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
        ");
        assert!(in_words(b"no JSON").is_empty());
    }
}
