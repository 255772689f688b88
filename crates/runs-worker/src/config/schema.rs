//! A JSON Schema of the configuration file, for editors. It is made of the example, which is held against the code: a key that is
//! read is in it, and no other.

use serde_json::{Map, Value, json};

use super::example::{EXAMPLE, assignment};

/// Values of which there are a few, by the key that has them.
const WORDS: [(&str, &[&str]); 4] = [
    ("log.format", &["human", "json", "auto"]),
    ("reconcile.scope", &["all", "active", "off"]),
    ("handlers.type", &["stdout", "file", "http", "command", "nats"]),
    ("handlers.mode", &["structured", "binary"]),
];

/// Keys that each table of a list must have.
const REQUIRED: [(&str, &[&str]); 2] = [("organizations", &["id"]), ("handlers", &["name", "type"])];

/// The schema.
pub(crate) fn schema() -> Value {
    let mut tables: Map<String, Value> = Map::new();
    let mut path: Vec<&str> = Vec::new();
    let mut what: Vec<&str> = Vec::new();
    for line in EXAMPLE.lines() {
        let comment = line.strip_prefix("# ").unwrap_or(line);
        if let Some(table) = header(line).or_else(|| header(comment)) {
            path = table.split('.').collect();
            what.clear();
        } else if let Some((name, value)) = line.strip_prefix("# ").and_then(assignment) {
            let key = [path.as_slice(), &[name]].concat().join(".");
            put(&mut tables, &path, name, property(&key, value, &what));
            what.clear();
        } else if line.is_empty() {
            what.clear();
        } else if !comment.starts_with("Also set by") {
            what.push(comment);
        }
    }
    for (list, required) in REQUIRED {
        if let Some(table) = tables.remove(list) {
            let mut table = table;
            table["required"] = json!(required);
            tables.insert(list.to_owned(), json!({"type": "array", "items": table}));
        }
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The configuration of runs-worker",
        "type": "object",
        "additionalProperties": false,
        "properties": tables,
    })
}

/// The name between the brackets of a table.
fn header(line: &str) -> Option<&str> {
    let name = line.strip_prefix('[')?.strip_suffix(']')?;
    Some(name.trim_start_matches('[').trim_end_matches(']'))
}

/// Puts a property where it belongs: into a table, or a table within one.
fn put(tables: &mut Map<String, Value>, path: &[&str], name: &str, property: Value) {
    let new = || {
        let mut table = json!({"type": "object", "additionalProperties": false, "properties": {}});
        // A secret can be in a file, whichever key it belongs to.
        if path.first() == Some(&"handlers") {
            table["patternProperties"] = json!({"^[a-z_]+_file$": {"type": ["string", "object"]}});
        }
        table
    };
    let mut properties = tables;
    for part in path {
        let table = properties.entry((*part).to_owned()).or_insert_with(new);
        match table.get_mut("properties").and_then(Value::as_object_mut) {
            Some(inner) => properties = inner,
            None => return,
        }
    }
    properties.insert(name.to_owned(), property);
}

/// What a value has to be, by one that it may be.
fn property(key: &str, value: &str, what: &[&str]) -> Value {
    let words = WORDS.iter().find(|(of, _)| *of == key).map(|(_, words)| *words);
    let list = json!({"anyOf": [{"type": "array", "items": {"type": ["string", "integer"]}}, {"type": "string"}]});
    let mut property = match value {
        _ if words.is_some() => json!({"type": "string", "enum": words}),
        "true" | "false" => json!({"type": "boolean"}),
        _ if value.starts_with('[') => list,
        _ if value.starts_with('{') => json!({"type": "object", "additionalProperties": {"type": "string"}}),
        // One of it, or a list.
        _ if key == "receive.listen" || key == "refresh.includes" => list,
        _ if value.starts_with('"') => json!({"type": "string"}),
        _ => json!({"type": "integer"}),
    };
    let section = key.split('.').next().unwrap_or_default();
    if !["organizations", "handlers"].contains(&section) && key != super::example::DATA_DIR {
        // A value of TOML that is on one line, and has no table in it, is JSON too.
        property["default"] = serde_json::from_str(value).unwrap_or_default();
    }
    if !what.is_empty() {
        property["description"] = json!(what.join(" "));
    }
    property
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{Flags, load};

    fn accepts(text: &str) -> bool {
        let value: Value = toml::from_str(text).unwrap();
        jsonschema::validator_for(&schema()).unwrap().is_valid(&value)
    }

    const ORGANIZATION: &str = "[[organizations]]\nid = \"acme\"\ntoken = \"t\"\nwebhook_secrets = [\"s\"]\n";

    #[test]
    fn what_the_worker_reads_is_accepted_and_what_it_refuses_is_not() {
        let good = format!(
            "[receive]\nlisten = [\"127.0.0.1:1\", \"unix:/run/door\"]\n[reconcile]\nscope = \"active\"\n{ORGANIZATION}\
             [[handlers]]\nname = \"crm\"\ntype = \"http\"\nurl_file = \"url\"\nheaders_file = {{ authorization = \"crm\" }}\n\
             reject_on = [410]\n[handlers.filter]\nevents = [\"seen\"]\n"
        );
        assert!(accepts(&good), "{:#}", schema());
        for wrong in [
            "[recieve]\nlisten = \"127.0.0.1:1\"",
            "[receive]\nlisten_on = \"127.0.0.1:1\"",
            "[receive]\nmax_connections = \"many\"",
            "[reconcile]\nscope = \"some\"",
            "[[handlers]]\nname = \"crm\"",
            "[[handlers]]\nname = \"crm\"\ntype = \"htpp\"",
            "[[organizations]]\ntoken = \"t\"",
        ] {
            assert!(!accepts(wrong), "{wrong}");
            let text = Flags::of_text(format!("{wrong}\n"));
            assert!(load(&text, &BTreeMap::new(), true).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_example_without_its_comments_is_accepted() {
        let lines = EXAMPLE.lines().map(|line| match line.strip_prefix("# ") {
            Some(comment) if assignment(comment).is_some() || header(comment).is_some() => comment,
            _ => line,
        });
        let text = lines.collect::<Vec<_>>().join("\n");
        let value: Value = toml::from_str(&text).unwrap();
        let validator = jsonschema::validator_for(&schema()).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }

    #[test]
    fn every_word_is_one_that_the_worker_takes() {
        for (key, words) in WORDS {
            for word in words {
                let text = match key {
                    "handlers.type" => continue,
                    "handlers.mode" => format!(
                        "{ORGANIZATION}[[handlers]]\nname = \"c\"\ntype = \"http\"\nurl = \"http://127.0.0.1\"\nmode = \"{word}\"\n"
                    ),
                    key => {
                        let (section, name) = key.split_once('.').unwrap();
                        format!("[{section}]\n{name} = \"{word}\"\n{ORGANIZATION}")
                    }
                };
                assert!(
                    load(&Flags::of_text(text.clone()), &BTreeMap::new(), true).is_ok(),
                    "{text}"
                );
            }
        }
    }
}
