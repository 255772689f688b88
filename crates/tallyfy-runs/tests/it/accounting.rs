//! The changes from one run to another, applied to the first, give the second: nothing that is different goes unreported.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::meaning::{kinds, meaning, usual_run};

/// What a run says, fact by fact.
#[derive(Clone, Debug, PartialEq)]
struct Facts {
    told: BTreeMap<String, Value>,
    /// The members that nothing is known of.
    unknown: Value,
}

impl Facts {
    fn of(run: &Value) -> Self {
        let mut told = BTreeMap::new();
        let mut tell = |fact: String, value: &Value| {
            if !value.is_null() {
                told.insert(fact, value.clone());
            }
        };
        for member in ["name", "status", "due_date"] {
            tell(member.to_owned(), &run[member]);
        }
        tell("owner".into(), &json!(run["owner_id"].to_string()));
        tell("progress".into(), &json!(run["progress"]["percent"].as_f64()));
        for (field, answer) in run["prerun"].as_object().unwrap() {
            tell(format!("answer {field}"), answer);
        }
        for tag in run["tags"].as_array().unwrap() {
            tell(format!("tag {}", tag.as_str().unwrap()), &json!(true));
        }
        for task in run["tasks"].as_array().unwrap() {
            let id = task["id"].as_str().unwrap();
            tell(format!("task {id} /title"), &task["title"]);
            tell(format!("task {id} done"), &json!(task["status"] == "completed"));
            for (field, answer) in task["taskdata"].as_object().unwrap() {
                tell(format!("answer {field}"), answer);
            }
        }
        Self {
            told,
            unknown: meaning("", &json!({ "unknown": run["unknown"] })),
        }
    }

    /// Applies a change; what a task that was added is like, `after` says.
    fn apply(&mut self, change: &Value, after: &Self) {
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        let of_task = format!("task {} ", change["task"]["id"].as_str().unwrap_or_default());
        let of_this_task = |fact: &String| fact.starts_with(&of_task);
        match change["kind"].as_str().unwrap() {
            kind @ ("name" | "status" | "owner" | "progress") => self.tell(kind.to_owned(), &change["to"]),
            "date" => self.tell(word(&change["field"]), &change["to"]),
            "answer" => self.tell(format!("answer {}", word(&change["field"])), &change["to"]),
            "tag.added" => self.tell(format!("tag {}", word(&change["tag"]["id"])), &json!(true)),
            "tag.removed" => self.tell(format!("tag {}", word(&change["tag"]["id"])), &Value::Null),
            "task.added" => {
                let facts = after.told.iter().filter(|(fact, _)| of_this_task(fact));
                self.told
                    .extend(facts.map(|(fact, value)| (fact.clone(), value.clone())));
            }
            "task.removed" => self.told.retain(|fact, _| !of_this_task(fact)),
            "task.completed" => self.tell(format!("{of_task}done"), &json!(true)),
            "task.reopened" => self.tell(format!("{of_task}done"), &json!(false)),
            "task.changed" => {
                for field in change["fields"].as_array().unwrap() {
                    self.tell(format!("{of_task}{}", word(&field["pointer"])), &field["to"]);
                }
            }
            "other" => set(&mut self.unknown, change["pointer"].as_str().unwrap(), &change["to"]),
            kind => panic!("{kind}"),
        }
    }

    fn tell(&mut self, fact: String, value: &Value) {
        if value.is_null() {
            self.told.remove(&fact);
        } else {
            self.told.insert(fact, value.clone());
        }
    }
}

/// Puts what a value means in a place; the objects around it are made where they are missing.
fn set(tree: &mut Value, pointer: &str, value: &Value) {
    let mut place = tree;
    let mut key = String::new();
    for escaped in pointer.split('/').skip(1) {
        key = escaped.replace("~1", "/").replace("~0", "~");
        if !place.is_object() {
            *place = json!({});
        }
        place = place.as_object_mut().unwrap().entry(&key).or_insert(Value::Null);
    }
    *place = meaning(&key, value);
}

/// Leaves out what says nothing.
fn pruned(value: &Value) -> Value {
    let Value::Object(members) = value else {
        return value.clone();
    };
    let members = members.iter().map(|(key, value)| (key.clone(), pruned(value)));
    let members: Map<String, Value> = members.filter(|(_, value)| !value.is_null()).collect();
    if members.is_empty() {
        Value::Null
    } else {
        members.into()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_changes_account_for_every_difference(before in usual_run(), after in usual_run()) {
        let expected = Facts::of(&after);
        let mut applied = Facts::of(&before);
        let changes = kinds(&before, &after);
        for change in &changes {
            applied.apply(change, &expected);
        }
        applied.unknown = pruned(&applied.unknown);
        prop_assert_eq!(applied, expected, "{:?}", changes);
    }
}
