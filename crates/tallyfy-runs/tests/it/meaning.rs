//! Promises about every pair of runs, on runs made up at random.

use proptest::prelude::*;
use serde_json::{Map, Number, Value, json};
use tallyfy_model::Run;
use tallyfy_runs::{Change, Include, carry_forward, changes, compare};

fn run(json: &Value) -> Run {
    Run::from_json(&json.to_string()).unwrap()
}

pub(crate) fn kinds(before: &Value, after: &Value) -> Vec<Value> {
    changes(&run(before), &run(after))
        .iter()
        .map(|change: &Change| serde_json::to_value(change).unwrap())
        .collect()
}

/// Any JSON, small; its texts look like what the comparison has an opinion on.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..3).prop_map(Value::from),
        prop_oneof![
            "",
            "a",
            "7",
            "complete",
            "completed",
            "2026-01-31",
            "2026-01-31T00:00:00Z"
        ]
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((member_name(), inner), 0..3).prop_map(object),
        ]
    })
}

/// Names that nothing is known of, and some that take part in how things are compared.
fn member_name() -> impl Strategy<Value = String> {
    prop_oneof![
        "x",
        "y",
        "a/b",
        "m~n",
        "id",
        "tag_id",
        "task_id",
        "data",
        "meta",
        "status",
        "run_status",
        "users",
        "title",
        "0",
        "selected",
        "value",
        "completed_at",
        "completer_id",
        "last_updated",
        "taskdata",
        "form_fields",
    ]
    .prop_map(String::from)
}

fn known_member() -> impl Strategy<Value = String> {
    prop_oneof![
        "name",
        "status",
        "progress",
        "whole_progress",
        "owner_id",
        "completed_at",
        "archived_at",
        "due_date",
        "started_at",
        "prerun",
        "tasks",
        "tags",
        "form_fields",
        "ko_form_fields",
        "users",
        "checklist",
        "next_task",
        "last_updated",
        "custom_fields",
        "assets",
        "collaborators",
        "late_tasks",
        "max_task_deadline",
        "has_open_issue",
    ]
    .prop_map(String::from)
}

fn object(members: Vec<(String, Value)>) -> Value {
    Value::Object(members.into_iter().collect())
}

fn with_id(members: Vec<(String, Value)>) -> Value {
    let mut run = object(members);
    run["id"] = json!("r1");
    run
}

/// A run of the usual form.
pub(crate) fn usual_run() -> impl Strategy<Value = Value> {
    let task = (0_u8..20, "[a-z]{1,5}", any::<bool>(), "[a-z]{1,5}").prop_map(|(id, title, done, answer)| {
        json!({
            "id": format!("t{id}"),
            "title": title,
            "status": if done { "completed" } else { "active" },
            "completed_at": if done { json!("2026-01-31T09:00:00Z") } else { Value::Null },
            "owners": { "users": [7], "guests": [], "groups": [] },
            "taskdata": { format!("f{id}"): answer },
        })
    });
    (
        "[a-z]{1,8}",
        0_u32..100,
        1_u32..9,
        prop::collection::btree_map(0_u8..20, task, 1..5),
        prop::collection::btree_set("[a-c]", 0..3),
        any_json(),
    )
        .prop_map(|(name, percent, owner, tasks, tags, unknown)| {
            let mut tasks: Vec<Value> = tasks
                .into_iter()
                .map(|(id, mut task)| {
                    task["id"] = json!(format!("t{id}"));
                    task["taskdata"] =
                        json!({ format!("f{id}"): task["taskdata"].as_object().unwrap().values().next() });
                    task
                })
                .collect();
            tasks.reverse();
            json!({
                "id": "r1", "name": name, "status": "active", "owner_id": owner, "progress": { "percent": percent },
                "due_date": "2026-03-01T09:00:00Z", "archived_at": null, "prerun": { "k": "red" },
                "tasks": tasks, "tags": tags, "users": [7], "unknown": unknown, "last_updated": "2026-01-31T09:00:00Z",
            })
        })
}

