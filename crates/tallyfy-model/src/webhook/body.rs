//! The members of webhook bodies that are looked at, whichever shape they belong to.

use serde::de::IgnoredAny;
use serde::{Deserialize as _, Deserializer};

use crate::lenient::{Field, Item, Json, Shape};
use crate::record::{Inspect, record};
use crate::{ApiTime, OrgId, RunId, RunStatus, TaskId, TaskStatus, ThreadId};

/// The longest text that is taken as a time or as the name of an event.
const MAX_WORD_LEN: usize = 64;

record! {
    /// Every member, of any of the shapes, that is looked at.
    pub(super) struct Body {
        /// Organization events: what happened.
        event: String,
        /// An envelope like that of API responses; undocumented for webhooks.
        data: Json,
        /// Organization events: the task.
        task: Item<TaskPart>,
        /// Organization events: the run.
        run: Item<RunPart>,
        /// Task payloads and organization events: the run.
        process: Item<RunPart>,
        /// Task payloads: the task.
        this_task: Item<TaskPart>,
        /// Organization events: the comment.
        comment: Item<OtherPart>,
        /// Organization events: the comment, in another spelling.
        thread: Item<OtherPart>,
        /// Organization events: the problem.
        issue: Item<OtherPart>,
        /// Organization events: the comment's id alone.
        comment_id: ThreadId,
        /// Organization events: the comment's id alone.
        thread_id: ThreadId,
        /// Organization events: the problem's id alone.
        issue_id: ThreadId,
        /// Organization events: the run's id alone.
        run_id: RunId,
        /// Organization events: the run's id alone.
        process_id: RunId,
        /// Organization events: the task's id alone.
        task_id: TaskId,
        /// Process payloads: the run's id.
        id: RunId,
        /// The organization.
        organization_id: OrgId,
        /// The organization, in another spelling.
        org_id: OrgId,
        /// Process payloads: the template; one of the signs that it is one.
        checklist_id: Sign,
        /// Process payloads: likewise.
        checklist_title: Sign,
        /// Process payloads: likewise.
        name: Sign,
        /// Process payloads: likewise.
        progress: Sign,
        /// Process payloads: likewise.
        prerun: Sign,
        /// Process payloads: likewise.
        process_tasks = "process-tasks": Sign,
        /// Process payloads: likewise.
        launcher: Sign,
        /// Process payloads: likewise. Tasks alone have one too.
        status: RunStatus,
        /// Tasks alone: the step; one of the signs that it is one.
        step_id: Sign,
        /// Tasks alone: likewise.
        task_type: Sign,
        /// Tasks alone: likewise.
        taskdata: Sign,
        /// Tasks alone: likewise.
        deadline: Sign,
        /// Tasks alone: likewise.
        everyone_must_complete: Sign,
        /// Tasks alone: likewise. A run has a name.
        title: Sign,
        /// Tasks alone: likewise.
        is_oneoff_task: Sign,
        /// When anything last changed.
        last_updated: ApiTime,
        /// When it was created.
        created_at: ApiTime,
        /// When it was launched.
        started_at: ApiTime,
        /// When it was completed.
        completed_at: ApiTime,
        /// When it was archived.
        archived_at: ApiTime,
        /// Organization events: when it happened.
        occurred_at: ApiTime,
        /// Organization events: when it happened.
        timestamp: ApiTime,
    }
}

/// A member of which only counts that it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sign;

impl Shape for Sign {
    fn from_any<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Field<Self>, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Field::Value(Self))
    }
}

impl Inspect for Sign {}

record! {
    /// The run in a task payload or an organization event.
    pub(super) struct RunPart or bare id {
        /// Its id.
        id: RunId,
        /// Its organization.
        organization_id: OrgId,
        /// How it stands.
        status: RunStatus,
        /// When anything of it last changed.
        last_updated: ApiTime,
        /// When it was completed.
        completed_at: ApiTime,
        /// When it was archived.
        archived_at: ApiTime,
        /// When it was created.
        created_at: ApiTime,
    }
}

record! {
    /// The task in a task payload or an organization event.
    pub(super) struct TaskPart or bare id {
        /// Its id.
        id: TaskId,
        /// Its run.
        run_id: RunId,
        /// Its run.
        run: Item<RunPart>,
        /// How it stands.
        status: TaskStatus,
        /// When it was completed.
        completed_at: ApiTime,
    }
}

record! {
    /// What else an organization event is about.
    pub(super) struct OtherPart or bare id {
        /// Its id.
        id: ThreadId,
    }
}

impl Body {
    pub(super) fn event_name(&self) -> Option<&str> {
        self.event.as_str().filter(|event| is_word(event))
    }

    /// An id alone does not make a run of an object.
    pub(super) fn looks_like_a_run(&self) -> bool {
        let has_sign = [&self.checklist_id, &self.checklist_title, &self.name]
            .into_iter()
            .any(|sign| *sign != Field::Absent);
        let may_be_one = has_sign || self.status != Field::Absent || self.has_what_only_runs_have();
        self.id.get().is_some() && may_be_one && !self.looks_like_a_task()
    }

    /// A task that stands alone has a template and a status too, as a run has.
    pub(super) fn looks_like_a_task(&self) -> bool {
        let has_sign = [
            &self.step_id,
            &self.task_type,
            &self.taskdata,
            &self.deadline,
            &self.everyone_must_complete,
            &self.title,
            &self.is_oneoff_task,
        ]
        .into_iter()
        .any(|sign| *sign != Field::Absent);
        self.id.get().is_some() && has_sign && !self.has_what_only_runs_have()
    }

    fn has_what_only_runs_have(&self) -> bool {
        [&self.progress, &self.prerun, &self.process_tasks, &self.launcher]
            .into_iter()
            .any(|sign| *sign != Field::Absent)
    }

    pub(super) fn bare_run_id(&self) -> Option<&RunId> {
        self.run_id.get().or_else(|| self.process_id.get())
    }

    /// The comment or the problem, of which a task may get two in one second.
    pub(super) fn other_id(&self) -> Option<&ThreadId> {
        let within = [&self.comment, &self.thread, &self.issue]
            .into_iter()
            .filter_map(Field::get);
        let alone = [&self.comment_id, &self.thread_id, &self.issue_id];
        within
            .filter_map(|part| part.id.get())
            .chain(alone.into_iter().filter_map(Field::get))
            .next()
    }

    /// The object itself as a task. An id that is named as that of a task goes before an `id` that may be the event's.
    pub(super) fn as_task(&self) -> TaskPart {
        let id = self.task_id.get().cloned();
        TaskPart {
            id: id.map_or_else(|| self.id.clone().map(|id| TaskId::from(id.as_str())), Field::Value),
            run_id: self.run_id.clone(),
            status: self.status.clone().map(|status| TaskStatus::from(status.as_str())),
            completed_at: self.completed_at.clone(),
            ..TaskPart::default()
        }
    }

    /// The object itself as a run. An id that is named as that of a run goes before an `id` that may be the event's.
    pub(super) fn as_run(&self) -> RunPart {
        let id = self.bare_run_id().cloned();
        RunPart {
            id: id.map_or_else(|| self.id.clone(), Field::Value),
            organization_id: self.organization_id.clone(),
            status: self.status.clone(),
            last_updated: self.last_updated.clone(),
            completed_at: self.completed_at.clone(),
            archived_at: self.archived_at.clone(),
            created_at: self.created_at.clone(),
        }
    }
}

/// Whether a text may be a time or a name, and be shown.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_WORD_LEN && !text.chars().any(char::is_control)
}
