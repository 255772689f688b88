//! `""`, `null`, `false`, `0` and `[]` all say "no value", whatever a member is (API reference, section c.7).

use serde_json::{Value, json};
use tallyfy_model::Run;

const CLEARED: [&str; 5] = ["null", "\"\"", "false", "0", "[]"];

/// A run in which every known member of a run, a task, a template, a form field, a tag and the rest occurs.
fn run_with_every_member() -> Value {
    let mut all = json!({});
    for (_, json) in crate::runs::ALL {
        let value = Run::from_json(json).unwrap().to_value();
        for (key, value) in value.as_object().unwrap() {
            all[key] = value.clone();
        }
    }
    for name in [
        "people_as_objects",
        "tags_in_four_forms",
        "form_field_answers_under_both_names",
        "task_with_every_member",
        "template_with_every_member",
    ] {
        let (_, json) = crate::runs::ALL.iter().find(|(other, _)| *other == name).unwrap();
        let value = Run::from_json(json).unwrap().to_value();
        for (key, value) in value.as_object().unwrap() {
            all[key] = value.clone();
        }
    }
    all["progress"] = json!({"complete": 1, "total": 2, "percent": 50});
    all
}

/// The JSON Pointers of every member of every object in a value.
fn members(value: &Value, pointer: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                found.push(pointer.clone());
                members(value, &pointer, found);
            }
        }
        Value::Array(items) => {
            for (position, item) in items.iter().enumerate() {
                let pointer = format!("{pointer}/{position}");
                found.push(pointer.clone());
                members(item, &pointer, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn no_cleared_member_is_a_surprise() {
    let whole = run_with_every_member();
    let mut pointers = Vec::new();
    members(&whole, "", &mut pointers);
    assert!(pointers.len() > 200, "{}", pointers.len());
    let before = Run::from_json(&whole.to_string()).unwrap().surprises();
    for pointer in pointers.iter().filter(|pointer| *pointer != "/id") {
        for cleared in CLEARED {
            let mut run = whole.clone();
            *run.pointer_mut(pointer).unwrap() = serde_json::from_str(cleared).unwrap();
            let after = Run::from_json(&run.to_string()).unwrap().surprises();
            let new: Vec<_> = after.iter().filter(|surprise| !before.contains(surprise)).collect();
            assert!(new.is_empty(), "{cleared} at {pointer}: {new:?}");
        }
    }
}

#[test]
fn zero_and_false_are_values_where_numbers_and_flags_belong() {
    let run = Run::from_json(
        r#"{"id":"r1","late_tasks":0,"starred":false,"is_public":0,"progress":0,"summary":"",
            "started_by":0,"created_at":false,"status":0,"users":0,"prerun":{"f1":0,"f2":false,"f3":null}}"#,
    )
    .unwrap();
    insta::assert_snapshot!(crate::shown::compact(&*run), @r#"
    id: RunId("r1")
    summary: ""
    status: Empty
    progress: Percent(0.0)
    started_by: Empty
    prerun: {FieldId("f1"): 0, FieldId("f2"): false, FieldId("f3"): Empty}
    starred: false
    is_public: false
    created_at: Empty
    late_tasks: 0
    users: Empty
    "#);
}