/// The same in another spelling: keys turned around, includes wrapped, numbers as texts, lists of things with ids turned
/// around.
fn spelled_otherwise(run: &Value) -> String {
    let turned = |list: &Value| Value::from(list.as_array().unwrap().iter().rev().cloned().collect::<Vec<_>>());
    let mut run = run.clone();
    run["owner_id"] = json!(run["owner_id"].to_string());
    run["progress"] = json!(run["progress"]["percent"].as_f64().unwrap());
    run["due_date"] = json!("2026-03-01 09:00:00.000");
    run["tasks"] = json!({ "data": turned(&run["tasks"]), "meta": {} });
    run["tags"] = json!({ "data": turned(&run["tags"]) });
    run["users"] = json!([{ "id": "7", "full_name": "Ada" }]);
    run["last_updated"] = json!("2026-02-01T09:00:00Z");
    run["absent"] = Value::Null;
    let members: Vec<String> = run
        .as_object()
        .unwrap()
        .iter()
        .rev()
        .map(|(key, value)| format!("\n {} : {value}", json!(key)))
        .collect();
    format!("{{{} }}", members.join(" ,"))
}

/// What a value of a member that nothing is known of means: envelopes off, members without a value left out, one
/// spelling for numbers, instants, statuses and people.
pub(crate) fn meaning(key: &str, value: &Value) -> Value {
    let value = unwrapped(value);
    if key == "users"
        && let Some(people) = people(value)
    {
        return people;
    }
    match value {
        Value::Object(members) => {
            let members: Map<String, Value> = members
                .iter()
                .map(|(key, value)| (key.clone(), meaning(key, value)))
                .filter(|(_, value)| !value.is_null())
                .collect();
            if members.is_empty() {
                Value::Null
            } else {
                members.into()
            }
        }
        Value::Array(elements) if elements.is_empty() => Value::Null,
        Value::Array(elements) => elements.iter().map(|element| meaning("", element)).collect(),
        Value::String(text) => match text.as_str() {
            "completed" if key == "status" => json!("complete"),
            "2026-01-31" if key != "title" => json!("2026-01-31T00:00:00Z"),
            digits => digits.parse::<Number>().map_or_else(|_| value.clone(), Value::from),
        },
        _ => value.clone(),
    }
}

fn unwrapped(value: &Value) -> &Value {
    match value.as_object() {
        Some(members) if members.keys().all(|key| key == "data" || key == "meta") => {
            members.get("data").map_or(value, unwrapped)
        }
        _ => value,
    }
}

