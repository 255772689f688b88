//! Differences between the answers in the forms of two views of a run.
//!
//! An answer can be in several places at once: the kick-off form's in `prerun`, a task's in its `taskdata`, and either
//! again in the form fields, as `field_value` or `value` (API reference, sections b.2, c.1 and c.6). It is reported once.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, FieldChange};
use super::fields::{self, is_odd};
use super::json::{Json, Members, Shape, same};
use super::list::{Ids, Keyed, Pair, pair};

/// Members of a form field that say which it is, or what its answer is.
const TOLD_OTHERWISE: [&str; 6] = ["id", "timeline_id", "task_id", "field_value", "value", "last_updated"];

/// An answer, as far as one view of the run has it.
#[derive(Default)]
struct Answer<'a> {
    label: Option<String>,
    value: Option<Json<'a>>,
}

impl<'a> Answer<'a> {
    /// Adds what another place tells of it. What was found first counts.
    fn add(&mut self, found: Self) {
        self.label = self.label.take().or(found.label);
        self.value = self.value.or(found.value);
    }
}

/// The form that a field belongs to: the kick-off form, or a task's.
type Form = Option<String>;

/// Answers by their form field and the form that it is in: one step may have been made into several tasks.
#[derive(Default)]
struct Answers<'a> {
    in_forms: BTreeMap<(String, Form), Answer<'a>>,
    /// What the run lists, which does not say whose form it is.
    listed: BTreeMap<String, Answer<'a>>,
}

impl Answers<'_> {
    fn give_listed(&mut self, field: &str, forms: &BTreeSet<Form>, with_value: bool) {
        let Some(listed) = self.listed.remove(field) else {
            return;
        };
        for form in forms {
            self.in_forms
                .entry((field.to_owned(), form.clone()))
                .or_default()
                .add(Answer {
                    label: listed.label.clone(),
                    value: listed.value.filter(|_| with_value),
                });
        }
    }
}

/// The form fields whose answers are reported, with their forms.
#[derive(Default)]
pub(super) struct Answered(BTreeSet<(String, Form)>);

impl Answered {
    /// Whether the answer to a field in the form of this task is reported.
    pub(super) fn has(&self, task: Option<&str>, field: &str) -> bool {
        self.0.contains(&(field.to_owned(), task.map(str::to_owned)))
    }

    /// Whether an answer to this field is reported, in any form.
    pub(super) fn has_field(&self, field: &str) -> bool {
        let from = (field.to_owned(), None);
        self.0.range(from..).next().is_some_and(|(found, _)| found == field)
    }
}

/// A task in which there may be answers, and what the other view knows of it.
struct Place<'a, 'b> {
    task: &'b str,
    members: &'b Members<'a>,
    has_form_fields: bool,
    has_data: bool,
}

/// Where answers are, in one of two views: only the places that both views have. What one of them has no place for was
/// not asked for there.
struct Places<'a, 'b> {
    prerun: Option<Json<'a>>,
    tasks: Vec<Place<'a, 'b>>,
    form_fields: Vec<Json<'a>>,
}

impl<'a, 'b> Places<'a, 'b> {
    fn of(run: &Members<'a>, other: &Members<'_>, tasks: Option<(&'b Keyed<'a>, &Keyed<'_>)>) -> Self {
        let in_both = |key: &str| run.get(key).copied().filter(|_| other.contains_key(key));
        let is_odd_in_one = |key: &str, a: &Members<'_>, b: &Members<'_>| {
            is_odd(key, a.get(key).copied()) || is_odd(key, b.get(key).copied())
        };
        let tasks = tasks.into_iter().flat_map(|(tasks, others)| {
            tasks.by_id.iter().map(|(id, task)| {
                let (members, other) = (&task.members, others.by_id.get(id).map(|other| &other.members));
                let is_told = |members: &Members<'_>| members.get("form_fields").is_some_and(|json| !json.is_untold());
                Place {
                    task: id,
                    members,
                    has_form_fields: is_told(members) && other.is_none_or(is_told),
                    has_data: other.is_none_or(|other| {
                        // One of them may be nothing but the id.
                        other.contains_key("taskdata") && !is_odd_in_one("taskdata", members, other)
                    }) && !is_odd("taskdata", members.get("taskdata").copied()),
                }
            })
        });
        Self {
            prerun: in_both("prerun").filter(|_| !is_odd_in_one("prerun", run, other)),
            tasks: tasks.collect(),
            form_fields: ["form_fields", "ko_form_fields"]
                .into_iter()
                .filter_map(in_both)
                .collect(),
        }
    }

    fn collect(&self) -> Answers<'a> {
        let mut answers = Answers::default();
        if let Some(prerun) = self.prerun {
            from_map(prerun, None, &mut answers);
        }
        for place in &self.tasks {
            let form = Some(place.task.to_owned());
            if let Some(data) = place.members.get("taskdata").filter(|_| place.has_data) {
                from_map(*data, form.as_ref(), &mut answers);
            }
            if let Some(fields) = place.members.get("form_fields").filter(|_| place.has_form_fields) {
                from_fields(*fields, |id, _, found| {
                    answers.in_forms.entry((id, form.clone())).or_default().add(found);
                });
            }
        }
        for fields in &self.form_fields {
            from_fields(*fields, |id, form, found| match form {
                Some(_) => answers.in_forms.entry((id, form)).or_default().add(found),
                None => answers.listed.entry(id).or_default().add(found),
            });
        }
        answers
    }
}

