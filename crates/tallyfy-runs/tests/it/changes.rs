//! What is reported as different between two views of a run, as the JSON that events carry.

use tallyfy_model::Run;
use tallyfy_runs::{Doubt, Include, carry_forward, changes, compare};

/// A run with these members.
fn run(members: &str) -> Run {
    let comma = if members.is_empty() { "" } else { "," };
    Run::from_json(&format!(r#"{{"id":"r1"{comma}{members}}}"#)).unwrap_or_else(|error| panic!("{error}: {members}"))
}

/// The changes from one to the other, a line each.
fn reported(before: &str, after: &str) -> String {
    let lines: Vec<String> = changes(&run(before), &run(after))
        .iter()
        .map(|change| format!("    {}", serde_json::to_string(change).unwrap()))
        .collect();
    if lines.is_empty() {
        "    nothing".to_owned()
    } else {
        lines.join("\n")
    }
}

fn table<'a>(rows: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    rows.into_iter()
        .map(|(before, after)| format!("{before}\n{after}\n{}", reported(before, after)))
        .collect::<Vec<_>>()
        .join("\n\n")
}

#[test]
fn the_state_of_the_run() {
    insta::assert_snapshot!(
        "state",
        table([
            (r#""status":"active""#, r#""status":"problem""#),
            (r#""status":"active""#, r#""status":"quantum""#),
            (r#""status":"active""#, ""),
            (r#""status":"active""#, r#""status":7"#),
            (r#""status":"complete""#, r#""status":"completed""#),
            (
                r#""status":"active""#,
                r#""status":"completed","completed_at":"2026-01-31T09:00:00Z""#
            ),
            (r#""completed_at":null"#, r#""completed_at":"2026-01-31T09:00:00Z""#),
            (
                r#""status":"complete","completed_at":"2026-01-31T09:00:00Z""#,
                r#""status":"active","completed_at":null"#
            ),
            (
                r#""completed_at":"2026-01-31T09:00:00Z""#,
                r#""completed_at":"2026-01-31 09:00:00.000""#
            ),
            (
                r#""completed_at":"2026-01-31T09:00:00Z""#,
                r#""completed_at":"2026-02-01T09:00:00Z""#
            ),
            (
                r#""completed_at":"2026-01-31T09:00:00Z""#,
                r#""completed_at":{"date":"2026-02-01"}"#
            ),
            (r#""archived_at":null"#, r#""archived_at":"2026-01-31T09:00:00Z""#),
            (r#""status":"active""#, r#""status":"archived""#),
            (r#""archived_at":"2026-01-31T09:00:00Z""#, ""),
        ])
    );
}

#[test]
fn progress_in_any_of_its_forms() {
    insta::assert_snapshot!(
        "progress",
        table([
            (r#""progress":25"#, r#""progress":60"#),
            (
                r#""progress":{"complete":1,"total":4,"percent":25}"#,
                r#""progress":25.0"#
            ),
            (
                r#""progress":{"complete":1,"total":4,"percent":25}"#,
                r#""progress":"30""#
            ),
            (
                r#""progress":{"complete":1,"total":4,"percent":25}"#,
                r#""progress":{"complete":2,"total":8,"percent":25}"#
            ),
            (
                r#""progress":{"complete":1,"total":4}"#,
                r#""progress":{"complete":2,"total":4}"#
            ),
            (r#""progress":{}"#, r#""progress":[]"#),
            (r#""progress":{}"#, r#""progress":0"#),
            (r#""progress":{}"#, r#""progress":10"#),
            (r#""progress":10"#, r#""progress":["odd"]"#),
            (r#""whole_progress":{"percent":25}"#, r#""whole_progress":25"#),
            (
                r#""whole_progress":{"percent":25}"#,
                r#""whole_progress":{"percent":50}"#
            ),
        ])
    );
}

#[test]
fn name_owner_and_dates() {
    insta::assert_snapshot!(
        "name_owner_dates",
        table([
            (r#""name":"Onboarding""#, r#""name":"Onboarding of \"Ä\"""#),
            (r#""name":"\u00e4""#, r#""name":"ä""#),
            (r#""name":"complete""#, r#""name":"completed""#),
            (r#""name":"2026-01-31""#, r#""name":"2026-01-31 00:00:00""#),
            (r#""name":"""#, r#""name":null"#),
            (r#""name":"a""#, r#""name":["a"]"#),
            (r#""owner_id":1002"#, r#""owner_id":"1002""#),
            (r#""owner_id":1002"#, r#""owner_id":"1003""#),
            (r#""owner_id":1002"#, r#""owner_id":null"#),
            (r#""owner_id":0"#, r#""owner_id":null"#),
            (r#""owner_id":1002"#, r#""owner_id":{"id":1002}"#),
            (
                r#""due_date":"2026-01-31T09:00:00Z""#,
                r#""due_date":"2026-01-31T10:00:00.000+01:00""#
            ),
            (r#""due_date":"2026-01-31""#, r#""due_date":"2026-01-31 00:00:00""#),
            (
                r#""due_date":"2026-01-31T09:00:00Z""#,
                r#""due_date":"2026-02-28T09:00:00Z""#
            ),
            (r#""due_date":"2026-01-31T09:00:00Z""#, r#""due_date":"""#),
            (r#""due_date":false"#, r#""due_date":null"#),
            (r#""started_at":null"#, r#""started_at":"2026-01-31T09:00:00Z""#),
            (r#""due_date":"soon""#, r#""due_date":1769850000"#),
        ])
    );
}

#[test]
fn tasks() {
    let call = r#""tasks":[{"id":"t1","title":"Call","status":"active"}]"#;
    let both = r#""tasks":[{"id":"t1","title":"Call","status":"active"},{"id":"t2","title":"Ship","status":"active"}]"#;
    let turned = r#""tasks":{"data":[{"id":"t2","title":"Ship","status":"active"},{"status":"active","title":"Call","id":"t1"}]}"#;
    let done = r#""tasks":[{"id":"t1","title":"Call","status":"completed","completed_at":"2026-01-31T09:00:00Z"}]"#;
    let done_again =
        r#""tasks":[{"id":"t1","title":"Call","status":"complete","completed_at":"2026-02-01T09:00:00Z"}]"#;
    insta::assert_snapshot!(
        "tasks",
        table([
            (call, both),
            (both, call),
            (both, turned),
            (call, done),
            (done, call),
            (done, done_again),
            (call, r#""tasks":[{"id":"t1","title":"Call","status":"complete"}]"#),
            (
                call,
                r#""tasks":[{"id":"t1","title":"Call back","status":"hasproblem","deadline":"2026-02-01"}]"#
            ),
            (
                call,
                r#""tasks":[{"id":"t1","title":"Call back","status":"completed"}]"#
            ),
            (call, ""),
            (call, r#""tasks":null"#),
            (call, r#""tasks":"odd""#),
            (r#""tasks":[]"#, r#""tasks":{"data":[]}"#),
            (
                r#""tasks":[{"id":1,"title":"a"},{"id":2}]"#,
                r#""tasks":{"0":{"id":"1","title":"a"},"2":{"id":"2"}}"#
            ),
            (r#""tasks":["t1"]"#, r#""tasks":[{"id":"t1","title":"Call"}]"#),
            (
                r#""tasks":[{"title":"without an id"},{"id":"t1"}]"#,
                r#""tasks":[{"id":"t1"},{"title":"another"}]"#
            ),
            (
                r#""tasks":[{"id":"t1","position":1},{"id":"t1","position":2}]"#,
                r#""tasks":[{"id":"t1","position":3},{"id":"t1","position":2}]"#
            ),
            (
                r#""tasks":[{"id":"t1","deadline":"2026-01-31T09:00:00Z","last_updated":"a"}]"#,
                r#""tasks":[{"id":"t1","deadline":"2026-01-31 09:00:00","last_updated":"b"}]"#
            ),
            (
                r#""tasks":[{"id":"t1","title":"a","step":{"data":{"id":"s1"}}}]"#,
                r#""tasks":[{"id":"t1","title":"a"}]"#
            ),
        ])
    );
}

#[test]
fn people_are_their_ids() {
    let owners = |owners: &str| format!(r#""tasks":[{{"id":"t1","title":"Call","owners":{owners}}}]"#);
    let seven = owners(r#"{"users":[7],"guests":[],"groups":[]}"#);
    let rows = [
        (
            seven.clone(),
            owners(r#"{"data":{"users":[{"id":"7","full_name":"Ada"}]}}"#),
        ),
        (
            seven.clone(),
            owners(r#"{"users":[7,8],"guests":["a@b.example"],"groups":[]}"#),
        ),
        (seven, owners("{}")),
        (owners("{}"), owners("[]")),
        (
            r#""users":[7,8]"#.to_owned(),
            r#""users":[{"user_id":"8","full_name":"Bo"},{"user_id":"7","full_name":"Ada"}]"#.to_owned(),
        ),
        (
            r#""users":[7]"#.to_owned(),
            r#""users":{"data":[{"id":7,"full_name":"Ada"}]}"#.to_owned(),
        ),
        (
            r#""users":[7]"#.to_owned(),
            r#""users":[{"id":8,"full_name":"Bo"}]"#.to_owned(),
        ),
        (
            r#""groups":["abc"]"#.to_owned(),
            r#""groups":[{"group_id":"abc","name":"Sales"}]"#.to_owned(),
        ),
        (r#""collaborators":[]"#.to_owned(), r#""collaborators":[7]"#.to_owned()),
        (
            r#""users":[{"full_name":"Ada"}]"#.to_owned(),
            r#""users":[{"full_name":"Bo"}]"#.to_owned(),
        ),
    ];
    insta::assert_snapshot!("people", table(rows.iter().map(|(a, b)| (a.as_str(), b.as_str()))));
}

#[test]
fn answers_of_every_type() {
    let old = r#""prerun":{"f":"red"}"#;
    let rows: [(&str, &str); 22] = [
        ("\"red\"", "\"blue\""),
        ("\"12345678901234567890123\"", "12345678901234567890123"),
        ("12345678901234567890123", "12345678901234567890124"),
        ("1.50", "1.5"),
        ("\"complete\"", "\"completed\""),
        ("\"2026-01-31T09:00:00Z\"", "\"2026-01-31 09:00:00\""),
        (r#"{"id":1,"text":"red"}"#, r#"{"text":"red","id":"1","value":null}"#),
        (r#"{"id":1,"text":"red"}"#, r#"{"id":2,"text":"blue"}"#),
        (
            r#"[{"id":1,"text":"a","selected":true}]"#,
            r#"[{"id":1,"text":"a","selected":true},{"id":2,"text":"b","selected":false}]"#,
        ),
        (
            r#"[{"id":1,"text":"a","selected":true}]"#,
            r#"[{"id":1,"text":"a","selected":true},{"id":2,"text":"b","selected":true}]"#,
        ),
        (r#"[{"id":1,"text":"a","selected":false}]"#, "null"),
        (r#"["Widget","3"]"#, r#"["Widget","4"]"#),
        (r#"["Widget",0]"#, r#"["Widget",""]"#),
        (r#"{"users":[7],"guests":[]}"#, r#"{"users":["7"]}"#),
        ("\"red\"", "\"\""),
        ("\"red\"", "false"),
        ("0", "\"red\""),
        ("\"0\"", "0"),
        ("null", "[]"),
        ("\"\"", "0"),
        ("false", "{}"),
        ("true", "1"),
    ];
    let rows = rows.map(|(a, b)| [a, b].map(|value| format!(r#""prerun":{{"f":{value}}}"#)));
    let mut lines = vec![table(rows.iter().map(|[a, b]| (a.as_str(), b.as_str())))];
    lines.push(table([
        (old, r#""prerun":{}"#),
        (old, r#""prerun":[]"#),
        (old, r#""prerun":null"#),
        (old, ""),
        (old, r#""prerun":["odd"]"#),
    ]));
    insta::assert_snapshot!("answers", lines.join("\n\n"));
}

#[test]
fn an_answer_in_several_places_is_reported_once() {
    let everywhere = |value: &str| {
        format!(
            concat!(
                r#""prerun":{{"k":{0}}},"#,
                r#""tasks":[{{"id":"t1","title":"Call","taskdata":{{"f":{0}}},"#,
                r#""form_fields":{{"data":[{{"id":"f","label":"Colour","field_value":{0}}}]}}}}],"#,
                r#""form_fields":[{{"id":"f","label":"Colour","value":{0}}},{{"timeline_id":"k","label":"Kick-off","value":{0}}}]"#
            ),
            value
        )
    };
    let only_value = |member: &str, value: &str| format!(r#""form_fields":[{{"id":"f","{member}":{value}}}]"#);
    let in_task = |data: &str| format!(r#""tasks":[{{"id":"t1","taskdata":{data}}}]"#);
    let rows = [
        (everywhere("\"red\""), everywhere("\"blue\"")),
        (everywhere("\"\""), everywhere("{\"id\":1,\"text\":\"red\"}")),
        (everywhere("null"), everywhere("false")),
        (only_value("value", "\"red\""), only_value("field_value", "\"red\"")),
        (only_value("value", "\"red\""), only_value("field_value", "\"blue\"")),
        (in_task(r#"{"f":"red"}"#), in_task("[]")),
        (in_task(r#"{"f":"red"}"#), in_task(r#"["odd"]"#)),
        (in_task(r#"{"f":"red"}"#), r#""prerun":{}"#.to_owned()),
        (
            r#""form_fields":[{"id":"f","label":"Colour"}]"#.to_owned(),
            r#""form_fields":[{"id":"f","label":"Colours","required":true}]"#.to_owned(),
        ),
        (
            r#""form_fields":[{"id":"f"},{"id":"g"}]"#.to_owned(),
            r#""form_fields":[{"id":"g"}]"#.to_owned(),
        ),
        (
            r#""form_fields":["odd"]"#.to_owned(),
            r#""form_fields":"odd""#.to_owned(),
        ),
        (
            r#""prerun":{"f":"a"},"ko_form_fields":{"colour":"a"}"#.to_owned(),
            r#""prerun":{"f":"b"},"ko_form_fields":{"colour":"b"}"#.to_owned(),
        ),
        (
            r#""ko_form_fields":{"colour":"a"}"#.to_owned(),
            r#""ko_form_fields":{"colour":"b"}"#.to_owned(),
        ),
    ];
    insta::assert_snapshot!(
        "answers_in_places",
        table(rows.iter().map(|(a, b)| (a.as_str(), b.as_str())))
    );
}

#[test]
fn a_task_that_is_the_same_still_says_whose_answer_it_is() {
    let task = r#""tasks":[{"id":"t1","taskdata":{"g":"x"},"form_fields":[{"id":"f","label":"Colour"}]}]"#;
    let told = |value: &str| format!(r#"{task},"form_fields":[{{"id":"f","value":"{value}"}}]"#);
    assert_eq!(
        reported(&told("red"), &told("blue")),
        r#"    {"kind":"answer","field":"f","task":"t1","label":"Colour","from":"red","to":"blue"}"#
    );
    let repeated = format!(r#"{task},"form_fields":[{{"id":"g","value":"x"}}]"#);
    let left_out = format!(r#"{task},"form_fields":[{{"id":"g"}}]"#);
    assert_eq!(reported(&left_out, &repeated), "    nothing");
}

#[test]
fn tags_in_all_their_forms() {
    let titled = r##""tags":[{"id":"abc","title":"VIP","color":"#ff0000"}]"##;
    insta::assert_snapshot!(
        "tags",
        table([
            (titled, r#""tags":["abc"]"#),
            (
                titled,
                r##""tags":{"data":[{"id":"abc","name":"VIP","color":"#ff0000"}]}"##
            ),
            (
                titled,
                r#""tags":[{"id":12,"tag_id":"abc","tag":{"data":{"title":"VIP"}}}]"#
            ),
            (
                r#""tags":[{"id":12,"tag_id":"abc"}]"#,
                r#""tags":[{"id":13,"tag_id":"abc"}]"#
            ),
            (titled, r#""tags":[{"id":"abc","title":"Very important"}]"#),
            (titled, r#""tags":[{"id":12,"tag_id":"def","tag":{"title":"EU"}}]"#),
            (titled, r#""tags":[]"#),
            (r#""tags":[]"#, r#""tags":["abc","def"]"#),
            (r#""tags":["abc","def"]"#, r#""tags":["def","abc"]"#),
            (titled, ""),
            (titled, r#""tags":true"#),
            (
                r#""tags":[{"title":"without an id"}]"#,
                r#""tags":[{"title":"another"}]"#
            ),
        ])
    );
}

#[test]
fn everything_else_is_told_by_where_it_is() {
    insta::assert_snapshot!(
        "other",
        table([
            (r#""starred":false"#, r#""starred":true"#),
            (r#""summary":"a\nb""#, r#""summary":"c""#),
            (r#""new":{"a":{"b":1,"c":2}}"#, r#""new":{"a":{"b":1,"c":3},"d":true}"#),
            (r#""a/b":{"c~d":{"":1}}"#, r#""a/b":{"c~d":{"":2}}"#),
            (r#""big":12345678901234567890123"#, r#""big":12345678901234567890124"#),
            (r#""n":[1, 2]"#, r#""n":[1, 3]"#),
            (r#""n":{"a":1}"#, r#""n":[1]"#),
            (r#""n":1"#, r#""n":true"#),
            (r#""n":null"#, r#""n":0"#),
            (r#""custom_fields":{"budget":5}"#, r#""custom_fields":{"budget":5.50}"#),
            (r#""custom_fields":null"#, r#""custom_fields":{"budget":5}"#),
            (r#""checklist":{"data":{"title":"a"}}"#, r#""checklist":{"title":"b"}"#),
            (
                r#""next_task":[]"#,
                r#""next_task":{"data":[{"id":"t1","title":"Call"}]}"#
            ),
            (r#""prerun_status":"complete""#, r#""prerun_status":"completed""#),
        ])
    );
}

#[test]
fn what_means_the_same_is_not_reported() {
    for (before, after) in [
        (
            r#""name":"a","status":"active""#,
            r#" "status" : "active", "name" : "a" "#,
        ),
        (
            r#""last_updated":"2026-01-31T09:00:00Z""#,
            r#""last_updated":"2026-02-01T09:00:00Z""#,
        ),
        (r#""increment_id":7"#, r#""increment_id":"7""#),
        (r#""checklist":{}"#, r#""checklist":[]"#),
        (r#""checklist":{"data":{"id":"c1"}}"#, r#""checklist":{"id":"c1"}"#),
        (r#""checklist":{"id":"c1"}"#, ""),
        ("", r#""tags":["abc"]"#),
        (
            "",
            r#""tasks":[{"id":"t1","taskdata":{"f":"red"}}],"form_fields":[{"id":"f","value":"red"}]"#,
        ),
        (r#""next_task":null"#, r#""next_task":{"data":null}"#),
        (r#""next_task":[]"#, r#""next_task":{"data":[]}"#),
        (r#""custom_fields":null"#, ""),
        (r#""x":{"y":null,"z":[]}"#, r#""x":{}"#),
        (r#""x":1,"x":2"#, r#""x":2"#),
        (r#""\u0078":1"#, r#""x":1"#),
        (r#""n":1.0"#, r#""n":1"#),
    ] {
        assert_eq!(reported(before, after), "    nothing", "{before} and {after}");
        assert_eq!(reported(after, before), "    nothing", "{after} and {before}");
    }
}

#[test]
fn tasks_are_compared_whatever_form_their_list_has() {
    let old = r#"[{"id":"t1","title":"Call"},{"id":"t2","taskdata":{"f":"red"}}]"#;
    let new = r#"{"id":"t1","title":"Write"},{"id":"t2","taskdata":{"f":"blue"}}"#;
    let expected = reported(&format!(r#""tasks":{old}"#), &format!(r#""tasks":[{new}]"#));
    assert_eq!(expected.lines().count(), 2, "{expected}");
    let (first, second) = new.split_at(new.find(",{").unwrap());
    let second = &second[1..];
    for tasks in [
        format!(r#""tasks":{{"data":[{new}]}}"#),
        format!(r#""tasks":{{"meta":{{}},"data":[{new}]}}"#),
        format!(r#""tasks":{{"data":[7],"data":[{new}]}}"#),
        format!(r#""tasks":{{"data":{{"data":[{new}]}}}}"#),
        format!(r#""tasks":{{"0":{first},"7":{second}}}"#),
        format!(r#""tasks":{{"data":{{"0":{first},"7":{second}}}}}"#),
        format!(r#""tasks":[{{"data":{first}}},{second}]"#),
        format!(r#""tasks":[{new}]"#),
        format!(r#""tasks":[7],"tasks":[{new}]"#),
        format!(r#""tasks":{{"data":[{new}]}}"#),
    ] {
        for old in [old.to_owned(), format!(r#"{{"data":{old}}}"#)] {
            assert_eq!(reported(&format!(r#""tasks":{old}"#), &tasks), expected, "{tasks}");
        }
    }
    for odd in ["7", "\"x\"", r#"{"data":7}"#, "1e999", r#"{"x":7}"#, "\"\\ud800\""] {
        let found = reported(&format!(r#""tasks":{old}"#), &format!(r#""tasks":{odd}"#));
        assert!(
            found.contains(r#""kind":"other","pointer":"/tasks","#),
            "{odd}: {found}"
        );
    }
}

#[test]
fn what_other_runs_do_to_the_template_is_no_change_of_this_one() {
    let template = |count: u32| {
        format!(r#""checklist":{{"data":{{"id":"c1","started_processes":{count},"last_updated":"2026-01-0{count}"}}}}"#)
    };
    assert_eq!(reported(&template(1), &template(2)), "    nothing");
    assert_ne!(
        reported(r#""checklist":{"title":"A"}"#, r#""checklist":{"title":"B"}"#),
        "    nothing"
    );
}

#[test]
fn the_next_task_may_be_alone_or_in_a_list() {
    for (a, b) in [
        (r#""next_task":{"data":[{"id":"t1"}]}"#, r#""next_task":{"id":"t1"}"#),
        (r#""next_task":{"data":[]}"#, r#""next_task":null"#),
    ] {
        assert_eq!(reported(a, b), "    nothing", "{a} and {b}");
        assert_eq!(reported(b, a), "    nothing", "{b} and {a}");
    }
    assert_ne!(
        reported(r#""next_task":[{"id":"t1"}]"#, r#""next_task":{"id":"t2"}"#),
        "    nothing"
    );
}

#[test]
fn another_spelling_of_the_id_is_not_another_run() {
    let run = |id: &str| Run::from_json(&format!(r#"{{"id":{id}}}"#)).unwrap();
    assert!(changes(&run("7"), &run("\"7\"")).is_empty());
}

/// A run of so many tasks, each with its copy of the run's status, whose last task is open or done.
fn nearly_done(tasks: usize, is_done: bool) -> String {
    let status = if is_done { "completed" } else { "active" };
    let task = |number: usize| {
        let is_open = number == tasks && !is_done;
        let (own_status, completed_at, completer) = match is_open {
            true => ("active", "null".to_owned(), "null"),
            false => ("completed", format!("\"2026-01-31T09:00:{number:02}Z\""), "7"),
        };
        format!(
            r#"{{"id":"t{number}","title":"Task {number}","status":"{own_status}","status_label":"{own_status}",
                "completed_at":{completed_at},"completer_id":{completer},"is_completable":{is_open},
                "run_status":"{status}","last_updated":"2026-01-31T09:00:{number:02}Z","taskdata":[]}}"#
        )
    };
    let (done, percent) = if is_done { (tasks, 100) } else { (tasks - 1, 66) };
    let list: Vec<String> = (1..=tasks).map(task).collect();
    format!(
        r#""status":"{status}","completed_at":{completed_at},"late_tasks":{late},"has_open_issue":false,
           "progress":{{"complete":{done},"total":{tasks},"percent":{percent}}},
           "whole_progress":{{"complete":{done},"total":{tasks},"percent":{percent}}},
           "next_task":{next},"tasks":{{"data":[{list}]}}"#,
        completed_at = if is_done { "\"2026-01-31T09:01:00Z\"" } else { "null" },
        late = u8::from(!is_done),
        next = if is_done {
            "[]".to_owned()
        } else {
            format!(r#"{{"data":[{}]}}"#, task(tasks))
        },
        list = list.join(","),
    )
}

#[test]
fn completing_the_last_task_is_told_without_echoes() {
    let told = |tasks: usize| {
        format!(
            concat!(
                r#"    {{"kind":"status","from":"active","to":"completed"}}"#,
                "\n",
                r#"    {{"kind":"completed","at":"2026-01-31T09:01:00Z"}}"#,
                "\n",
                r#"    {{"kind":"progress","from":66.0,"to":100.0}}"#,
                "\n",
                r#"    {{"kind":"task.completed","task":{{"id":"t{0}","title":"Task {0}","status":"completed"}},"#,
                r#""at":"2026-01-31T09:00:{0:02}Z","by":"7"}}"#,
            ),
            tasks
        )
    };
    for tasks in [3, 40] {
        assert_eq!(
            reported(&nearly_done(tasks, false), &nearly_done(tasks, true)),
            told(tasks)
        );
    }
    let reopened = reported(&nearly_done(3, true), &nearly_done(3, false));
    let kinds: Vec<&str> = reported_kinds(&reopened);
    assert_eq!(kinds, ["status", "reopened", "progress", "task.reopened"], "{reopened}");
}

fn reported_kinds(reported: &str) -> Vec<&str> {
    let kind = |line: &'_ str| line.find("\"kind\":\"").map(|at| at + 8);
    reported
        .lines()
        .filter_map(|line| line.get(kind(line)?..)?.split('"').next())
        .collect()
}

#[test]
fn an_echo_of_nothing_is_told() {
    let task = |rest: &str| format!(r#""status":"active","tasks":[{{"id":"t1","status":"active",{rest}}}]"#);
    insta::assert_snapshot!(
        "echoes_of_nothing",
        table([
            // The run itself says something else.
            (
                task(r#""run_status":"delayed""#).as_str(),
                task(r#""run_status":"problem""#).as_str()
            ),
            // The copy comes a little before or after.
            (
                task(r#""run_status":"active""#).as_str(),
                task(r#""run_status":"problem""#).as_str()
            ),
            (
                task(r#""completer_id":7"#).as_str(),
                task(r#""completer_id":8"#).as_str()
            ),
            (
                task(r#""is_completable":true"#).as_str(),
                task(r#""is_completable":false"#).as_str()
            ),
            (
                task(r#""archived_at":null"#).as_str(),
                task(r#""archived_at":"2026-01-31T09:00:00Z""#).as_str()
            ),
            (r#""late_tasks":1"#, r#""late_tasks":2"#),
            (r#""whole_progress":50"#, r#""whole_progress":75"#),
            (r#""due_soon":false"#, r#""due_soon":true"#),
        ])
    );
}

#[test]
fn who_takes_part_is_told_by_what_they_do() {
    let state = |collaborators: &str, owners: &str, completer: &str| {
        let done = if completer == "null" { "active" } else { "completed" };
        format!(
            r#""collaborators":{collaborators},"tasks":[{{"id":"t1","status":"{done}","completer_id":{completer},
               "owners":{{"users":{owners}}}}}]"#
        )
    };
    let kinds = |before: &str, after: &str| {
        let told = reported(before, after);
        reported_kinds(&told).join(" ")
    };
    let before = state("[7]", "[7]", "null");
    assert_eq!(kinds(&before, &state("[7,8]", "[7,8]", "null")), "task.changed");
    assert_eq!(kinds(&before, &state("[7,8]", "[7]", "8")), "task.completed");
    assert_eq!(kinds(&state("[7,8]", "[7]", "8"), &before), "task.reopened");
    assert_eq!(kinds(&before, &state("[7,9]", "[7]", "8")), "task.completed other");
    assert_eq!(kinds(&before, &state("[7,8]", "[7]", "null")), "other");
}

#[test]
fn archiving_a_run_archives_its_tasks_and_is_told_once() {
    let state = |at: &str| {
        let task = |id: &str| {
            format!(r#"{{"id":"{id}","archived_at":{at},"run":{{"data":{{"id":"r1","archived_at":{at}}}}}}}"#)
        };
        format!(r#""archived_at":{at},"tasks":[{},{}]"#, task("t1"), task("t2"))
    };
    let (alive, archived) = (state("null"), state("\"2026-01-31T09:00:00Z\""));
    assert_eq!(
        reported(&alive, &archived),
        r#"    {"kind":"archived","at":"2026-01-31T09:00:00Z"}"#
    );
    assert_eq!(reported(&archived, &alive), r#"    {"kind":"reactivated"}"#);
}

#[test]
fn a_time_that_is_none_completes_and_archives_nothing_and_is_told_as_what_it_is() {
    let task = |at: &str| format!(r#""tasks":[{{"id":"t1","status":"active","completed_at":{at}}}]"#);
    insta::assert_snapshot!(
        "times_that_are_none",
        table([
            (r#""completed_at":null"#, r#""completed_at":"0000-00-00 00:00:00""#),
            (
                r#""archived_at":null"#,
                r#""archived_at":"-0001-11-30T00:00:00.000000Z""#
            ),
            (r#""completed_at":"never""#, r#""completed_at":"2026-01-31T09:00:00Z""#),
            (task("null").as_str(), task("\"never\"").as_str()),
            (
                task("\"0000-00-00\"").as_str(),
                task("\"2026-01-31T09:00:00Z\"").as_str()
            ),
        ])
    );
}

#[test]
fn an_include_that_is_not_told_says_nothing() {
    let known = r#""tasks":[{"id":"t1","taskdata":{"f":"red"},"form_fields":[{"id":"f","value":"red"}]}],"tags":["vip"],
                   "form_fields":[{"id":"f","value":"red"}],"assets":[{"id":"a1"}]"#;
    for untold in ["null", r#"{"data":null}"#, "false", "0", "\"\""] {
        let half = ["tasks", "tags", "form_fields", "assets"]
            .map(|include| format!(r#""{include}":{untold}"#))
            .join(",");
        assert_eq!(reported(known, &half), "    nothing", "{untold}");
        assert_eq!(reported(&half, known), "    nothing", "{untold}");
        let of_the_task = known.replace(
            r#""form_fields":[{"id":"f","value":"red"}]}"#,
            &format!(r#""form_fields":{untold}}}"#),
        );
        assert_eq!(reported(known, &of_the_task), "    nothing", "{untold}");
    }
    assert_eq!(reported(known, ""), "    nothing");
}

#[test]
fn nothing_where_there_was_something_is_doubtful() {
    let known = r#""name":"a","tasks":[{"id":"t1"}],"tags":["vip"],"prerun":{"f":"red"},"next_task":[{"id":"t1"}]"#;
    let doubts = |after: &str| {
        let comparison = compare(&run(known), &run(after));
        let doubts: Vec<&str> = comparison.doubts.iter().map(|doubt| doubt.member).collect();
        (comparison.changes.len(), doubts)
    };
    let rest = r#""tags":["vip"],"prerun":{"f":"red"}"#;
    for (after, expected) in [
        (format!(r#""name":"b","tasks":[],{rest}"#), (1, vec!["tasks"])),
        (
            format!(r#""name":"a","tasks":{{"data":[]}},{rest}"#),
            (0, vec!["tasks"]),
        ),
        (
            r#""name":"a","tasks":{},"tags":[],"prerun":[],"next_task":[]"#.to_owned(),
            (0, vec!["tasks", "tags", "prerun"]),
        ),
        // One of several is gone, or another has come: that is a change.
        (format!(r#""name":"a","tasks":[{{"id":"t2"}}],{rest}"#), (2, vec![])),
        (format!(r#""name":"a","tasks":null,{rest}"#), (0, vec![])),
    ] {
        let (changes, members) = doubts(&after);
        let changes = changes - usize::from(after.contains("next_task"));
        assert_eq!((changes, members), expected, "{after}");
    }
    // Confirmed by another look, it is taken at its word.
    let kinds = reported(known, r#""name":"a","tasks":[],"tags":[],"prerun":{}"#);
    assert_eq!(
        reported_kinds(&kinds),
        ["task.removed", "answer", "tag.removed"],
        "{kinds}"
    );
}

#[test]
fn what_is_not_told_stands_as_it_was_known() {
    let known = run(r#""tasks":{"data":[{"id":"t1","n":1.50}]},"tags":["vip"],"assets":[]"#);
    let carried = |fetched: &str, asked: &[Include], doubts: &[Doubt]| {
        let carried = carry_forward(&known, run(fetched), asked, doubts);
        (carried.run.raw().to_owned(), carried.members)
    };
    let asked = [Include::Tasks, Include::Tags, Include::Assets, Include::NextTask];
    for untold in [r#","tasks":null"#, r#","tasks":{"data":null}"#, r#","tasks":false"#, ""] {
        let fetched = format!(r#""big":12345678901234567890{untold},"tags":[]"#);
        assert_eq!(
            carried(&fetched, &asked, &[]),
            (
                r#"{"id":"r1","big":12345678901234567890,"tags":[],"tasks":{"data":[{"id":"t1","n":1.50}]},"assets":[]}"#
                    .to_owned(),
                vec!["tasks", "assets"]
            ),
            "{untold}"
        );
    }
    // Not asked for any more.
    let fetched = r#""name":"x""#;
    assert_eq!(carried(fetched, &[], &[]), (run(fetched).raw().to_owned(), vec![]));
    let doubts = compare(&known, &run(r#""tasks":[],"tags":["vip"]"#)).doubts;
    assert_eq!(
        carried(r#""tasks":[],"tags":["vip"],"assets":[]"#, &asked, &doubts).1,
        ["tasks"]
    );
}

#[test]
fn one_field_in_two_tasks_loses_no_answer() {
    let state = |one: &str, two: &str, listed: &str| {
        format!(
            r#""tasks":[{{"id":"t1","taskdata":{{"f":{one}}}}},{{"id":"t2","taskdata":{{"f":{two}}}}}],
               "form_fields":[{{"id":"f","label":"Colour","value":{listed}}}]"#
        )
    };
    let answer = |task: &str, from: &str, to: &str| {
        format!(r#"    {{"kind":"answer","field":"f","task":"{task}","label":"Colour","from":{from},"to":{to}}}"#)
    };
    let (red, blue, none) = ("\"red\"", "\"blue\"", "null");
    for (before, after, expected) in [
        (state(red, red, red), state(red, blue, red), answer("t2", red, blue)),
        (state(red, none, red), state(red, blue, blue), answer("t2", none, blue)),
        (
            state(none, none, none),
            state(red, blue, red),
            [answer("t1", none, red), answer("t2", none, blue)].join("\n"),
        ),
    ] {
        assert_eq!(reported(&before, &after), expected, "{before} and {after}");
    }
    // The list may say whose form it is.
    let listed = |one: &str, two: &str| {
        let field =
            |task: &str, value: &str| format!(r#"{{"id":"f","task_id":"{task}","label":"Colour","value":{value}}}"#);
        format!(r#""form_fields":[{},{}]"#, field("t1", one), field("t2", two))
    };
    assert_eq!(reported(&listed(red, red), &listed(blue, red)), answer("t1", red, blue));
    assert_eq!(
        reported(&listed(red, none), &listed(red, blue)),
        answer("t2", none, blue)
    );
    // Where neither task says it, the list does.
    let told = reported(&state(none, none, red), &state(none, none, blue));
    assert_eq!(told, answer("t", red, blue).replace("\"t\"", "null"));
}

#[test]
fn spellings_listings_and_templates_change_no_task() {
    let owners = |guests: &str| format!(r#""tasks":[{{"id":"t1","owners":{{"users":[],"guests":{guests}}}}}]"#);
    let listed = |tasks: &[&str]| format!(r#""tasks":[{}]"#, tasks.join(","));
    let (old, new) = (
        r#"{"id":"t1","title":"Call","last_updated":"2026-01-31T09:00:00Z"}"#,
        r#"{"id":"t1","title":"Call back","last_updated":"2026-01-31T09:00:01Z"}"#,
    );
    for (before, after) in [
        (r#""status":"active""#.to_owned(), r#""status":"Active""#.to_owned()),
        (
            owners(r#"["a@b.example"]"#),
            owners(r#"[{"id":5,"email":"a@b.example","link":"x"}]"#),
        ),
        (listed(&[new]), listed(&[new, new])),
        (listed(&[new]), listed(&[old, new])),
        (listed(&[new]), listed(&[new, old])),
        (listed(&[new, old]), listed(&[old, new])),
    ] {
        assert_eq!(reported(&before, &after), "    nothing", "{before} and {after}");
        assert_eq!(reported(&after, &before), "    nothing", "{after} and {before}");
    }
    let changed = reported(&listed(&[old]), &listed(&[old, new]));
    assert_eq!(reported_kinds(&changed), ["task.changed"], "{changed}");
    // An edit of the template is told as one.
    let step = |title: &str, place: u8| {
        format!(
            r#""tasks":[{{"id":"t1","title":"Call","blueprint_position":{place},"step":{{"data":{{"title":"{title}"}}}}}}]"#
        )
    };
    assert_eq!(
        reported(&step("Call", 1), &step("Phone", 2)),
        concat!(
            r#"    {"kind":"other","pointer":"/tasks/0/blueprint_position","from":1,"to":2}"#,
            "\n",
            r#"    {"kind":"other","pointer":"/tasks/0/step/title","from":"Call","to":"Phone"}"#
        )
    );
}
