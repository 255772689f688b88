//! What is read out of runs. Each fixture says in its name what is odd about it.

use std::collections::BTreeSet;

use tallyfy_model::{ApiTime, Field, Run};

use crate::shown;

macro_rules! fixtures {
    ($($name:ident)+) => {
        pub(crate) const ALL: &[(&str, &str)] = &[$(
            (stringify!($name), include_str!(concat!("../fixtures/runs/", stringify!($name), ".json"))),
        )+];

        mod decoded {
            $(
                #[test]
                fn $name() {
                    let json = include_str!(concat!("../fixtures/runs/", stringify!($name), ".json"));
                    insta::assert_snapshot!(stringify!($name), super::shown::run(json));
                }
            )+
        }
    };
}

fixtures! {
    as_documented
    dates_in_every_form
    floats_where_integers_belong
    foreign_types_everywhere
    form_field_answers_under_both_names
    half_a_surrogate_pair
    id_as_number
    ids_as_numbers
    ids_as_strings
    includes_as_empty_arrays
    includes_as_empty_objects
    includes_bare
    includes_null
    includes_resolved_to_nothing
    includes_wrapped
    includes_wrapped_and_empty
    includes_wrapped_with_meta_first
    keys_twice
    lists_with_positions_as_keys
    maps_as_empty_arrays
    maps_empty
    maps_null
    nothing_but_an_id
    number_out_of_range
    people_as_objects
    people_as_scalars
    prerun_as_list_of_definitions
    prerun_with_every_value_encoding
    pretty_printed_with_crlf_and_tabs
    progress_as_empty_object
    progress_as_number
    progress_as_numeric_text
    run_members_rarely_seen
    statuses_in_both_spellings
    tags_in_four_forms
    task_with_every_member
    template_with_every_member
    unknown_enum_values
    unknown_members
}

#[test]
fn every_fixture_is_decoded() {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/runs")).unwrap();
    let files: BTreeSet<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    let decoded: BTreeSet<String> = ALL.iter().map(|(name, _)| format!("{name}.json")).collect();
    assert_eq!(files, decoded);
}

#[test]
fn a_run_is_written_as_it_came() {
    for (name, json) in ALL {
        let run = Run::from_json(json).unwrap();
        assert_eq!(run.raw(), json.trim(), "{name}");
        assert_eq!(serde_json::to_string(&run).unwrap(), json.trim(), "{name}");
    }
}

#[test]
fn includes_say_the_same_wrapped_and_bare() {
    let read = |name: &str| Run::from_json(ALL.iter().find(|(other, _)| *other == name).unwrap().1).unwrap();
    let (wrapped, bare) = (read("includes_wrapped"), read("includes_bare"));
    let titles = |run: &Run| -> Vec<_> { run.tasks.iter().map(|task| task.title.clone()).collect() };
    assert_eq!(titles(&wrapped), titles(&bare));
    assert_eq!(wrapped.checklist, bare.checklist);
    assert_eq!(wrapped.tags, bare.tags);
    assert_eq!(wrapped.next_task, bare.next_task);
    assert_eq!(wrapped.form_fields, bare.form_fields);
}

#[test]
fn what_was_not_asked_for_is_absent_and_what_is_not_there_is_empty() {
    let run = Run::from_json(r#"{"id":"r1","next_task":null,"checklist":{"data":null}}"#).unwrap();
    assert_eq!(run.tasks, Field::Absent);
    assert_eq!(run.next_task, Field::Empty);
    assert_eq!(run.checklist, Field::Empty);
}

#[test]
fn tags_have_an_id_and_a_title_in_every_form() {
    let json = include_str!("../fixtures/runs/tags_in_four_forms.json");
    let run = Run::from_json(json).unwrap();
    let tags: Vec<_> = run
        .tags
        .iter()
        .map(|tag| (tag.any_id().unwrap().as_str(), tag.any_title()))
        .collect();
    assert_eq!(
        tags,
        [
            ("g1", Some("Urgent")),
            ("g2", Some("Late")),
            ("g3", Some("Legal")),
            ("g4", None)
        ]
    );
}

#[test]
fn answers_are_found_under_both_names() {
    let json = include_str!("../fixtures/runs/form_field_answers_under_both_names.json");
    let run = Run::from_json(json).unwrap();
    let answers: Vec<_> = run
        .form_fields
        .iter()
        .map(|field| format!("{} {:?}", field.any_id().unwrap(), field.answer_json()))
        .collect();
    assert_eq!(
        answers,
        ["f1 Some(\"x\")", "f2 Some(\"y\")", "f3 Some(false)", "f4 Some(\"\")"]
    );
}

#[test]
fn dates_are_read_as_far_as_they_name_an_instant() {
    let json = include_str!("../fixtures/runs/dates_in_every_form.json");
    let run = Run::from_json(json).unwrap();
    let read = |field: &Field<ApiTime>| Some(field.get()?.timestamp()?.to_string());
    for field in [&run.created_at, &run.last_updated, &run.started_at, &run.completed_at] {
        assert_eq!(read(field).as_deref(), Some("2025-05-15T14:30:00Z"), "{field:?}");
    }
    assert_eq!(read(&run.due_date).as_deref(), Some("2025-05-15T00:00:00Z"));
    for field in [&run.archived_at, &run.prerun_completed_at, &run.max_task_deadline] {
        assert_eq!(read(field), None, "{field:?}");
    }
}

#[test]
fn a_member_nested_beyond_every_bound_does_not_take_the_run_along() {
    for member in ["tasks", "prerun", "name", "checklist", "brand_new"] {
        for depth in [127, 128, 100_000] {
            let deep = "[".repeat(depth) + &"]".repeat(depth);
            let json = format!(r#"{{"id":"r1","{member}":{deep},"late_tasks":2}}"#);
            let run = Run::from_json(&json).unwrap();
            assert_eq!(run.late_tasks, Field::Value(2), "{member} {depth}");
            assert_eq!(run.raw(), json);
            assert!(run.to_value().is_object());
        }
    }
}

#[test]
fn envelopes_in_envelopes_are_opened_to_the_bound() {
    for member in ["tasks", "next_task", "checklist", "progress"] {
        let json = format!(
            r#"{{"id":"r1","{member}":{}{}}}"#,
            r#"{"data":"#.repeat(125) + r#"{"id":"x"}"#,
            "}".repeat(125)
        );
        assert_eq!(Run::from_json(&json).unwrap().id().as_str(), "r1", "{member}");
    }
}

#[test]
fn the_tree_of_a_run_with_odd_tokens_is_not_lost() {
    let run = Run::from_json(include_str!("../fixtures/runs/number_out_of_range.json")).unwrap();
    assert_eq!(run.to_value()["prerun"]["f1"], "-1e999");
    assert_eq!(run.to_value()["late_tasks"], 2);
}
