//! Tasks of a run.

use serde_json::Value;

use crate::lenient::{Item, List, Map};
use crate::record::record;
use crate::{ApiTime, ChecklistId, FieldId, FormField, Owners, RunId, StepId, TaskId, TaskStatus, UserId};

record! {
    /// A task, as an include of a run or fetched by itself (API reference, section c.1).
    pub struct Task or bare id {
        /// The task's id.
        id: TaskId,
        /// A number within the organization.
        increment_id: i64,
        /// What is to be done.
        title: String,
        /// The title that it was created with.
        original_title: String,
        /// Its run; a one-off task has none, or a hidden one.
        run_id: RunId,
        /// The template of its run.
        checklist_id: ChecklistId,
        /// The step that it was made from; none for a one-off task.
        step_id: StepId,
        /// The alias of its step.
        alias: String,
        /// How it stands.
        status: TaskStatus,
        /// The status for a person.
        status_label: String,
        /// Such as `task`, `approval` or `email` (API reference, section d.4).
        task_type: String,
        /// Whether it stands outside of the template.
        is_oneoff_task: bool,
        /// Whether it can be completed now.
        is_completable: bool,
        /// The verdict of an approval task, once there is one.
        is_approved: bool,
        /// Who is to do it.
        owners: Item<Owners>,
        /// The answers, by form field.
        taskdata: Map<FieldId, Value>,
        /// Its place among the tasks of the run.
        position: i64,
        /// When it became active.
        started_at: ApiTime,
        /// When it is to be done.
        deadline: ApiTime,
        /// When it was created.
        created_at: ApiTime,
        /// When it last changed.
        last_updated: ApiTime,
        /// When it was done; the reliable sign that it is.
        completed_at: ApiTime,
        /// When it was archived, with its run or alone.
        archived_at: ApiTime,
        /// Who started it.
        starter_id: UserId,
        /// Who did it, if a member.
        completer_id: UserId,
        /// Who did it, if a guest.
        completer_guest: String,
        /// Whether it has an open problem.
        problem: bool,
        /// What to do, possibly as HTML; lists leave it out.
        summary: String,
        /// Its form fields with their answers, if they were asked for.
        form_fields: List<FormField>,
    }
}

impl Task {
    /// Whether it is done: by its status in either spelling, or because it has a time of completion.
    pub fn is_complete(&self) -> bool {
        self.completed_at.get().is_some() || self.status.get().is_some_and(TaskStatus::is_complete)
    }
}
