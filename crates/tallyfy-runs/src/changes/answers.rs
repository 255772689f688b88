//! Differences between the answers in the forms of two views of a run.
//!
//! An answer can be in several places at once: the kick-off form's in `prerun`, a task's in its `taskdata`, and either
//! again in the form fields, as `field_value` or `value` (API reference, sections b.2, c.1 and c.6). It is reported once.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, FieldChange};
use super::fields::{self, is_odd};
use super::json::{Json, Members, Shape, same};
use super::list::{Keyed, Pair, pair};

/// Members of a form field that say which it is, or what its answer is.
const TOLD_OTHERWISE: [&str; 5] = ["id", "timeline_id", "field_value", "value", "last_updated"];

/// Where an answer was found.
#[derive(Default)]
struct Answer<'a> {
    task: Option<String>,
    label: Option<String>,
    value: Option<Json<'a>>,
}

type Answers<'a> = BTreeMap<String, Answer<'a>>;

/// Where answers are, in one of two views: only the places that both views have. What one of them has no place for was
/// not asked for there.
struct Places<'a, 'b> {
    prerun: Option<Json<'a>>,
    tasks: Vec<(&'b str, &'b Members<'a>)>,
    form_fields: Vec<Json<'a>>,
}

impl<'a, 'b> Places<'a, 'b> {
    fn of(run: &Members<'a>, other: &Members<'_>, tasks: Option<(&'b Keyed<'a>, &Keyed<'_>)>) -> Self {
        let in_both = |key: &str| run.get(key).copied().filter(|_| other.contains_key(key));
        let is_odd_in_one = |key: &str, a: &Members<'_>, b: &Members<'_>| {
            is_odd(key, a.get(key).copied()) || is_odd(key, b.get(key).copied())
        };
        let nothing = Members::new();
        Self {
            prerun: in_both("prerun").filter(|_| !is_odd_in_one("prerun", run, other)),
            tasks: tasks
                .into_iter()
                .flat_map(|(tasks, others)| tasks.by_id.iter().map(|(id, task)| (id, task, others.by_id.get(id))))
                .filter(|(_, task, other)| {
                    !is_odd_in_one(
                        "taskdata",
                        &task.members,
                        other.map_or(&nothing, |other| &other.members),
                    )
                })
                .map(|(id, task, _)| (id.as_str(), &task.members))
                .collect(),
            form_fields: ["form_fields", "ko_form_fields"]
                .into_iter()
                .filter_map(in_both)
                .collect(),
        }
    }

    fn collect(&self) -> Answers<'a> {
        let mut answers = Answers::new();
        if let Some(prerun) = self.prerun {
            from_map(prerun, None, &mut answers);
        }
        for (id, task) in &self.tasks {
            if let Some(data) = task.get("taskdata") {
                from_map(*data, Some(id), &mut answers);
            }
            if let Some(fields) = task.get("form_fields") {
                from_fields(*fields, Some(id), &mut answers);
            }
        }
        for fields in &self.form_fields {
            from_fields(*fields, None, &mut answers);
        }
        answers
    }
}

/// The answers that are different, and the form fields that they belong to.
pub(super) fn compare(
    old: &Members<'_>,
    new: &Members<'_>,
    tasks: Option<&Pair<'_, '_>>,
) -> (Vec<Change>, BTreeSet<String>) {
    let mut before = Places::of(old, new, tasks.map(|tasks| (&tasks.old, &tasks.new)));
    let mut after = Places::of(new, old, tasks.map(|tasks| (&tasks.new, &tasks.old)));
    let (found, changed) = compare_places(&before, &after);
    // A task that is the same in both views may still have one of these answers, or know the field's label.
    let concerned: Vec<(String, Members<'_>)> = tasks
        .into_iter()
        .flat_map(|tasks| &tasks.in_both)
        .filter(|task| changed.iter().any(|field| task.contains(field.as_str())))
        .filter_map(|task| {
            let members = Json::new(task).members();
            Some((members.get("id")?.as_id()?, members))
        })
        .collect();
    if concerned.is_empty() {
        return (found, changed);
    }
    for (id, task) in &concerned {
        before.tasks.push((id, task));
        after.tasks.push((id, task));
    }
    compare_places(&before, &after)
}

fn compare_places(old: &Places<'_, '_>, new: &Places<'_, '_>) -> (Vec<Change>, BTreeSet<String>) {
    let (old, new) = (old.collect(), new.collect());
    let mut found = Vec::new();
    let mut changed = BTreeSet::new();
    for field in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        let (before, after) = (old.get(field), new.get(field));
        let unchanged = match (value_of(before), value_of(after)) {
            (Some(a), Some(b)) => same_answer(a, b),
            (None, None) => true,
            _ => false,
        };
        if unchanged {
            continue;
        }
        let either = |text: fn(&Answer<'_>) -> Option<String>| after.and_then(text).or_else(|| before.and_then(text));
        changed.insert(field.clone());
        found.push(Change::Answer {
            field: field.clone(),
            task: either(|answer| answer.task.clone()),
            label: either(|answer| answer.label.clone()),
            from: value_of(before).map(Json::to_raw),
            to: value_of(after).map(Json::to_raw),
        });
    }
    (found, changed)
}

fn value_of<'a>(answer: Option<&Answer<'a>>) -> Option<Json<'a>> {
    answer.and_then(|answer| answer.value)
}