/// The answers that are different, and the form fields that they belong to.
pub(super) fn compare(old: &Members<'_>, new: &Members<'_>, tasks: Option<&Pair<'_, '_>>) -> (Vec<Change>, Answered) {
    let mut before = Places::of(old, new, tasks.map(|tasks| (&tasks.old, &tasks.new)));
    let mut after = Places::of(new, old, tasks.map(|tasks| (&tasks.new, &tasks.old)));
    let (found, changed) = compare_places(&before, &after);
    // A task that is the same in both views may still have one of these answers, or know the field's label.
    let concerned: Vec<(String, Members<'_>)> = tasks
        .into_iter()
        .flat_map(|tasks| &tasks.in_both)
        .filter(|task| changed.0.iter().any(|(field, _)| task.contains(field.as_str())))
        .filter_map(|task| {
            let members = Json::new(task).members();
            Some((members.get("id")?.as_id()?, members))
        })
        .collect();
    if concerned.is_empty() {
        return (found, changed);
    }
    for (task, members) in &concerned {
        let place = || Place {
            task,
            members,
            has_form_fields: true,
            has_data: true,
        };
        before.tasks.push(place());
        after.tasks.push(place());
    }
    compare_places(&before, &after)
}

fn compare_places(old: &Places<'_, '_>, new: &Places<'_, '_>) -> (Vec<Change>, Answered) {
    let (mut old, mut new) = (old.collect(), new.collect());
    give_listed_to_forms(&mut old, &mut new);
    let mut found = Vec::new();
    let mut changed = Answered::default();
    let places: BTreeSet<&(String, Form)> = old.in_forms.keys().chain(new.in_forms.keys()).collect();
    for place in places {
        let (before, after) = (old.in_forms.get(place), new.in_forms.get(place));
        if same_answers(value_of(before), value_of(after)) {
            continue;
        }
        let label = |answer: Option<&Answer<'_>>| answer.and_then(|answer| answer.label.clone());
        let (field, form) = place;
        changed.0.insert(place.clone());
        found.push(Change::Answer {
            field: field.clone(),
            task: form.clone(),
            label: label(after).or_else(|| label(before)),
            from: value_of(before).map(Json::to_raw),
            to: value_of(after).map(Json::to_raw),
        });
    }
    (found, changed)
}

/// What the run lists belongs to the one form that has the field; to the kick-off form, or none that is known, if no task
/// has it. Where several have it, the list repeats one of them, and tells what it is called.
fn give_listed_to_forms(old: &mut Answers<'_>, new: &mut Answers<'_>) {
    let fields: BTreeSet<String> = old.listed.keys().chain(new.listed.keys()).cloned().collect();
    for field in fields {
        let forms: BTreeSet<Form> = [&old.in_forms, &new.in_forms]
            .into_iter()
            .flat_map(|answers| answers.range((field.clone(), None)..))
            .map(|(place, _)| place)
            .take_while(|(found, _)| *found == field)
            .map(|(_, form)| form.clone())
            .collect();
        let has_value = |answers: &Answers<'_>, form: &Form| {
            let answer = answers.in_forms.get(&(field.clone(), form.clone()));
            value_of(answer).is_some()
        };
        let is_only = forms.len() == 1;
        let is_silent = !forms.iter().any(|form| has_value(old, form) || has_value(new, form));
        // Where none of several forms says what the answer is, only the list does.
        let forms = if is_silent && !is_only {
            BTreeSet::from([None])
        } else {
            forms
        };
        let is_value_theirs = is_only || is_silent;
        old.give_listed(&field, &forms, is_value_theirs);
        new.give_listed(&field, &forms, is_value_theirs);
    }
}

fn same_answers(before: Option<Json<'_>>, after: Option<Json<'_>>) -> bool {
    match (before, after) {
        (Some(a), Some(b)) => same_answer(a, b),
        (None, None) => true,
        _ => false,
    }
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
fn from_map<'a>(map: Json<'a>, form: Option<&String>, answers: &mut Answers<'a>) {
    for (field, value) in map.members() {
        let answer = answers.in_forms.entry((field.into_owned(), form.cloned())).or_default();
        answer.value = answer.value.or(Some(value).filter(|value| is_answered(*value)));
    }
}

/// Form fields with their answers in them.
fn from_fields<'a>(fields: Json<'a>, mut tell: impl FnMut(String, Form, Answer<'a>)) {
    for field in fields.elements().into_iter().flatten() {
        let members = field.members();
        let Some(id) = Json::id_under(&members, &["id", "timeline_id"]) else {
            continue;
        };
        let value = ["field_value", "value"]
            .iter()
            .filter_map(|key| members.get(*key).copied())
            .find(|value| is_answered(*value));
        let label = members.get("label").and_then(|label| label.as_id());
        let form = Json::id_under(&members, &["task_id"]);
        tell(id, form, Answer { label, value });
    }
}

/// Adds what is different in the form fields themselves, such as a label. One whose answer is reported is left out: its
/// options may say what is chosen.
pub(super) fn compare_form_fields(
    key: &str,
    old: Json<'_>,
    new: Json<'_>,
    is_answered: impl Fn(&str, Option<&str>) -> bool,
    found: &mut Vec<FieldChange>,
) {
    if old.text() == new.text() {
        return;
    }
    let Some(Pair { old, new, .. }) = pair(key, Ids::FormField, old, new, found) else {
        return;
    };
    let pointer = fields::below("", key);
    for id in old.by_id.keys().chain(new.by_id.keys()).collect::<BTreeSet<_>>() {
        let (a, b) = (old.by_id.get(id), new.by_id.get(id));
        let members = b.or(a).map(|field| &field.members);
        let under = |keys: &[&str]| members.and_then(|members| Json::id_under(members, keys));
        // What is nothing but an id has no members.
        let field = under(&["id", "timeline_id"]).unwrap_or_else(|| id.clone());
        if is_answered(&field, under(&["task_id"]).as_deref()) {
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
