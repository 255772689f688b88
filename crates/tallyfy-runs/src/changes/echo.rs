//! Folds what merely repeats another change into that change.
//!
//! A difference is an echo only if another change of the same comparison tells it; where none does, it is told itself.

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use super::change::{Change, FieldChange};
use super::json::{Json, Members, people, same};

/// Figures that follow from how the tasks stand.
const COUNTS_OF_TASKS: [&str; 2] = ["late_tasks", "tasks_meta"];

/// Takes the echoes out. `has_tasks` says whether both views have the tasks.
pub(super) fn fold(
    old: &Members<'_>,
    new: &Members<'_>,
    has_tasks: bool,
    found: &mut Vec<Change>,
    others: &mut Vec<FieldChange>,
) {
    let told = Told::of(found, has_tasks);
    for change in found.iter_mut() {
        if let Change::TaskChanged { fields, .. } = change {
            fields.retain(|field| !told.repeats_the_run(field, old, new));
        }
    }
    found.retain(|change| !matches!(change, Change::TaskChanged { fields, .. } if fields.is_empty()));
    let told = Told::of(found, has_tasks);
    others.retain(|field| !told.repeats_a_change(field));
}

/// What the changes tell, as far as something may repeat it.
#[derive(Default)]
struct Told {
    progress: bool,
    completion: bool,
    archiving: bool,
    reactivation: bool,
    due_date: bool,
    issue: bool,
    /// Anything of a task, where both views have the tasks.
    tasks: bool,
    deadlines: bool,
    /// Tasks came or went.
    number_of_tasks: bool,
    /// Whoever did a task does not count as having done it any more.
    reopened_task: bool,
    /// Members who own the run or a task, or do not any more, or who completed a task.
    members: BTreeSet<String>,
}

impl Told {
    fn of(found: &[Change], has_tasks: bool) -> Self {
        let mut told = Self::default();
        for change in found {
            match change {
                Change::Progress { .. } => told.progress = true,
                Change::Completed { .. } | Change::Reopened => told.completion = true,
                Change::Archived { .. } => told.archiving = true,
                Change::Reactivated => told.reactivation = true,
                Change::Date { field, .. } => told.due_date |= field == "due_date",
                Change::Status { from, to } => {
                    let is_issue = |status: &Option<String>| status.as_deref() == Some("issue");
                    told.issue = is_issue(from) != is_issue(to);
                }
                Change::TaskAdded { .. } | Change::TaskRemoved { .. } => {
                    told.tasks = true;
                    told.number_of_tasks = true;
                }
                Change::TaskCompleted { by, .. } => {
                    told.tasks = true;
                    told.members.extend(by.clone());
                }
                Change::TaskReopened { .. } => {
                    told.tasks = true;
                    told.reopened_task = true;
                }
                Change::Owner { from, to } => told.members.extend(from.iter().chain(to).cloned()),
                Change::OwnerAdded { owner } | Change::OwnerRemoved { owner } => {
                    told.members.insert(owner.id.clone());
                }
                Change::TaskChanged { fields, .. } => {
                    told.tasks = true;
                    let of_owners = fields.iter().filter(|field| field.pointer.starts_with("/owners"));
                    told.members.extend(of_owners.flat_map(ids_in));
                    told.deadlines |= fields.iter().any(|field| field.pointer == "/deadline");
                }
                Change::Answer { task, .. } => told.tasks |= task.is_some(),
                _ => {}
            }
        }
        told.tasks &= has_tasks;
        told
    }

    /// Whether what is different in a task is what the run says too, or follows from what is told of the run.
    fn repeats_the_run(&self, field: &FieldChange, old: &Members<'_>, new: &Members<'_>) -> bool {
        let sides = [&field.from, &field.to];
        let [from, to] = sides.map(|side| side.as_deref().map(|json| Json::new(json.get())));
        // A copy may come a little before or after what it is a copy of.
        let is_copy_of = |member: &str| {
            let is_copy = |copy: Option<Json<'_>>, run: &Members<'_>| {
                run.get(member).is_some_and(|json| same(member, copy, Some(*json)))
            };
            is_copy(to, new) || is_copy(from, old)
        };
        let is_time = to.is_some_and(Json::is_a_time);
        match field.pointer.as_str() {
            "/run_status" => is_copy_of("status"),
            "/archived_at" => (self.archiving && is_time) || (self.reactivation && !is_time),
            "/is_completable" => self.completion || self.archiving || self.reactivation,
            pointer => pointer.strip_prefix("/run/").is_some_and(is_copy_of),
        }
    }

    /// Whether what is different in the run besides its typed members follows from a change that is told.
    fn repeats_a_change(&self, field: &FieldChange) -> bool {
        let member = field.pointer.split('/').nth(1).unwrap_or_default();
        match member {
            "whole_progress" => self.progress,
            "next_task" => self.tasks,
            "due_soon" | "due_date_passed" => self.due_date || self.completion,
            "max_task_deadline" => self.tasks && (self.deadlines || self.number_of_tasks),
            "has_open_issue" => self.issue,
            "collaborators" => self.number_of_tasks || self.repeats_members(field),
            _ => self.tasks && COUNTS_OF_TASKS.contains(&member),
        }
    }

    /// Whether whoever came to the collaborators, or left them, is told by another change.
    fn repeats_members(&self, field: &FieldChange) -> bool {
        let ids = |json: &Option<Box<RawValue>>| people_in("collaborators", json.as_deref());
        let (before, after) = (ids(&field.from), ids(&field.to));
        let is_told = |id: &String| self.members.contains(id);
        after.difference(&before).all(is_told) && before.difference(&after).all(|id| self.reopened_task || is_told(id))
    }
}

/// The ids of the people in a change of a task's owners.
fn ids_in(field: &FieldChange) -> BTreeSet<String> {
    let sides = [field.from.as_deref(), field.to.as_deref()].into_iter().flatten();
    sides
        .flat_map(|json| {
            let users = Json::new(json.get()).members().remove("users").map(Json::to_raw);
            people_in("users", users.as_deref().or(Some(json)))
        })
        .collect()
}

fn people_in(key: &str, json: Option<&RawValue>) -> BTreeSet<String> {
    json.and_then(|json| people(key, Json::new(json.get())))
        .unwrap_or_default()
        .into_keys()
        .collect()
}
