//! Tasks of a run and the comments on them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::{Assignees, Capture};

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskStatus {
    /// Nobody has begun.
    NotStarted,
    /// Open.
    Active,
    /// Open and partly answered.
    InProgress,
    /// Done.
    Completed,
    /// Hidden by a rule. It stays in task lists and is never a next task.
    AutoSkipped,
}

impl TaskStatus {
    /// Whether there is nothing left to do.
    #[must_use]
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Completed | Self::AutoSkipped)
    }
}

/// Who did something: a member or a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A member by id.
    User(i64),
    /// A guest by address.
    Guest(String),
}

/// A comment, possibly an issue.
#[derive(Debug, Clone)]
pub struct Thread {
    /// Numeric id.
    pub id: u64,
    /// Text.
    pub content: String,
    /// `comment`, `problem`, `resolve`, `improvement` or `advice`.
    pub label: String,
    /// Who wrote it.
    pub author: i64,
    /// When.
    pub created_at: Timestamp,
    /// The comment that resolved this issue.
    pub resolve_id: Option<u64>,
}

impl Thread {
    /// Whether this is an issue nobody has resolved.
    #[must_use]
    pub fn is_open_issue(&self) -> bool {
        self.label == "problem" && self.resolve_id.is_none()
    }
}

/// A task.
#[derive(Debug, Clone)]
pub struct Task {
    /// Id, 32 hexadecimal digits.
    pub id: String,
    /// Counter of the organization.
    pub increment_id: u64,
    /// The run it belongs to.
    pub run_id: String,
    /// The step it was made from; `None` for a one-off task.
    pub step_id: Option<String>,
    /// Title.
    pub title: String,
    /// Alias of the step.
    pub alias: Option<String>,
    /// Description, which lists leave out.
    pub summary: String,
    /// `task`, `approval`, …
    pub task_type: String,
    /// The verdict of an approval, once there is one.
    pub approved: Option<bool>,
    /// How far it is.
    pub status: TaskStatus,
    /// Counted from 1.
    pub position: usize,
    /// Who it is assigned to.
    pub owners: Assignees,
    /// Form fields of the step.
    pub captures: Arc<[Capture]>,
    /// Answers by timeline id.
    pub taskdata: BTreeMap<String, Value>,
    /// URL of its own webhook.
    pub webhook: Option<String>,
    /// Comments and issues.
    pub threads: Vec<Thread>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub last_updated: Timestamp,
    /// When it was begun.
    pub started_at: Timestamp,
    /// When it is due.
    pub deadline: Timestamp,
    /// When it was completed.
    pub completed_at: Option<Timestamp>,
    /// Who completed it.
    pub completer: Option<Actor>,
}

impl Task {
    /// Whether it was added to the run by hand.
    #[must_use]
    pub fn is_one_off(&self) -> bool {
        self.step_id.is_none()
    }

    /// Whether one of its issues is open.
    #[must_use]
    pub fn has_problem(&self) -> bool {
        self.threads.iter().any(Thread::is_open_issue)
    }
}
