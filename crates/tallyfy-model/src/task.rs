//! Tasks of a run.

use jiff::Timestamp;

use crate::lenient::{Item, Json, List, Map};
use crate::record::record;
use crate::run::RunFields;
use crate::{
    ApiTime, Asset, ChecklistId, FieldId, Folder, FormField, KickoffFields, Owners, RunId, RunStatus, Step, StepId,
    Tag, TaskId, TaskStatus, TaskType, Thread, UserId,
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
        /// What is to be done in it.
        task_type: TaskType,
        /// Whether it stands outside of the template.
        is_oneoff_task: bool,
        /// Whether it can be completed now.
        is_completable: bool,
        /// The verdict of an approval task, once there is one.
        is_approved: bool,
        /// Who is to do it.
        owners: Item<Owners>,
        /// The answers, by form field.
        taskdata: Map<FieldId, Json>,
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
        /// Whether each of its assignees has to complete it.
        everyone_must_complete: bool,
        /// Whether only its assignees can complete it.
        can_complete_only_assignees: bool,
        /// Whether it has an open problem.
        problem: bool,
        /// How many can be assigned.
        max_assignable: i64,
        /// Where its own webhook goes. Holds whatever secret that URL has.
        webhook: String,
        /// A flag whose meaning is undocumented.
        top_secret: bool,
        /// Its form fields with their answers, if they were asked for.
        form_fields: List<FormField>,
    }
    /// What only some places tell of a task.
    rarely TaskDetails {
        /// What to do, possibly as HTML; lists leave it out.
        summary: String,
        /// The summary that it was created with.
        original_summary: String,
        /// The title that it was created with.
        original_title: String,
        /// The step that it is linked to.
        linked_step_id: StepId,
        /// The status of its run.
        run_status: RunStatus,
        /// The place of its step in the template.
        blueprint_position: i64,
        /// The stage that it belongs to.
        stage_id: String,
        /// Who did it, if a guest.
        completer_guest: String,
        /// The same in another spelling.
        completer_guest_id: String,
        /// How far it is, where it takes several to complete it.
        completion_progress: f64,
        /// Whether guests can be assigned.
        allow_guest_owners: bool,
        /// Whether guests cannot comment.
        prevent_guest_comment: bool,
        /// Whether its start date is a soft one.
        is_soft_start_date: bool,
        /// Whether deadlines of other tasks depend on it.
        has_deadline_dependent_child_tasks: bool,
        /// A flag whose meaning is undocumented.
        send_chromeless: bool,
        /// Tasks that rules changed when it was completed; only in the answer to that.
        tasks_changed_by_rules: Json,
        /// Values of the organization's own fields.
        custom_fields: Map<String, Json>,
    }
    /// The other includes of a task.
    rarely TaskIncludes {
        /// Its step, if asked for by `with=step`.
        step: Item<Step>,
        /// Its run, if asked for by `with=run`.
        run: Item<RunFields>,
        /// Its comments, if asked for by `with=threads`.
        threads: List<Thread>,
        /// How many comments it has, if asked for by `with=threads_count`.
        threads_count: i64,
        /// Its comments under another name, if asked for by `with=comments`.
        comments: List<Thread>,
        /// The problems that were reported with it, if asked for by `with=issues`.
        issues: List<Thread>,
        /// Its tags, if asked for by `with=tags`.
        tags: List<Tag>,
        /// Its files, if asked for by `with=assets`.
        assets: List<Asset>,
        /// The folders that it is in, if asked for by `with=folders`.
        folders: List<Folder>,
        /// The kick-off form, if asked for by `with=ko-form-fields`; in hyphens here.
        ko_form_fields = "ko-form-fields": KickoffFields,
        /// What happened to it, if asked for by `with=activities`; undocumented.
        activities: Json,
        /// The roles it is for, if asked for by `with=roles`; undocumented.
        roles: Json,
        /// Members who watch it, if asked for by `with=member_watchers`; undocumented.
        member_watchers: Json,
        /// Guests who watch it, if asked for by `with=guest_watchers`; undocumented.
        guest_watchers: Json,
    }
}

impl Task {
    /// Whether it is done: by its status in either spelling, or because it has a time of completion.
    pub fn is_complete(&self) -> bool {
        self.completed_at.as_time().is_some() || self.status.get().is_some_and(TaskStatus::is_complete)
    }

    /// Whether it is still to be done: neither done, nor hidden by a rule, nor archived.
    pub fn is_open(&self) -> bool {
        let is_hidden = self.status.get().is_some_and(TaskStatus::is_hidden);
        !self.is_complete() && !is_hidden && self.archived_at.as_time().is_none()
    }

    /// Whether it was to be done before this time, and is not. A deadline that names no certain time is none.
    pub fn is_overdue_at(&self, now: Timestamp) -> bool {
        self.is_open() && self.deadline.timestamp().is_some_and(|deadline| deadline < now)
    }
}
