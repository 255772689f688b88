//! Tasks of a run.

use serde_json::Value;

use crate::lenient::{Item, List, Map};
use crate::record::record;
use crate::{
    ApiTime, ChecklistId, FieldId, FormField, Owners, RunId, RunStatus, StepId, Tag, TaskId, TaskStatus, UserId,
};

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
        /// The step that it is linked to.
        linked_step_id: StepId,
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
        /// The status of its run.
        run_status: RunStatus,
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
        /// The place of its step in the template.
        blueprint_position: i64,
        /// The stage that it belongs to.
        stage_id: String,
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
        /// The same in another spelling.
        completer_guest_id: String,
        /// How far it is, where it takes several to complete it.
        completion_progress: f64,
        /// Whether each of its assignees has to complete it.
        everyone_must_complete: bool,
        /// Whether only its assignees can complete it.
        can_complete_only_assignees: bool,
        /// Whether guests can be assigned.
        allow_guest_owners: bool,
        /// Whether guests cannot comment.
        prevent_guest_comment: bool,
        /// How many can be assigned.
        max_assignable: i64,
        /// Whether its start date is a soft one.
        is_soft_start_date: bool,
        /// Whether deadlines of other tasks depend on it.
        has_deadline_dependent_child_tasks: bool,
        /// A flag whose meaning is undocumented.
        top_secret: bool,
        /// A flag whose meaning is undocumented.
        send_chromeless: bool,
        /// Where its own webhook goes. Holds whatever secret that URL has.
        webhook: String,
        /// Whether it has an open problem.
        problem: bool,
        /// What to do, possibly as HTML; lists leave it out.
        summary: String,
        /// The summary that it was created with.
        original_summary: String,
        /// How many comments it has, if asked for by `with=threads_count`.
        threads_count: i64,
        /// Values of the organization's own fields.
        custom_fields: Map<String, Value>,
        /// Its step, if it was asked for.
        step: Item<Value>,
        /// Its run, if it was asked for.
        run: Item<Value>,
        /// Its comments, if they were asked for.
        threads: List<Value>,
        /// Its tags, if they were asked for.
        tags: List<Tag>,
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
