//! Differences between the answers in the forms of two views of a run.
//!
//! An answer can be in several places at once: the kick-off form's in `prerun`, a task's in its `taskdata`, and either
//! again in the form fields, as `field_value` or `value` (API reference, sections b.2, c.1 and c.6). It is reported once.

use std::collections::BTreeMap;

use super::change::Change;
use super::json::{Json, same};
use super::{Members, tasks};

/// Where an answer was found.
#[derive(Default)]
struct Answer<'a> {
    task: Option<String>,
    label: Option<String>,
    value: Option<Json<'a>>,
}

type Answers<'a> = BTreeMap<String, Answer<'a>>;

pub(super) fn compare(old: &Members<'_>, new: &Members<'_>, found: &mut Vec<Change>) {
    // What one of the views has no place for was not asked for there.
    let places =
        |run: &Members<'_>| ["prerun", "tasks", "form_fields", "ko_form_fields"].map(|key| run.contains_key(key));
    let both = places(old)
        .into_iter()
        .zip(places(new))
        .map(|(a, b)| a && b)
        .collect::<Vec<_>>();
    let (old, new) = (collect(old, &both), collect(new, &both));
    let fields: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for field in fields {
        let (before, after) = (old.get(field), new.get(field));
        let value =
            |answer: Option<&Answer<'_>>| answer.and_then(|answer| answer.value.map(Json::text).map(str::to_owned));
        let unchanged = match (
            before.and_then(|answer| answer.value),
            after.and_then(|answer| answer.value),
        ) {
            (Some(a), Some(b)) => same(a, b),
            (None, None) => true,
            _ => false,
        };
        if unchanged {
            continue;
        }
        let any = after.or(before);
        let raw = |text: Option<String>| text.map(|text| Json::new(&text).to_raw());
        found.push(Change::Answer {
            field: field.clone(),
            task: any.and_then(|answer| answer.task.clone()),
            label: any.and_then(|answer| answer.label.clone()),
            from: raw(value(before)),
            to: raw(value(after)),
        });
    }
}

fn collect<'a>(run: &Members<'a>, places: &[bool]) -> Answers<'a> {
    let mut answers = Answers::new();
    let place = |position: usize, key: &str| {
        places
            .get(position)
            .is_some_and(|both| *both)
            .then(|| run.get(key))
            .flatten()
            .copied()
    };
    if let Some(prerun) = place(0, "prerun") {
        from_map(prerun, None, &mut answers);
    }
    if let Some(all) = place(1, "tasks") {
        for (id, task) in tasks::by_id(all) {
            let task = task.members();
            if let Some(data) = task.get("taskdata") {
                from_map(*data, Some(&id), &mut answers);
            }
            if let Some(fields) = task.get("form_fields") {
                from_fields(*fields, Some(&id), &mut answers);
            }
        }
    }
    for (position, key) in [(2, "form_fields"), (3, "ko_form_fields")] {
        if let Some(fields) = place(position, key) {
            from_fields(fields, None, &mut answers);
        }
    }
    answers
}

/// Answers keyed by form field.
fn from_map<'a>(map: Json<'a>, task: Option<&str>, answers: &mut Answers<'a>) {
    for (field, value) in map.members() {
        let answer = answers.entry(field).or_default();
        answer.task = answer.task.take().or_else(|| task.map(str::to_owned));
        if !value.is_empty() {
            answer.value = answer.value.or(Some(value));
        }
    }
}

/// Form fields with their answers in them.
fn from_fields<'a>(fields: Json<'a>, task: Option<&str>, answers: &mut Answers<'a>) {
    for field in fields.elements() {
        let members = field.members();
        let Some(id) = ["id", "timeline_id"].iter().find_map(|key| members.get(*key)?.as_id()) else {
            continue;
        };
        let answer = answers.entry(id).or_default();
        answer.task = answer.task.take().or_else(|| task.map(str::to_owned));
        answer.label = answer.label.take().or_else(|| members.get("label")?.as_id());
        let value = ["field_value", "value"]
            .iter()
            .find_map(|key| members.get(*key))
            .filter(|value| !value.is_empty());
        answer.value = answer.value.or(value.copied());
    }
}
