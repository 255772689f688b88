//! What is no run, and why.

use tallyfy_model::{NotARun, Run};

#[test]
fn json_without_an_id_is_no_run() {
    for json in [
        "{}",
        r#"{"name":"x"}"#,
        r#"{"id":null}"#,
        r#"{"id":""}"#,
        r#"{"id":[]}"#,
        r#"{"id":{}}"#,
        r#"{"id":{"data":"r1"}}"#,
        r#"{"id":["r1"]}"#,
        r#"{"id":false}"#,
        r#"{"id":true}"#,
        r#"{"id":0}"#,
        r#"{"id":1.5}"#,
        r#"{"ID":"r1"}"#,
        r#"{"data":{"id":"r1"}}"#,
        r#"{"id":"r1","id":null}"#,
    ] {
        assert!(matches!(Run::from_json(json), Err(NotARun::NoId)), "{json}");
    }
}

#[test]
fn json_that_is_no_object_is_no_run() {
    for json in [
        "[]",
        "[{\"id\":\"r1\"}]",
        "\"x\"",
        "\"\"",
        "null",
        "true",
        "false",
        "0",
        "7",
        "1e999",
    ] {
        assert!(matches!(Run::from_json(json), Err(NotARun::NotAnObject)), "{json}");
    }
    let deep = "[".repeat(1 << 20) + &"]".repeat(1 << 20);
    assert!(matches!(Run::from_json(&deep), Err(NotARun::NotAnObject)));
}

#[test]
fn what_is_not_json_is_no_run() {
    let open = "[".repeat(4 << 20);
    let unclosed = format!(r#"{{"id":"r1","tasks":{open}"#);
    for json in [
        "",
        " ",
        "x",
        "{",
        r#"{"id":"r1""#,
        r#"{"id":"r1"} x"#,
        r#"{"id":"r1",}"#,
        r#"{'id':'r1'}"#,
        r#"{"id":NaN}"#,
        "<html></html>",
        "{\"id\":\"a\nb\"}",
        &open,
        &unclosed,
    ] {
        assert!(matches!(Run::from_json(json), Err(NotARun::Json(_))), "{json:.40}");
    }
}