/// What is chosen in a multiselect is what counts, not which of the other options are named (API reference, section c.7).
fn same_answer(a: Json<'_>, b: Json<'_>) -> bool {
    if same("", Some(a), Some(b)) {
        return true;
    }
    let (Some(a), Some(b)) = (chosen(a), chosen(b)) else {
        return false;
    };
    a.len() == b.len() && a.into_iter().zip(b).all(|(a, b)| same("", Some(a), Some(b)))
}

/// The elements of a multiselect that are selected; none if it is no multiselect.
fn chosen(value: Json<'_>) -> Option<Vec<Json<'_>>> {
    let Shape::List(elements) = value.shape() else {
        return None;
    };
    let mut chosen = Vec::new();
    for element in elements {
        match element.members().get("selected")?.shape() {
            Shape::Bool(false) => {}
            _ => chosen.push(element),
        }
    }
    Some(chosen)
}

fn is_answered(value: Json<'_>) -> bool {
    !value.is_no_value() && chosen(value).is_none_or(|chosen| !chosen.is_empty())
}

/// Answers keyed by form field.
fn from_map<'a>(map: Json<'a>, task: Option<&str>, answers: &mut Answers<'a>) {
    for (field, value) in map.members() {
        let answer = answers.entry(field.into_owned()).or_default();
        answer.task = answer.task.take().or_else(|| task.map(str::to_owned));
        answer.value = answer.value.or(Some(value).filter(|value| is_answered(*value)));
    }
}

/// Form fields with their answers in them.
fn from_fields<'a>(fields: Json<'a>, task: Option<&str>, answers: &mut Answers<'a>) {
    for field in fields.elements().into_iter().flatten() {
        let members = field.members();
        let Some(id) = Json::id_under(&members, &["id", "timeline_id"]) else {
            continue;
        };
        let answer = answers.entry(id).or_default();
        answer.task = answer.task.take().or_else(|| task.map(str::to_owned));
        answer.label = answer.label.take().or_else(|| members.get("label")?.as_id());
        let value = ["field_value", "value"]
            .iter()
            .filter_map(|key| members.get(*key).copied())
            .find(|value| is_answered(*value));
        answer.value = answer.value.or(value);
    }
}

/// Adds what is different in the form fields themselves, such as a label. One whose answer is reported is left out: its
/// options may say what is chosen.
pub(super) fn compare_form_fields(
    key: &str,
    old: Json<'_>,
    new: Json<'_>,
    answered: &BTreeSet<String>,
    found: &mut Vec<FieldChange>,
) {
    if old.text() == new.text() {
        return;
    }
    let Some(Pair { old, new, .. }) = pair(key, &["id", "timeline_id"], old, new, found) else {
        return;
    };
    let pointer = fields::below("", key);
    for id in old.by_id.keys().chain(new.by_id.keys()).collect::<BTreeSet<_>>() {
        let (a, b) = (old.by_id.get(id), new.by_id.get(id));
        if answered.contains(id) {
            continue;
        }
        let Some(position) = b.or(a).map(|field| field.position.to_string()) else {
            continue;
        };
        let (Some(a), Some(b)) = (a, b) else {
            fields::compare(&pointer, &position, a.map(|a| a.json), b.map(|b| b.json), found);
            continue;
        };
        // One of them may be nothing but the id.
        if a.members.is_empty() || b.members.is_empty() {
            continue;
        }
        for member in fields::union(&a.members, &b.members) {
            if !TOLD_OTHERWISE.contains(&member) {
                let (a, b) = (a.members.get(member).copied(), b.members.get(member).copied());
                fields::compare(&fields::below(&pointer, &position), member, a, b, found);
            }
        }
    }
}
