//! Runs.

use serde_json::{Value, json};

use super::form::files_of;
use super::{Includes, Object, Render, object};
use crate::quirks::{NextTaskForm, ProgressForm, StatusForm};
use crate::world::{Actor, Run, RunStatus, Task, TaskStatus};

/// Includes that the documentation names and never shows.
const NEVER_SHOWN: [&str; 6] = [
    "permissions",
    "tasks_meta",
    "stages",
    "folders",
    "member_watchers",
    "guest_watchers",
];

impl Render<'_> {
    /// A run with the includes that were asked for, and with answers in its form fields if `values`.
    pub(crate) fn run(&self, run: &Run, with: &Includes, values: bool) -> Value {
        let mut json = self.run_fields(run);
        if with.has("checklist") {
            let template = self.org.templates.get(&run.template.id).unwrap_or(&run.template);
            json.insert(
                "checklist".into(),
                self.item(Some(self.template(template, &with.below("checklist")))),
            );
        }
        if with.has("tasks") {
            let below = with.below("tasks");
            let tasks = run
                .tasks
                .iter()
                .map(|task| self.task(run, task, &below, false))
                .collect();
            json.insert("tasks".into(), self.collection(tasks));
        }
        if with.has("tags") {
            json.insert("tags".into(), self.collection(self.tags_of(&run.tags)));
        }
        if with.has("assets") {
            json.insert("assets".into(), self.collection(self.assets(run)));
        }
        if with.has("next_task") {
            json.insert("next_task".into(), self.next_task(run));
        }
        if with.has("form_fields") {
            let fields = self.form_fields(run, values);
            json.insert("form_fields".into(), self.collection(fields));
        }
        if with.has("ko_form_fields") {
            let answers = self.kickoff_by_alias(run);
            json.insert("ko_form_fields".into(), self.item(Some(self.map(answers))));
        }
        for name in NEVER_SHOWN.into_iter().filter(|name| with.has(name)) {
            json.insert(name.into(), self.collection(Vec::new()));
        }
        Value::Object(json)
    }

    /// What a run says without being asked.
    pub(super) fn run_fields(&self, run: &Run) -> Object {
        let prerun: Object = run.prerun.clone().into_iter().collect();
        let custom_fields: Object = run.custom_fields.clone().into_iter().collect();
        let late_tasks = run.late_tasks(self.now);
        let open = run.completed_at.is_none();
        let due_in = run.due_date.map(|due| due.as_second() - self.now.as_second());
        let mut json = object(json!({
            "id": run.id,
            "increment_id": run.increment_id,
            "checklist_id": run.template.id,
            "checklist_title": run.template.title,
            "assign_someone_else": true,
            "name": run.name,
            "summary": run.summary,
            "status": self.run_status(run),
            "progress": self.progress(run, |task| task.status != TaskStatus::AutoSkipped),
            "whole_progress": self.progress(run, |_| true),
            "started_by": self.user_id(run.started_by),
            "owner_id": self.user_id(run.owner_id),
            "prerun": self.map(prerun),
            "prerun_status": "complete",
            "prerun_completed_at": self.date(run.created_at),
            "prerun_completed_by": self.user_id(run.started_by),
            "prerun_length": run.template.kickoff.len(),
            "starred": run.starred,
            "is_public": false,
            "created_at": self.date(run.created_at),
            "started_at": self.date(run.created_at),
            "last_updated": self.date(run.last_updated),
            "archived_at": self.date_or_null(run.archived_at),
            "completed_at": self.date_or_null(run.completed_at),
            "due_date": self.date_or_null(run.due_date),
            "due_date_passed": open && due_in.is_some_and(|seconds| seconds < 0),
            "due_soon": open && due_in.is_some_and(|seconds| (0..86_400).contains(&seconds)),
            "max_task_deadline": self.date_or_null(run.tasks.iter().map(|task| task.deadline).max()),
            "late_tasks": late_tasks,
            "collaborators": self.collaborators(run),
            "users": self.users_of(&run.users),
            "groups": self.groups_of(&run.groups),
            "type": run.template.kind,
            "parent_id": run.parent_id,
            "can_add_oot": true,
            "has_open_issue": run.has_open_issue,
            "custom_fields": self.map(custom_fields),
        }));
        self.add_extras(&mut json);
        json
    }

    pub(super) fn run_status(&self, run: &Run) -> &'static str {
        if self.quirks.statuses == StatusForm::Unknown {
            return "waiting-for-signature";
        }
        let otherwise = self.quirks.statuses == StatusForm::Otherwise;
        match run.status() {
            _ if otherwise && run.archived_at.is_some() => "archived",
            RunStatus::Active if otherwise => "in-progress",
            RunStatus::Active => "active",
            RunStatus::Complete if otherwise => "completed",
            RunStatus::Complete => "complete",
            RunStatus::Problem => "problem",
            RunStatus::Issue => "issue",
        }
    }

    pub(super) fn progress(&self, run: &Run, counts: impl Fn(&Task) -> bool) -> Value {
        let (mut complete, mut total) = (0_u32, 0_u32);
        for task in run.tasks.iter().filter(|task| counts(task)) {
            total += 1;
            complete += u32::from(task.status.is_settled());
        }
        let percent = f64::from(complete) * 100.0 / f64::from(total.max(1));
        match self.quirks.progress {
            ProgressForm::Object => {
                json!({"complete": complete, "total": total, "percent": (percent * 100.0).round() / 100.0})
            }
            ProgressForm::Number => json!(complete * 100 / total.max(1)),
            ProgressForm::Empty => json!({}),
        }
    }

    /// Members who are or were involved, as bare ids.
    fn collaborators(&self, run: &Run) -> Vec<Value> {
        let mut ids: Vec<i64> = run
            .tasks
            .iter()
            .flat_map(|task| task.owners.users.iter().copied())
            .collect();
        ids.extend(run.tasks.iter().filter_map(|task| match task.completer {
            Some(Actor::User(id)) => Some(id),
            _ => None,
        }));
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().map(|id| self.user_id(id)).collect()
    }

    /// The open task with the earliest deadline.
    fn next_task(&self, run: &Run) -> Value {
        let open = run.tasks.iter().filter(|task| !task.status.is_settled());
        let next = open.min_by_key(|task| (task.deadline, task.position)).map(|task| {
            json!({
                "id": task.id,
                "increment_id": task.increment_id,
                "title": task.title,
                "alias": task.alias,
                "owners": self.owners(&task.owners),
                "deadline": self.date(task.deadline),
            })
        });
        match self.quirks.next_task {
            NextTaskForm::Collection => self.collection(next.into_iter().collect()),
            NextTaskForm::Single => next.unwrap_or_default(),
        }
    }

    /// Fields of all tasks.
    pub(crate) fn form_fields(&self, run: &Run, values: bool) -> Vec<Value> {
        let fields = run
            .tasks
            .iter()
            .flat_map(|task| task.captures.iter().map(move |capture| (task, capture)));
        fields
            .map(|(task, capture)| {
                let answer = values.then(|| task.taskdata.get(&capture.id).cloned().unwrap_or_default());
                let mut field = object(self.form_field(capture, task.step_id.as_deref(), answer.as_ref()));
                field.insert("task_id".into(), json!(task.id));
                Value::Object(field)
            })
            .collect()
    }

    /// Kick-off answers by alias.
    pub(super) fn kickoff_by_alias(&self, run: &Run) -> Object {
        let answered = run
            .template
            .kickoff
            .iter()
            .filter_map(|c| Some((c.alias.clone(), run.prerun.get(&c.id)?)));
        answered.map(|(alias, value)| (alias, value.clone())).collect()
    }

    fn assets(&self, run: &Run) -> Vec<Value> {
        let mut files = files_of(&run.template.kickoff, |capture| run.prerun.get(&capture.id).cloned());
        for task in &run.tasks {
            files.extend(files_of(&task.captures, |capture| {
                task.taskdata.get(&capture.id).cloned()
            }));
        }
        files
    }
}
