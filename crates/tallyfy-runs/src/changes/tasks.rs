//! Differences between the tasks of two views of a run.

use std::collections::BTreeSet;

use super::answers;
use super::change::{Change, TaskRef};
use super::fields::{self, is_odd};
use super::json::{Json, Members, Shape, is_complete};
use super::list::{Element, Keyed};

/// Members of a task that are not reported as changed fields: they are reported otherwise, or follow from what is.
const TOLD_OTHERWISE: [&str; 3] = ["id", "last_updated", "status_label"];

/// Members that are there only when they were asked for (API reference, section c.1). A description is left out of lists.
const INCLUDES: [&str; 16] = [
    "activities",
    "assets",
    "comments",
    "folders",
    "form_fields",
    "guest_watchers",
    "issues",
    "ko-form-fields",
    "member_watchers",
    "roles",
    "run",
    "step",
    "summary",
    "tags",
    "threads",
    "threads_count",
];

/// Adds what is different in the tasks.
pub(super) fn compare(old: &Keyed<'_>, new: &Keyed<'_>, answered: &BTreeSet<String>, found: &mut Vec<Change>) {
    for (id, task) in &new.by_id {
        match old.by_id.get(id) {
            None => found.push(Change::TaskAdded {
                task: reference(id, &task.members),
            }),
            Some(before) if before.json.text() != task.json.text() => compare_one(id, before, task, answered, found),
            Some(_) => {}
        }
    }
    for (id, task) in &old.by_id {
        if !new.by_id.contains_key(id) {
            found.push(Change::TaskRemoved {
                task: reference(id, &task.members),
            });
        }
    }
}

fn compare_one(
    id: &str,
    before: &Element<'_>,
    after: &Element<'_>,
    answered: &BTreeSet<String>,
    found: &mut Vec<Change>,
) {
    let (old, new) = (&before.members, &after.members);
    // One of them may be nothing but the id.
    if old.is_empty() || new.is_empty() {
        return;
    }
    let task = reference(id, new);
    let turned = match (is_done(old), is_done(new)) {
        (false, true) => {
            let at = new.get("completed_at").and_then(|at| at.as_id());
            found.push(Change::TaskCompleted { task: task.clone(), at });
            true
        }
        (true, false) => {
            found.push(Change::TaskReopened { task: task.clone() });
            true
        }
        _ => false,
    };
    let mut differences = Vec::new();
    for key in fields::union(old, new) {
        let (a, b) = (old.get(key).copied(), new.get(key).copied());
        // The completion tells of the status that goes with it, and of its own time.
        let follows = turned && matches!(key, "status" | "completed_at");
        match (key, a, b) {
            _ if follows || TOLD_OTHERWISE.contains(&key) => {}
            ("taskdata", _, _) if !is_odd(key, a) && !is_odd(key, b) => {}
            ("form_fields", Some(a), Some(b)) => {
                answers::compare_form_fields(key, a, b, answered, &mut differences);
            }
            // Not asked for in one of them.
            (include, None, _) | (include, _, None) if INCLUDES.contains(&include) => {}
            _ => fields::compare("", key, a, b, &mut differences),
        }
    }
    if !differences.is_empty() {
        found.push(Change::TaskChanged {
            task,
            fields: differences,
        });
    }
}

fn is_done(task: &Members<'_>) -> bool {
    let word = |json: &Json<'_>| matches!(json.shape(), Shape::Text(text) if is_complete(&text));
    task.get("completed_at").is_some_and(|at| !at.is_no_value()) || task.get("status").is_some_and(word)
}

fn reference(id: &str, task: &Members<'_>) -> TaskRef {
    let text = |key: &str| task.get(key).and_then(|json| json.as_id());
    TaskRef {
        id: id.to_owned(),
        title: text("title"),
        status: text("status"),
    }
}
