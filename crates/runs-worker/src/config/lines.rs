//! On which line of the file a key is.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::keys::outer;

/// The lines of the keys of one file.
#[derive(Debug, Default)]
pub(super) struct Lines(BTreeMap<String, usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        let mut lines = Self::default();
        if let Ok(table) = DeTable::parse(text) {
            lines.add_table(text, "", table.get_ref());
        }
        lines
    }

    /// The line of a key, or of the innermost table around it that is in the file.
    pub(super) fn get(&self, key: &str) -> Option<usize> {
        let mut key = key;
        while !key.is_empty() {
            if let Some(line) = self.0.get(key) {
                return Some(*line);
            }
            key = outer(key);
        }
        None
    }

    fn add_table(&mut self, text: &str, around: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let dot = if around.is_empty() { "" } else { "." };
            let path = format!("{around}{dot}{}", key.get_ref());
            self.0.insert(path.clone(), line(text, key.span().start));
            self.add_value(text, &path, value.get_ref());
        }
    }

    fn add_value(&mut self, text: &str, path: &str, value: &DeValue<'_>) {
        match value {
            DeValue::Table(table) => self.add_table(text, path, table),
            DeValue::Array(list) => {
                for (position, element) in list.iter().enumerate() {
                    let path = format!("{path}[{position}]");
                    self.0.insert(path.clone(), line(text, element.span().start));
                    self.add_value(text, &path, element.get_ref());
                }
            }
            _ => {}
        }
    }
}

fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_on_its_line_and_a_missing_one_on_that_of_its_table() {
        let lines = Lines::of("[a]\nb = 1\n\n[[c]]\nd = [\n1,\n2]\n[[c]]\n[c.e]\nf = 1\n");
        for (key, expected) in [
            ("a.b", Some(2)),
            ("a.missing", Some(1)),
            ("c[0].d[1]", Some(7)),
            ("c[1].missing", Some(8)),
            ("c[1].e.f", Some(10)),
            ("z", None),
        ] {
            assert_eq!(lines.get(key), expected, "{key}");
        }
    }
}
