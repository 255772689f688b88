//! Any member of a run may be anything, and any bytes may come in.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;
use tallyfy_model::{ApiError, NotARun, REDACTED, Run, Webhook, indented, minified, without_guest_links};

/// JSON of any type, with the names and values that mean something more often than others.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(vec![
            "",
            "0",
            "1",
            "data",
            "2025-10-15",
            "15/10/2025 09:00 AM UTC",
            "active"
        ])
        .prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        Just(Value::from(0)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(any_key(), inner, 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn any_key() -> impl Strategy<Value = String> {
    let known = [
        "data",
        "id",
        "0",
        "1",
        "meta",
        "users",
        "tasks",
        "run",
        "event",
        "task",
        "process",
        "this_task",
        "guest-links",
        "link_for_guest",
        "guestLinks",
        "error",
        "errors",
        "message",
        "",
        "a/b",
        "$serde_json::private::RawValue",
    ];
    prop_oneof![4 => select(known.to_vec()).prop_map(str::to_owned), 1 => ".{0,6}"]
}

/// A fixture in which a few places hold something else.
fn mutated_run() -> impl Strategy<Value = Value> {
    let runs: Vec<Value> = crate::runs::ALL
        .iter()
        .map(|(_, json)| Run::from_json(json).unwrap().to_value())
        .collect();
    (select(runs), vec((any::<Index>(), any_json()), 1..6)).prop_map(|(mut run, mutations)| {
        for (at, json) in mutations {
            let places = count(&run);
            replace(&mut run, &mut at.index(places), &json);
        }
        run
    })
}

fn children(value: &mut Value) -> Vec<&mut Value> {
    match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(members) => members.values_mut().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

fn count(value: &Value) -> usize {
    1 + children(&mut value.clone())
        .into_iter()
        .map(|child| count(child))
        .sum::<usize>()
}

/// Replaces the place with a number, counted in the order in which they are written.
fn replace(value: &mut Value, left: &mut usize, json: &Value) -> bool {
    if *left == 0 {
        *value = json.clone();
        return true;
    }
    *left -= 1;
    children(value).into_iter().any(|child| replace(child, left, json))
}

fn redacted(value: &Value, secret: bool) -> Value {
    match value {
        Value::String(_) if secret => REDACTED.into(),
        Value::Array(items) => items.iter().map(|item| redacted(item, secret)).collect(),
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| {
                let name = key.to_lowercase().replace(|c: char| !c.is_alphanumeric(), "");
                let names = ["guestlinks", "linkforguest", "guestlink"];
                (key.clone(), redacted(value, secret || names.contains(&name.as_str())))
            };
            Value::Object(members.iter().map(member).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn is_id(value: Option<&Value>) -> bool {
    match value {
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Number(number)) => (number.is_i64() || number.is_u64()) && number.as_u64() != Some(0),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_a_lost_id_makes_a_run_none(value in mutated_run()) {
        let json = value.to_string();
        match Run::from_json(&json) {
            Ok(run) => {
                prop_assert_eq!(run.raw(), json);
                run.surprises();
                prop_assert!(run.to_value().is_object());
            }
            Err(NotARun::NotAnObject) => prop_assert!(!value.is_object()),
            Err(NotARun::NoId) => prop_assert!(!is_id(value.get("id"))),
            Err(error) => prop_assert!(false, "{}: {:?}", error, error),
        }
    }

    #[test]
    fn a_run_in_an_odd_layout_is_the_same_run(value in mutated_run()) {
        let (short, long) = (value.to_string(), indented(&value.to_string()));
        if let (Ok(short), Ok(long)) = (Run::from_json(&short), Run::from_json(&long)) {
            prop_assert_eq!(format!("{:?}", *short), format!("{:?}", *long));
        }
    }

    #[test]
    fn no_body_is_too_odd_to_be_looked_at(value in prop_oneof![mutated_run(), any_json()]) {
        let json = value.to_string();
        if let Err(reason) = Webhook::parse(json.as_bytes()) {
            prop_assert!(!reason.to_string().starts_with("not JSON ("), "{}", reason);
        }
        let _ = ApiError::parse(json.as_bytes()).to_string();
    }

    #[test]
    fn no_bytes_make_anything_panic(bytes in vec(any::<u8>(), 0..64)) {
        let _ = Webhook::parse(&bytes);
        let _ = ApiError::parse(&bytes);
    }

    #[test]
    fn no_text_makes_anything_panic(text in r#"([\[\]{}",:\\ u0-9a-f-]|data|id|\\ud800|1e999|.){0,40}"#) {
        let _ = Run::from_json(&text);
        let _ = Webhook::parse(text.as_bytes());
        let _ = ApiError::parse(text.as_bytes());
        let _ = without_guest_links(&text);
        let _ = minified(&text);
        let _ = indented(&text);
    }

    #[test]
    fn layout_and_redaction_keep_the_values(value in any_json()) {
        // Read through text, since floats lose their last digit on the way through it.
        let json = value.to_string();
        prop_assume!(!json.contains("$serde_json"));
        let plain: Value = serde_json::from_str(&json).unwrap();
        for text in [minified(&json), indented(&json), minified(&indented(&json))] {
            prop_assert_eq!(&serde_json::from_str::<Value>(&text).unwrap(), &plain);
        }
        let shown: Value = serde_json::from_str(&without_guest_links(&indented(&json)).unwrap()).unwrap();
        prop_assert_eq!(shown, redacted(&plain, false));
    }
}
