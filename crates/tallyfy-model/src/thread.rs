//! Comments.

use crate::lenient::List;
use crate::record::record;
use crate::{ApiTime, Json, TaskId, ThreadId, ThreadLabel, ThreadState};

record! {
    /// A comment on a task, or a problem that was reported with it (API reference, section c.8).
    pub struct Thread or bare id {
        /// The comment's id.
        id: ThreadId,
        /// What it says; may hold HTML.
        content: String,
        /// Who wrote it: a member's id, or whatever names a guest.
        author_id: Json,
        /// What kind of author that is.
        author_type: String,
        /// The task that it is about.
        task_id: TaskId,
        /// What it is.
        label: ThreadLabel,
        /// How it is shown.
        state: ThreadState,
        /// When it was written.
        created_at: ApiTime,
        /// When it was last changed.
        updated_at: ApiTime,
    }
    /// What few comments have.
    rarely ThreadDetails {
        /// When it was archived.
        archived_at: ApiTime,
        /// The comment that resolved it, if it is a problem that was resolved.
        resolve_id: ThreadId,
        /// Whom it was sent to.
        sent_to: List<Json>,
    }
}

impl Thread {
    /// Whether it reports a problem that nobody has resolved yet.
    pub fn is_open_problem(&self) -> bool {
        self.label.get() == Some(&ThreadLabel::Problem) && self.resolve_id.get().is_none()
    }
}
