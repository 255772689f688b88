//! Tasks and comments.

use serde_json::{Value, json};

use super::form::files_of;
use super::{Includes, Object, Render, object};
use crate::quirks::StatusForm;
use crate::world::{Actor, Run, Task, TaskStatus, Thread};

/// Includes that the documentation names and never shows.
const NEVER_SHOWN: [&str; 7] = [
    "issues",
    "folders",
    "roles",
    "activities",
    "member_watchers",
    "guest_watchers",
    "comments",
];

impl Render<'_> {
    /// A task with the includes that were asked for. Lists leave the summary out unless it was asked for.
    pub(crate) fn task(&self, run: &Run, task: &Task, with: &Includes, alone: bool) -> Value {
        let mut json = self.task_fields(run, task);
        if alone || with.has("summary") {
            json.insert("summary".into(), json!(task.summary));
        }
        if with.has("step") {
            let step = run
                .template
                .steps
                .iter()
                .find(|step| Some(&step.id) == task.step_id.as_ref());
            json.insert(
                "step".into(),
                self.item(step.map(|step| self.step(step, &run.template.id))),
            );
        }
        if with.has("run") {
            json.insert("run".into(), self.item(Some(self.run(run, &with.below("run"), false))));
        }
        if with.has("form_fields") {
            let fields = task.captures.iter().map(|capture| {
                let answer = task.taskdata.get(&capture.id).cloned().unwrap_or_default();
                self.form_field(capture, task.step_id.as_deref(), Some(&answer))
            });
            json.insert("form_fields".into(), self.collection(fields.collect()));
        }
        if with.has("threads") {
            let threads = task
                .threads
                .iter()
                .map(|thread| self.thread(thread, &task.id))
                .collect();
            json.insert("threads".into(), self.collection(threads));
        }
        if with.has("threads_count") {
            json.insert("threads_count".into(), json!(task.threads.len()));
        }
        if with.has("assets") {
            let files = files_of(&task.captures, |capture| task.taskdata.get(&capture.id).cloned());
            json.insert("assets".into(), self.collection(files));
        }
        if with.has("tags") {
            json.insert("tags".into(), self.collection(self.tags_of(&run.tags)));
        }
        if with.has("ko-form-fields") {
            json.insert(
                "ko-form-fields".into(),
                self.item(Some(self.map(self.kickoff_by_alias(run)))),
            );
        }
        for name in NEVER_SHOWN.into_iter().filter(|name| with.has(name)) {
            json.insert(name.into(), self.collection(Vec::new()));
        }
        Value::Object(json)
    }

    fn task_fields(&self, run: &Run, task: &Task) -> Object {
        let taskdata: Object = task.taskdata.clone().into_iter().collect();
        let (completer, completer_guest) = match &task.completer {
            Some(Actor::User(id)) => (self.user_id(*id), Value::Null),
            Some(Actor::Guest(email)) => (Value::Null, json!(email)),
            None => (Value::Null, Value::Null),
        };
        let mut json = object(json!({
            "id": task.id,
            "increment_id": task.increment_id,
            "title": task.title,
            "original_title": task.title,
            "run_id": task.run_id,
            "checklist_id": task.step_id.as_ref().map(|_| &run.template.id),
            "step_id": task.step_id,
            "linked_step_id": null,
            "alias": task.alias,
            "status": self.task_status(task),
            "status_label": self.task_status(task),
            "task_type": task.task_type,
            "is_oneoff_task": task.is_one_off(),
            "is_completable": task.status != TaskStatus::AutoSkipped,
            "is_approved": task.approved,
            "owners": self.owners(&task.owners),
            "taskdata": self.map(taskdata),
            "position": task.position,
            "blueprint_position": task.step_id.as_ref().map(|_| task.position),
            "started_at": self.date(task.started_at),
            "deadline": self.date(task.deadline),
            "completed_at": self.date_or_null(task.completed_at),
            "archived_at": self.date_or_null(run.archived_at),
            "created_at": self.date(task.created_at),
            "last_updated": self.date(task.last_updated),
            "starter_id": self.user_id(run.started_by),
            "completer_id": completer,
            "completer_guest": completer_guest,
            "everyone_must_complete": false,
            "can_complete_only_assignees": false,
            "allow_guest_owners": true,
            "prevent_guest_comment": false,
            "is_soft_start_date": false,
            "has_deadline_dependent_child_tasks": false,
            "problem": task.has_problem(),
            "completion_progress": null,
            "max_assignable": 0,
            "webhook": task.webhook,
            "top_secret": false,
            "stage_id": null,
            "run_status": self.run_status(run),
        }));
        self.add_extras(&mut json);
        json
    }

    pub(super) fn task_status(&self, task: &Task) -> &'static str {
        match (task.status, self.quirks.statuses) {
            (_, StatusForm::Unknown) => "paused-by-policy",
            (TaskStatus::NotStarted, _) => "not-started",
            (TaskStatus::Active, StatusForm::Otherwise) | (TaskStatus::InProgress, StatusForm::Documented) => {
                "in-progress"
            }
            (TaskStatus::Active, _) => "active",
            (TaskStatus::InProgress, _) => "inprogress",
            (TaskStatus::Completed, StatusForm::Otherwise) => "complete",
            (TaskStatus::Completed, _) => "completed",
            (TaskStatus::AutoSkipped, _) => "auto-skipped",
        }
    }

    /// A comment or an issue.
    pub(crate) fn thread(&self, thread: &Thread, task: &str) -> Value {
        json!({
            "id": thread.id,
            "content": thread.content,
            "author_id": self.user_id(thread.author),
            "author_type": "member",
            "task_id": task,
            "label": thread.label,
            "state": "open",
            "created_at": self.date(thread.created_at),
            "updated_at": self.date(thread.created_at),
            "archived_at": null,
            "resolve_id": thread.resolve_id,
            "sent_to": [],
        })
    }
}
