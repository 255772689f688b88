//! Changes as JSON and back, and as lines.

use tallyfy_runs::model::Run;
use tallyfy_runs::{Change, changes};

/// One of each kind, as JSON.
const KINDS: [&str; 21] = [
    r#"{"kind":"status","from":"active","to":"complete"}"#,
    r#"{"kind":"progress","from":33.5,"to":null}"#,
    r#"{"kind":"name","from":"a","to":"b\nc"}"#,
    r#"{"kind":"owner","from":"7","to":"8"}"#,
    r#"{"kind":"owner.added","owner":{"type":"member","id":"7","name":"Ada"}}"#,
    r#"{"kind":"owner.removed","owner":{"type":"group","id":"g1","name":null}}"#,
    r#"{"kind":"completed","at":"2026-01-31T09:00:00Z"}"#,
    r#"{"kind":"reopened"}"#,
    r#"{"kind":"archived","at":null}"#,
    r#"{"kind":"reactivated"}"#,
    r#"{"kind":"date","field":"due_date","from":null,"to":"2026-01-31"}"#,
    r#"{"kind":"task.added","task":{"id":"t1","title":"Call","status":"active"}}"#,
    r#"{"kind":"task.removed","task":{"id":"t1","title":null,"status":null}}"#,
    r#"{"kind":"task.completed","task":{"id":"t1","title":"Call","status":"completed"},"at":"2026-01-31","by":"7"}"#,
    r#"{"kind":"task.reopened","task":{"id":"t1","title":"Call","status":"active"}}"#,
    r#"{"kind":"task.changed","task":{"id":"t1","title":"Call","status":"active"},"fields":[{"pointer":"/a","from":null},{"pointer":"/b","to":1.50}]}"#,
    r#"{"kind":"answer","field":"f1","task":"t1","label":"Colour","from":{"id":1,"text":"Gold"},"to":12345678901234567890123}"#,
    r#"{"kind":"answer","field":"f1","task":null,"label":null,"from":null,"to":"x"}"#,
    r#"{"kind":"tag.added","tag":{"id":"x","title":"Priority"}}"#,
    r#"{"kind":"tag.removed","tag":{"id":"x","title":null}}"#,
    r#"{"kind":"other","pointer":"/custom/1","from":null,"to":[1.50]}"#,
];

#[test]
fn each_kind_is_read_back_exactly_as_it_was_written() {
    for json in KINDS {
        let change: Change = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&change).unwrap(), json);
        assert_eq!(serde_json::from_str::<Change>(json).unwrap(), change);
    }
}

#[test]
fn changes_that_say_something_else_are_not_equal() {
    let all: Vec<Change> = KINDS.iter().map(|json| serde_json::from_str(json).unwrap()).collect();
    for (at, change) in all.iter().enumerate() {
        assert_eq!(all.iter().position(|other| other == change), Some(at), "{change}");
    }
}

#[test]
fn what_is_no_change_is_refused() {
    for json in [
        "null",
        "{}",
        r#"{"kind":"new"}"#,
        r#"{"kind":"task.added"}"#,
        r#"{"kind":"task.added","task":null}"#,
        r#"{"kind":"owner.added","owner":{"type":"robot","id":"7","name":null}}"#,
        r#"{"kind":"status","from":7,"to":null}"#,
    ] {
        assert!(serde_json::from_str::<Change>(json).is_err(), "{json}");
    }
}

#[test]
fn each_kind_is_shown_in_a_line() {
    let lines = KINDS.map(|json| serde_json::from_str::<Change>(json).unwrap().to_string());
    insta::assert_snapshot!("lines", lines.join("\n"));
}

#[test]
fn what_was_compared_is_read_back() {
    let before = Run::from_json(r#"{"id":"r1","name":"a","prerun":{"f1":1.50},"x":1}"#).unwrap();
    let after = Run::from_json(r#"{"id":"r1","name":"b","prerun":{"f1":2.50},"x":2}"#).unwrap();
    let found = changes(&before, &after);
    let text = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Change>>(&text).unwrap(), found);
}
