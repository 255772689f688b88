//! Each include in each of the forms that it may come in (API reference, section b.1).

use serde_json::value::RawValue;
use tallyfy_model::{Answer, Run, Thread};

use crate::shown;

/// The places that includes have in a run.
fn in_place(include: &str, json: &str) -> String {
    match include {
        "step" | "threads" => format!(r#"{{"id":"r1","tasks":[{{"id":"t1","{include}":{json}}}]}}"#),
        _ => format!(r#"{{"id":"r1","{include}":{json}}}"#),
    }
}

fn forms(content: &str) -> Vec<(&'static str, String)> {
    let mut forms = vec![
        ("bare", content.to_owned()),
        ("wrapped", format!(r#"{{"data":{content}}}"#)),
        (
            "wrapped, something before it",
            format!(r#"{{"meta":{{}},"data":{content}}}"#),
        ),
    ];
    match serde_json::from_str::<Vec<&RawValue>>(content) {
        Ok(elements) => {
            let entries: Vec<String> = elements
                .iter()
                .enumerate()
                .map(|(position, element)| format!(r#""{}":{element}"#, 2 * position))
                .collect();
            forms.push(("by position", format!("{{{}}}", entries.join(","))));
            forms.push(("under a name of its own", format!(r#"{{"form_fields":{content}}}"#)));
            let named = format!(r#"{{"data":{{"form_fields":{content}}}}}"#);
            forms.push(("under a name of its own, wrapped", named));
            forms.push((
                "by position, wrapped",
                format!(r#"{{"data":{{{}}}}}"#, entries.join(",")),
            ));
        }
        Err(_) => {
            forms.push(("in an array", format!("[{content}]")));
            forms.push(("in an array, wrapped", format!(r#"{{"data":[{content}]}}"#)));
        }
    }
    for (name, nothing) in [
        ("null", "null"),
        ("wrapped null", r#"{"data":null}"#),
        ("empty array", "[]"),
        ("wrapped empty array", r#"{"data":[]}"#),
        ("empty object", "{}"),
        ("empty text", r#""""#),
        ("false", "false"),
    ] {
        forms.push((name, nothing.to_owned()));
    }
    forms
}

/// What is decoded in each form; only what differs from the bare form is repeated.
fn decoded(include: &str, content: &str) -> String {
    let bare = shown::run(&in_place(include, content));
    let mut text = String::new();
    for (name, json) in forms(content) {
        let decoded = shown::run(&in_place(include, &json));
        let decoded = if name != "bare" && decoded == bare {
            "as bare"
        } else {
            decoded.strip_prefix("id: RunId(\"r1\")\n").unwrap_or(&decoded)
        };
        text.push_str(&format!("{name}: {decoded}\n"));
    }
    text
}

macro_rules! includes {
    ($($name:ident)+) => {$(
        #[test]
        fn $name() {
            let content = include_str!(concat!("../fixtures/includes/", stringify!($name), ".json")).trim();
            insta::assert_snapshot!(stringify!($name), decoded(stringify!($name), content));
        }
    )+};
}

includes! {
    assets
    checklist
    folders
    form_fields
    ko_form_fields
    next_task
    step
    tags
    tasks
    threads
}

#[test]
fn what_was_never_shown_is_kept_as_it_came() {
    for include in [
        "stages",
        "permissions",
        "tasks_meta",
        "member_watchers",
        "guest_watchers",
    ] {
        for json in [r#"{"data": [ {"id": 1.50} ]}"#, "[7]", r#""x""#, "true", r#"{"a":{}}"#] {
            let run = Run::from_json(&in_place(include, json)).unwrap();
            let field = match include {
                "stages" => &run.stages,
                "permissions" => &run.permissions,
                "tasks_meta" => &run.tasks_meta,
                "member_watchers" => &run.member_watchers,
                _ => &run.guest_watchers,
            };
            assert_eq!(field.get().unwrap().raw(), json, "{include}");
            assert!(run.surprises().is_empty());
        }
    }
}

#[test]
fn the_kick_off_form_may_also_come_as_answers_by_alias() {
    for json in [
        r#"{"company-1":"Globex","size-2":7}"#,
        r#"{"data":{"company-1":"Globex","size-2":7}}"#,
    ] {
        let shown = shown::run(&in_place("ko_form_fields", json));
        insta::allow_duplicates! {
            insta::assert_snapshot!(shown, @r#"
            id: RunId("r1")
            ko_form_fields: Answers({"company-1": "Globex", "size-2": 7})
            "#);
        }
    }
}

#[test]
fn an_answer_is_read_as_what_its_field_asks_for() {
    let run = in_place("form_fields", include_str!("../fixtures/includes/form_fields.json"));
    let run = Run::from_json(&run).unwrap();
    let answers: Vec<String> = run
        .form_fields
        .iter()
        .map(|field| format!("{}: {:?}", field.any_id().unwrap(), field.answer()))
        .collect();
    insta::assert_snapshot!("answers_by_field_type", answers.join("\n"));
}

#[test]
fn only_selected_options_are_chosen() {
    let run = in_place("form_fields", include_str!("../fixtures/includes/form_fields.json"));
    let run = Run::from_json(&run).unwrap();
    let chosen: Vec<String> = run
        .answers()
        .iter()
        .map(|answer| {
            let read = answer.answer().into_value().unwrap_or(Answer::Text("odd".into()));
            let texts: Vec<_> = read.chosen().filter_map(|choice| choice.text.as_str()).collect();
            format!("{} {texts:?}", answer.id)
        })
        .filter(|line| !line.ends_with("[]"))
        .collect();
    assert_eq!(chosen, ["f5 [\"0\"]", "f6 [\"Gold\"]", "f7 [\"A\"]"]);
}

#[test]
fn an_answer_in_several_places_is_one_answer() {
    let run = Run::from_json(
        r#"{"id":"r1","prerun":{"f1":"Globex","f2":"","f4":false},
            "checklist":{"prerun":[{"id":"f1","label":"Company","field_type":"text"}]},
            "tasks":[{"id":"t1","taskdata":{"f3":"2026-01-31"},"form_fields":[{"id":"f3","field_value":"2026-01-31"}],
                      "step":{"captures":[{"id":"f3","label":"Day","field_type":"date"}]}},
                     {"id":"t2","taskdata":[]}],
            "form_fields":[{"id":"f3","label":"Day","field_type":"date","value":"2026-01-31"}]}"#,
    )
    .unwrap();
    let answers: Vec<String> = run
        .answers()
        .iter()
        .map(|answer| {
            let task = answer.task.and_then(|task| task.id.get());
            format!("{} {:?} {task:?} {:?}", answer.id, answer.label(), answer.answer())
        })
        .collect();
    insta::assert_snapshot!(answers.join("\n"), @r#"
    f1 Some("Company") None Value(Text("Globex"))
    f3 Some("Day") Some(TaskId("t1")) Value(Date(ApiTime("2026-01-31")))
    "#);
}

#[test]
fn open_tasks_are_neither_done_nor_hidden_nor_archived() {
    let run = Run::from_json(
        r#"{"id":"r1","tasks":[{"id":"active","status":"active"},{"id":"late","status":"overdue"},
            {"id":"done","status":"completed"},{"id":"done2","status":"active","completed_at":"2026-01-31"},
            {"id":"hidden","status":"auto-skipped"},{"id":"archived","status":"active","archived_at":"2026-01-31"},
            {"id":"unknown","status":"floating"},"bare"]}"#,
    )
    .unwrap();
    let open: Vec<_> = run.open_tasks().map(|task| task.id.get().unwrap().as_str()).collect();
    assert_eq!(open, ["active", "late", "unknown", "bare"]);
}

#[test]
fn a_problem_is_open_until_it_is_resolved() {
    let run = in_place("threads", include_str!("../fixtures/includes/threads.json"));
    let run = Run::from_json(&run).unwrap();
    let threads = run.tasks.iter().flat_map(|task| task.threads.iter());
    let open: Vec<bool> = threads.map(Thread::is_open_problem).collect();
    assert_eq!(open, [false, true, false, false]);
}
