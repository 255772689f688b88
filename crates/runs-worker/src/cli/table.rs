//! Rows for people and for programs.

use serde_json::{Map, Value};

use crate::shared::visible::visible_line;

/// The longest text in a column.
const MAX_WIDTH: usize = 60;

/// Rows under names.
pub(super) struct Table {
    names: Vec<&'static str>,
    rows: Vec<Vec<Value>>,
}

impl Table {
    pub(super) fn new(names: impl Into<Vec<&'static str>>) -> Self {
        Self {
            names: names.into(),
            rows: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, values: impl Into<Vec<Value>>) {
        self.rows.push(values.into());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// An object for each row.
    pub(super) fn objects(self) -> impl Iterator<Item = Value> {
        let names: Vec<String> = self.names.iter().map(|name| name.replace(' ', "_")).collect();
        self.rows
            .into_iter()
            .map(move |row| names.iter().cloned().zip(row).collect::<Map<_, _>>().into())
    }

    /// The names and the rows, set out in columns.
    pub(super) fn lines(&self) -> Vec<String> {
        let head: Vec<String> = self.names.iter().map(|name| name.to_uppercase()).collect();
        let rows = self.rows.iter().map(|row| row.iter().map(text).collect());
        let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
        let widths: Vec<usize> = (0..self.names.len())
            .map(|column| {
                let cells = rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        rows.iter().map(line).collect()
    }
}

/// A value for a person: short, and on one line.
fn text(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "-".to_owned(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    };
    let text = visible_line(&text.replace(['\n', '\t'], " "));
    let mut shown: String = text.chars().take(MAX_WIDTH).collect();
    if text.chars().nth(MAX_WIDTH).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_is_lines_for_people_and_objects_for_programs() {
        let mut table = Table::new(["id", "waiting for", "reason"]);
        table.row([json!(7), json!(["a", "b"]), json!("x\ny\u{1b}[2J\u{202e}")]);
        table.row([json!(null), json!([]), json!("z".repeat(70))]);
        insta::assert_snapshot!(table.lines().join("\n"), @r"
        ID  WAITING FOR  REASON
        7   a,b          x y\u{1b}[2J\u{202e}
        -   -            zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz…
        ");
        let first = table.objects().next().unwrap();
        assert_eq!(
            first,
            json!({"id": 7, "waiting_for": ["a", "b"], "reason": "x\ny\u{1b}[2J\u{202e}"})
        );
    }
}
