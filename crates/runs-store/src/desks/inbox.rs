//! The inbox: what was received.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use tallyfy_model::{Announced, OrgId, RunId, TaskId};
use uuid::Uuid;

use crate::error::StoreError;
use crate::intake_log::{LogId, Position};
use crate::time::SchedulingTime;

/// Where notifications come in.
#[async_trait]
pub trait InboxDesk: Send + Sync {
    /// Stores a notification and makes its subject due, or notes a duplicate.
    ///
    /// A notification whose dedupe key is known for its organization is a duplicate. It is not stored again; if a
    /// fetch that covers its twin has already started, the subject becomes due once more, because the duplicate may
    /// announce something that this fetch did not see. A fetch that was postponed covers nothing.
    ///
    /// A notification whose id is known is the same one, appended again after an error that left open whether it was
    /// stored. It changes nothing and is reported as its own duplicate.
    ///
    /// A notification without a subject is kept for a person to look at.
    async fn append(&self, notification: NewNotification, now: SchedulingTime) -> Result<Appended, StoreError>;

    /// Brings notifications from an intake log into the inbox, in their order, and notes how far that log was imported, all in
    /// one transaction: a crash imports nothing twice. `through` is the position of the last record that was read, past
    /// records that could not be.
    ///
    /// Each notification is stored or found to be a duplicate as by [`append`](Self::append). A batch that begins before the
    /// noted position was imported by somebody else meanwhile: [`StoreError::LeaseLost`], and nothing changes.
    async fn import(
        &self,
        log: LogId,
        after: Position,
        batch: Vec<NewNotification>,
        through: Position,
        now: SchedulingTime,
    ) -> Result<Vec<Appended>, StoreError>;

    /// How far an intake log was imported. What is told here survives a power cut, so the log may let go of it.
    async fn imported(&self, log: LogId) -> Result<Position, StoreError>;
}

/// What a notification asks to look at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A run.
    Run(RunId),
    /// A task whose run is not known yet: an organization event may name nothing else.
    Task(TaskId),
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(run) => write!(formatter, "run {run}"),
            Self::Task(task) => write!(formatter, "task {task}"),
        }
    }
}

/// One webhook body, about to be stored.
#[derive(Clone, Debug)]
pub struct NewNotification {
    /// Its id, made by the receiver (time-ordered, UUID version 7).
    pub id: Uuid,
    /// The organization that it was accepted for.
    pub org: OrgId,
    /// What it is about; `None` if the body could not be read.
    pub subject: Option<Subject>,
    /// What the receiver read off the body.
    pub head: NotificationHead,
    /// Equal for two notifications of the same thing that say the same; made of ids, times, and what the body says. `None` if
    /// the body has too little for one.
    pub dedupe_key: Option<String>,
    /// When it arrived, by the wall clock.
    pub received_at: Timestamp,
    /// The body as it came.
    pub body: Bytes,
}

impl NewNotification {
    /// The same as one with an unreadable body: for what the inbox does not take as it is.
    pub(crate) fn as_unreadable(&self) -> Self {
        Self {
            subject: None,
            dedupe_key: None,
            ..self.clone()
        }
    }
}

/// What the receiver read off a notification's body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotificationHead {
    /// Which of the documented bodies it is: `process`, `task`, `organization`; `unrecognized` otherwise.
    pub kind: String,
    /// The event's name, given by the body or inferred from it, such as `task.completed`. Of a body that cannot be read, what
    /// its headers say of the content.
    pub event: Option<String>,
    /// The run that the body names.
    pub run: Option<RunId>,
    /// The task that the body names.
    pub task: Option<TaskId>,
    /// What the fetched run must not be older than.
    pub announced: Announced,
}

/// What became of an appended notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is stored, and its subject is due.
    Stored,
    /// It is stored for a person to look at.
    Unrecognized,
    /// Its twin was stored before.
    Duplicate {
        /// The twin's id.
        of: Uuid,
        /// Whether the subject became due once more, because a fetch that covers the twin had started already.
        due_again: bool,
    },
}
