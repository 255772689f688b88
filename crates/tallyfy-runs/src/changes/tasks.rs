//! Differences between the tasks of two views of a run.

use super::answers::{self, Answered};
use super::change::{Change, FieldChange, TaskRef};
use super::fields::{self, is_odd};
use super::json::{Json, Members, Shape, is_complete};
use super::list::{Element, Pair};

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

/// Those of them that say something when they are cleared.
const MAY_BE_CLEARED: [&str; 2] = ["summary", "threads_count"];

/// What a task repeats of the step that it was made from. An edit of the template is no change of the task.
const OF_THE_TEMPLATE: [&str; 3] = ["step", "blueprint_position", "alias"];

/// Members that follow from a completion, or tell more of it.
const OF_A_COMPLETION: [&str; 8] = [
    "status",
    "completed_at",
    "completer",
    "completer_id",
    "completer_guest",
    "completer_guest_id",
    "completion_progress",
    "is_completable",
];

/// Adds what is different in the tasks, and to the others what their template says of them.
pub(super) fn compare(
    tasks: &Pair<'_, '_>,
    answered: &Answered,
    found: &mut Vec<Change>,
    others: &mut Vec<FieldChange>,
) {
    let (old, new) = (&tasks.old, &tasks.new);
    for (id, task) in &new.by_id {
        match old.by_id.get(id) {
            None => found.push(Change::TaskAdded {
                task: reference(id, &task.members),
            }),
            Some(before) if before.json.text() != task.json.text() => {
                compare_one(id, before, task, answered, found, others);
            }
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
    answered: &Answered,
    found: &mut Vec<Change>,
    others: &mut Vec<FieldChange>,
) {
    let (old, new) = (&before.members, &after.members);
    // One of them may be nothing but the id.
    if old.is_empty() || new.is_empty() {
        return;
    }
    let task = reference(id, new);
    let turned = turned(&task, old, new);
    let has_turned = turned.is_some();
    found.extend(turned);
    let mut differences = Vec::new();
    for key in fields::union(old, new) {
        let (a, b) = (old.get(key).copied(), new.get(key).copied());
        let follows = has_turned && OF_A_COMPLETION.contains(&key);
        let is_untold = |json: Option<Json<'_>>| json.is_none_or(Json::is_untold) && !MAY_BE_CLEARED.contains(&key);
        match (key, a, b) {
            _ if follows || TOLD_OTHERWISE.contains(&key) => {}
            ("taskdata", _, _) if !is_odd(key, a) && !is_odd(key, b) => {}
            // Not asked for in one of them, or not told.
            (include, None, _) | (include, _, None) if INCLUDES.contains(&include) => {}
            (include, a, b) if INCLUDES.contains(&include) && (is_untold(a) || is_untold(b)) => {}
            ("form_fields", Some(a), Some(b)) => {
                let is_answered = |field: &str, _: Option<&str>| answered.has(Some(id), field);
                answers::compare_form_fields(key, a, b, is_answered, &mut differences);
            }
            _ if OF_THE_TEMPLATE.contains(&key) => {
                fields::compare(&format!("/tasks/{}", after.position), key, a, b, others);
            }
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

/// The completion or the reopening of a task, if it is one.
fn turned(task: &TaskRef, old: &Members<'_>, new: &Members<'_>) -> Option<Change> {
    match (is_done(old), is_done(new)) {
        (false, true) => {
            let at = new.get("completed_at").filter(|at| at.is_a_time());
            let by = ["completer_id", "completer_guest_id", "completer_guest"];
            Some(Change::TaskCompleted {
                task: task.clone(),
                at: at.and_then(|at| at.as_id()),
                by: by
                    .into_iter()
                    .filter_map(|key| new.get(key))
                    .find(|id| !id.is_no_value())
                    .and_then(|id| id.as_id()),
            })
        }
        (true, false) => Some(Change::TaskReopened { task: task.clone() }),
        _ => None,
    }
}

fn is_done(task: &Members<'_>) -> bool {
    let word = |json: &Json<'_>| matches!(json.shape(), Shape::Text(text) if is_complete(&text));
    task.get("completed_at").is_some_and(|at| at.is_a_time()) || task.get("status").is_some_and(word)
}

fn reference(id: &str, task: &Members<'_>) -> TaskRef {
    let text = |key: &str| task.get(key).and_then(|json| json.as_id());
    TaskRef {
        id: id.to_owned(),
        title: text("title"),
        status: text("status"),
    }
}
