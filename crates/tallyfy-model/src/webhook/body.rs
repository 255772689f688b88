//! The members of webhook bodies that are looked at, whichever shape they belong to.

use crate::lenient::{Field, Item, Json};
use crate::record::record;
use crate::{ApiTime, OrgId, RunId, TaskId, ThreadId};

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
        checklist_id: Json,
        /// Process payloads: likewise.
        checklist_title: Json,
        /// Process payloads: likewise.
        name: Json,
        /// Process payloads: likewise.
        progress: Json,
        /// Process payloads: likewise.
        prerun: Json,
        /// Process payloads: likewise.
        process_tasks = "process-tasks": Json,
        /// Process payloads: likewise.
        launcher: Json,
        /// Process payloads: likewise.
        status: Json,
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

record! {
    /// The run in a task payload or an organization event.
    pub(super) struct RunPart or bare id {
        /// Its id.
        id: RunId,
        /// Its organization.
        organization_id: OrgId,
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
        self.id.get().is_some()
            && [
                &self.checklist_id,
                &self.checklist_title,
                &self.name,
                &self.progress,
                &self.prerun,
                &self.process_tasks,
                &self.launcher,
                &self.status,
            ]
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

    pub(super) fn as_task(&self) -> TaskPart {
        TaskPart {
            id: self.id.clone().map(|id| TaskId::from(id.as_str())),
            run_id: self.run_id.clone(),
            completed_at: self.completed_at.clone(),
            ..TaskPart::default()
        }
    }

    pub(super) fn as_run(&self) -> RunPart {
        RunPart {
            id: self.id.clone(),
            organization_id: self.organization_id.clone(),
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
