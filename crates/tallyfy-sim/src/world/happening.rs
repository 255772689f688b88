//! Notes of what happened, for those who are told by webhook.

use super::Actor;

/// Something that Tallyfy would tell a webhook about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// A run was launched.
    RunLaunched {
        /// The run.
        run: String,
    },
    /// A task was completed, possibly not for the first time.
    TaskCompleted {
        /// Its run.
        run: String,
        /// The task.
        task: String,
        /// Who completed it.
        by: Actor,
    },
    /// The last open task of a run was completed.
    RunCompleted {
        /// The run.
        run: String,
    },
    /// A task got other owners.
    TaskAssigned {
        /// Its run.
        run: String,
        /// The task.
        task: String,
    },
    /// Somebody commented on a task.
    CommentAdded {
        /// Its run.
        run: String,
        /// The task.
        task: String,
    },
    /// Somebody reported an issue with a task.
    IssueRaised {
        /// Its run.
        run: String,
        /// The task.
        task: String,
    },
    /// An issue of a task was resolved.
    IssueResolved {
        /// Its run.
        run: String,
        /// The task.
        task: String,
    },
}

impl Happening {
    /// The name that organization watchers know it by.
    #[must_use]
    pub fn event(&self) -> &'static str {
        match self {
            Self::RunLaunched { .. } => "process.launched",
            Self::RunCompleted { .. } => "process.completed",
            Self::TaskCompleted { .. } => "task.completed",
            Self::TaskAssigned { .. } => "task.assigned",
            Self::CommentAdded { .. } => "task.comment_added",
            Self::IssueRaised { .. } => "task.issue_raised",
            Self::IssueResolved { .. } => "task.issue_resolved",
        }
    }

    /// The run it happened to.
    #[must_use]
    pub fn run(&self) -> &str {
        match self {
            Self::RunLaunched { run }
            | Self::RunCompleted { run }
            | Self::TaskCompleted { run, .. }
            | Self::TaskAssigned { run, .. }
            | Self::CommentAdded { run, .. }
            | Self::IssueRaised { run, .. }
            | Self::IssueResolved { run, .. } => run,
        }
    }

    /// The task it happened to.
    #[must_use]
    pub fn task(&self) -> Option<&str> {
        match self {
            Self::RunLaunched { .. } | Self::RunCompleted { .. } => None,
            Self::TaskCompleted { task, .. }
            | Self::TaskAssigned { task, .. }
            | Self::CommentAdded { task, .. }
            | Self::IssueRaised { task, .. }
            | Self::IssueResolved { task, .. } => Some(task),
        }
    }
}
