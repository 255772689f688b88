//! What is different between two views of a run.
//!
//! The two views are compared as JSON text. What means the same is no difference: another order of keys, an include
//! wrapped or bare, `[]` for an empty map, an id as a number or a string, another spelling of a date. An include that
//! only one of the views has was not asked for in the other, and says nothing.

mod answers;
mod change;
mod fields;
mod json;
mod tasks;

use std::collections::BTreeMap;

use tallyfy_model::{Progress, Run, RunStatus};

pub use change::{Change, FieldChange, TagRef, TaskRef};

use json::{Json, same};

/// Members that are there only when they were asked for (API reference, section b.1).
const INCLUDES: [&str; 13] = [
    "checklist",
    "tasks",
    "tags",
    "assets",
    "next_task",
    "permissions",
    "tasks_meta",
    "ko_form_fields",
    "form_fields",
    "stages",
    "folders",
    "member_watchers",
    "guest_watchers",
];

/// Members that have a kind of change of their own, or, as `last_updated`, only say that there are others.
const TYPED: [&str; 13] = [
    "id",
    "last_updated",
    "status",
    "progress",
    "name",
    "owner_id",
    "completed_at",
    "archived_at",
    "tasks",
    "tags",
    "prerun",
    "form_fields",
    "ko_form_fields",
];

/// Dates that are reported as such.
const DATES: [&str; 3] = ["created_at", "started_at", "due_date"];

/// What is different in `after`, the run's own state first, then its tasks, answers and tags, then everything else.
///
/// ```
/// use tallyfy_model::Run;
/// use tallyfy_runs::{Change, changes};
///
/// let before = Run::from_json(r#"{"id":"r1","name":"Onboarding","owner_id":7}"#)?;
/// let after = Run::from_json(r#"{"owner_id":"7","name":"Onboarding of Globex","id":"r1"}"#)?;
/// assert!(matches!(changes(&before, &after).as_slice(), [Change::Name { .. }]));
/// # Ok::<(), tallyfy_model::NotARun>(())
/// ```
pub fn changes(before: &Run, after: &Run) -> Vec<Change> {
    if before.raw() == after.raw() {
        return Vec::new();
    }
    // Not `Json::new`: a run whose only member is `data` has no id, so there is no envelope here.
    let old = Json::new(before.raw()).members();
    let new = Json::new(after.raw()).members();
    let mut found = Vec::new();
    state(before, after, &old, &new, &mut found);
    tasks::compare(&old, &new, &mut found);
    answers::compare(&old, &new, &mut found);
    tags(before, after, &old, &new, &mut found);
    everything_else(&old, &new, &mut found);
    found
}

type Members<'a> = BTreeMap<String, Json<'a>>;

fn state(before: &Run, after: &Run, old: &Members<'_>, new: &Members<'_>, found: &mut Vec<Change>) {
    let differs = |key: &str| match (old.get(key), new.get(key)) {
        (Some(a), Some(b)) if a.is_empty() && b.is_empty() => false,
        (Some(a), Some(b)) => !same(*a, *b),
        (Some(only), None) | (None, Some(only)) => !only.is_empty(),
        (None, None) => false,
    };
    if differs("status") {
        let text = |run: &Run| run.status.get().map(ToString::to_string);
        found.push(Change::Status {
            from: text(before),
            to: text(after),
        });
    }
    let is_complete =
        |run: &Run| run.completed_at.get().is_some() || run.status.get().is_some_and(RunStatus::is_complete);
    match (is_complete(before), is_complete(after)) {
        (false, true) => found.push(Change::Completed {
            at: after.completed_at.get().map(ToString::to_string),
        }),
        (true, false) => found.push(Change::Reopened),
        _ if differs("completed_at") => found.push(date("completed_at", before, after)),
        _ => {}
    }
    match (before.archived_at.get(), after.archived_at.get()) {
        (None, Some(at)) => found.push(Change::Archived {
            at: Some(at.to_string()),
        }),
        (Some(_), None) => found.push(Change::Reactivated),
        _ if differs("archived_at") => found.push(date("archived_at", before, after)),
        _ => {}
    }
    let percent = |run: &Run| run.progress.get().and_then(Progress::percent);
    if percent(before) != percent(after) {
        found.push(Change::Progress {
            from: percent(before),
            to: percent(after),
        });
    }
    if differs("name") {
        let text = |run: &Run| run.name.as_str().map(str::to_owned);
        found.push(Change::Name {
            from: text(before),
            to: text(after),
        });
    }
    if differs("owner_id") {
        let text = |run: &Run| run.owner_id.get().map(ToString::to_string);
        found.push(Change::Owner {
            from: text(before),
            to: text(after),
        });
    }
    for field in DATES {
        if differs(field) {
            found.push(date(field, before, after));
        }
    }
}

fn date(field: &str, before: &Run, after: &Run) -> Change {
    let text = |run: &Run| {
        let time = match field {
            "created_at" => &run.created_at,
            "started_at" => &run.started_at,
            "due_date" => &run.due_date,
            "completed_at" => &run.completed_at,
            _ => &run.archived_at,
        };
        time.get().map(ToString::to_string)
    };
    Change::Date {
        field: field.to_owned(),
        from: text(before),
        to: text(after),
    }
}

fn tags(before: &Run, after: &Run, old: &Members<'_>, new: &Members<'_>, found: &mut Vec<Change>) {
    if !old.contains_key("tags") || !new.contains_key("tags") {
        return;
    }
    let by_id = |run: &Run| -> BTreeMap<String, Option<String>> {
        run.tags
            .iter()
            .filter_map(|tag| Some((tag.any_id()?.to_string(), tag.any_title().map(str::to_owned))))
            .collect()
    };
    let (old, new) = (by_id(before), by_id(after));
    let tag = |(id, title): (&String, &Option<String>)| TagRef {
        id: id.clone(),
        title: title.clone(),
    };
    found.extend(
        new.iter()
            .filter(|(id, _)| !old.contains_key(*id))
            .map(|entry| Change::TagAdded { tag: tag(entry) }),
    );
    found.extend(
        old.iter()
            .filter(|(id, _)| !new.contains_key(*id))
            .map(|entry| Change::TagRemoved { tag: tag(entry) }),
    );
}

fn everything_else(old: &Members<'_>, new: &Members<'_>, found: &mut Vec<Change>) {
    let mut differences = Vec::new();
    for key in fields::union(old, new) {
        let (a, b) = (old.get(key).copied(), new.get(key).copied());
        let one_sided_include = (a.is_none() || b.is_none()) && INCLUDES.contains(&key);
        if !one_sided_include && !TYPED.contains(&key) && !DATES.contains(&key) {
            fields::compare(&fields::below("", key), a, b, &mut differences);
        }
    }
    // What the typed changes cannot tell, because the form is one that nobody foresaw, is told here.
    for key in ["status", "progress", "name", "owner_id", "prerun"] {
        let (a, b) = (old.get(key).copied(), new.get(key).copied());
        if fields::is_odd(key, a) || fields::is_odd(key, b) {
            fields::compare(&fields::below("", key), a, b, &mut differences);
        }
    }
    found.extend(differences.into_iter().map(Change::Other));
}
