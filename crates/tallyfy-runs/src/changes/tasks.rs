//! Differences between the tasks of two views of a run.

use std::collections::BTreeMap;

use super::change::{Change, TaskRef};
use super::json::{Json, Shape};
use super::{Members, fields};

/// Members of a task that are not reported as changed fields: they are reported otherwise, or follow from what is.
const TOLD_OTHERWISE: [&str; 6] = [
    "id",
    "last_updated",
    "completed_at",
    "taskdata",
    "form_fields",
    "status_label",
];

pub(super) fn compare(old: &Members<'_>, new: &Members<'_>, found: &mut Vec<Change>) {
    // Not asked for in one of them: nothing can be said.
    let (Some(old), Some(new)) = (old.get("tasks"), new.get("tasks")) else {
        return;
    };
    if old.text() == new.text() {
        return;
    }
    let (old, new) = (by_id(*old), by_id(*new));
    for (id, task) in &new {
        match old.get(id) {
            None => found.push(Change::TaskAdded {
                task: reference(id, &task.members()),
            }),
            Some(before) if before.text() != task.text() => compare_one(id, *before, *task, found),
            Some(_) => {}
        }
    }
    for (id, task) in &old {
        if !new.contains_key(id) {
            found.push(Change::TaskRemoved {
                task: reference(id, &task.members()),
            });
        }
    }
}

/// The tasks by id.
pub(super) fn by_id(tasks: Json<'_>) -> BTreeMap<String, Json<'_>> {
    tasks
        .elements()
        .into_iter()
        .filter_map(|task| Some((task.member("id")?.as_id()?, task)))
        .collect()
}

fn compare_one(id: &str, before: Json<'_>, after: Json<'_>, found: &mut Vec<Change>) {
    let (old, new) = (before.members(), after.members());
    let task = reference(id, &new);
    let turned = match (is_complete(&old), is_complete(&new)) {
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
    for key in fields::union(&old, &new) {
        // The completion tells of the status that goes with it, and of its own time.
        let follows = turned && matches!(key, "status" | "completed_at");
        if follows || TOLD_OTHERWISE.contains(&key) {
            continue;
        }
        fields::compare(
            &fields::below("", key),
            old.get(key).copied(),
            new.get(key).copied(),
            &mut differences,
        );
    }
    if !differences.is_empty() {
        found.push(Change::TaskChanged {
            task,
            fields: differences,
        });
    }
}

fn is_complete(task: &Members<'_>) -> bool {
    let word = |json: &Json<'_>| matches!(json.shape(), Shape::Text(text) if text == "complete" || text == "completed");
    task.get("completed_at").is_some_and(|at| !at.is_empty()) || task.get("status").is_some_and(word)
}

fn reference(id: &str, task: &Members<'_>) -> TaskRef {
    let text = |key: &str| task.get(key).and_then(|json| json.as_id());
    TaskRef {
        id: id.to_owned(),
        title: text("title"),
        status: text("status"),
    }
}