/// The ids of people, if each of them has one.
fn people(value: &Value) -> Option<Value> {
    let elements: Vec<&Value> = match value {
        Value::Array(elements) => elements.iter().collect(),
        Value::Object(members) if members.keys().all(|key| key == "0") => members.values().collect(),
        _ => return None,
    };
    let id = |value: &Value| match unwrapped(value) {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let mut ids = elements
        .into_iter()
        .map(|element| match unwrapped(element) {
            Value::Object(members) => id(members.get("id")?),
            other => id(other),
        })
        .collect::<Option<Vec<_>>>()?;
    ids.sort();
    ids.dedup();
    Some(if ids.is_empty() {
        Value::Null
    } else {
        json!({ "ids": ids })
    })
}

proptest! {
    #[test]
    fn a_run_is_not_different_from_itself(run in usual_run()) {
        prop_assert_eq!(kinds(&run, &run), Vec::<Value>::new());
        let again = Run::from_json(&spelled_otherwise(&run)).unwrap();
        let first = Run::from_json(&run.to_string()).unwrap();
        prop_assert!(changes(&first, &again).is_empty(), "{:?}", changes(&first, &again));
        prop_assert!(changes(&again, &first).is_empty(), "{:?}", changes(&again, &first));
    }

    #[test]
    fn exactly_what_was_changed_is_reported(before in usual_run(), which in 0_usize..14) {
        let task = before["tasks"][0].clone();
        let task_ref = |status: &Value| json!({ "id": task["id"], "title": task["title"], "status": status });
        let field = task["taskdata"].as_object().unwrap().keys().next().unwrap().clone();
        let was_done = task["status"] == "completed";
        let mut after = before.clone();
        after["last_updated"] = json!("2026-02-01T09:00:00Z");
        let expected = match which {
            0 => {
                after["name"] = json!("Another");
                json!({ "kind": "name", "from": before["name"], "to": "Another" })
            }
            1 => {
                after["status"] = json!("problem");
                json!({ "kind": "status", "from": "active", "to": "problem" })
            }
            2 => {
                after["progress"] = json!(100);
                json!({ "kind": "progress", "from": before["progress"]["percent"].as_f64(), "to": 100.0 })
            }
            3 => {
                after["owner_id"] = json!("99");
                json!({ "kind": "owner", "from": before["owner_id"].to_string(), "to": "99" })
            }
            4 => {
                after["due_date"] = Value::Null;
                json!({ "kind": "date", "field": "due_date", "from": "2026-03-01T09:00:00Z", "to": null })
            }
            5 => {
                after["archived_at"] = json!("2026-02-01T09:00:00Z");
                json!({ "kind": "archived", "at": "2026-02-01T09:00:00Z" })
            }
            6 => {
                after["completed_at"] = json!("2026-02-01T09:00:00Z");
                json!({ "kind": "completed", "at": "2026-02-01T09:00:00Z" })
            }
            7 => {
                after["prerun"]["k"] = json!({ "id": 1, "text": "blue" });
                json!({
                    "kind": "answer", "field": "k", "task": null, "label": null,
                    "from": "red", "to": { "id": 1, "text": "blue" },
                })
            }
            8 => {
                after["tasks"].as_array_mut().unwrap().push(json!({ "id": "t99", "title": "New" }));
                json!({ "kind": "task.added", "task": { "id": "t99", "title": "New", "status": null } })
            }
            9 => {
                after["tasks"][0]["title"] = json!("Another");
                json!({
                    "kind": "task.changed",
                    "task": { "id": task["id"], "title": "Another", "status": task["status"] },
                    "fields": [{ "pointer": "/title", "from": task["title"], "to": "Another" }],
                })
            }
            10 if was_done => {
                after["tasks"][0]["status"] = json!("active");
                after["tasks"][0]["completed_at"] = Value::Null;
                json!({ "kind": "task.reopened", "task": task_ref(&json!("active")) })
            }
            10 => {
                after["tasks"][0]["status"] = json!("complete");
                after["tasks"][0]["completed_at"] = json!("2026-02-01T09:00:00Z");
                json!({ "kind": "task.completed", "task": task_ref(&json!("complete")), "at": "2026-02-01T09:00:00Z" })
            }
            11 => {
                after["tasks"][0]["taskdata"] = json!([]);
                json!({
                    "kind": "answer", "field": field, "task": task["id"], "label": null,
                    "from": task["taskdata"][field.as_str()], "to": null,
                })
            }
            12 => {
                after["tags"].as_array_mut().unwrap().push(json!({ "id": 5, "tag_id": "new", "title": "New" }));
                json!({ "kind": "tag.added", "tag": { "id": "new", "title": "New" } })
            }
            _ => {
                after["unknown"] = json!({ "is": "another" });
                if before["unknown"].is_object() {
                    // Told member by member.
                    return Ok(());
                }
                json!({ "kind": "other", "pointer": "/unknown", "from": before["unknown"], "to": { "is": "another" } })
            }
        };
        prop_assert_eq!(kinds(&before, &after), vec![expected]);
    }

    #[test]
    fn what_nothing_is_known_of_is_reported_if_it_means_something_else(
        a in prop::collection::vec(("[p-r]", any_json()), 0..3),
        b in prop::collection::vec(("[p-r]", any_json()), 0..3),
    ) {
        let (a, b) = (with_id(a), with_id(b));
        let found = kinds(&a, &b);
        prop_assert_eq!(found.is_empty(), meaning("", &a) == meaning("", &b), "{:?}", found);
        prop_assert!(found.iter().all(|change| change["kind"] == "other"), "{:?}", found);
    }

    #[test]
    fn known_members_may_have_any_form(
        a in prop::collection::vec((known_member(), any_json()), 0..6),
        b in prop::collection::vec((known_member(), any_json()), 0..6),
    ) {
        let (a, b) = (with_id(a), with_id(b));
        prop_assert_eq!(kinds(&a, &a), Vec::<Value>::new());
        prop_assert_eq!(kinds(&a, &b).is_empty(), kinds(&b, &a).is_empty());
        if meaning("", &a) == meaning("", &b) {
            prop_assert_eq!(kinds(&a, &b), Vec::<Value>::new());
        }
        let comparison = compare(&run(&a), &run(&b));
        prop_assert!(comparison.doubts.is_empty() || !kinds(&a, &b).is_empty(), "{:?}", comparison);
        let carried = carry_forward(&run(&a), run(&b), &[Include::Tasks, Include::Assets], &comparison.doubts);
        let again = compare(&run(&a), &carried.run);
        prop_assert!(again.doubts.is_empty(), "{:?}", again);
    }
}
