//! What was sent, when, and what became of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// The three shapes of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhookKind {
    /// Tells of the launch or the completion of a run.
    Process,
    /// Tells of the completion of a task.
    Task,
    /// Tells of an event of the organization.
    Organization,
}

impl WebhookKind {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Process, Self::Task, Self::Organization];

    /// `process`, `task` or `organization`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Task => "task",
            Self::Organization => "organization",
        }
    }
}

impl std::str::FromStr for WebhookKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| format!("there is no webhook of kind {text:?}; there are process, task, organization"))
    }
}

/// What became of a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is not answered yet.
    Pending,
    /// It was never sent.
    Lost,
    /// It was answered.
    Answered {
        /// The status.
        status: u16,
    },
    /// It was sent, or could not be, and no answer came.
    Failed {
        /// Why.
        error: String,
    },
}

/// One webhook that was sent, or should have been.
#[derive(Debug, Clone, Serialize)]
pub struct Notification {
    /// Counted from 1, in the order in which things happened.
    pub id: u64,
    /// Its shape.
    pub kind: WebhookKind,
    /// `process.launched`, `task.completed`, …; only organization events say so themselves.
    pub event: &'static str,
    /// The organization, also in `X-Tallyfy-orgID`.
    pub org: String,
    /// The run it is about, whether the body names it or not.
    pub run: String,
    /// The task it is about.
    pub task: Option<String>,
    /// Where it goes.
    pub url: String,
    /// When it happened.
    pub at: Timestamp,
    /// The body, as sent.
    #[serde(serialize_with = "as_text")]
    pub body: Arc<str>,
    /// The notification that this one repeats.
    pub duplicate_of: Option<u64>,
    /// Whether it left.
    pub sent: bool,
    /// What became of it.
    pub outcome: Outcome,
    /// When that was.
    pub ended_at: Option<Timestamp>,
}

impl Notification {
    /// Whether the receiver took it.
    #[must_use]
    pub fn is_acknowledged(&self) -> bool {
        matches!(self.outcome, Outcome::Answered { status: 200..=299 })
    }
}

fn as_text<S: serde::Serializer>(text: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}

/// Everything that was sent. Clones see the same ledger.
#[derive(Debug, Clone)]
pub struct Ledger {
    notifications: Arc<Mutex<Vec<Notification>>>,
    changes: watch::Sender<u64>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            notifications: Arc::default(),
            changes: watch::Sender::new(0),
        }
    }
}

impl Ledger {
    /// Every notification, in the order in which things happened.
    #[must_use]
    pub fn notifications(&self) -> Vec<Notification> {
        self.all().clone()
    }

    /// Those that were answered with 2xx.
    #[must_use]
    pub fn acknowledged(&self) -> Vec<Notification> {
        self.all().iter().filter(|n| n.is_acknowledged()).cloned().collect()
    }

    /// Those that are about this run.
    #[must_use]
    pub fn of_run(&self, run: &str) -> Vec<Notification> {
        self.all().iter().filter(|n| n.run == run).cloned().collect()
    }

    /// The notification with this id.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<Notification> {
        let all = self.all();
        let index = all.binary_search_by_key(&id, |n| n.id).ok()?;
        all.get(index).cloned()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    /// How many are not answered yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.all().iter().filter(|n| n.outcome == Outcome::Pending).count()
    }

    /// Waits until so many were answered with 2xx.
    pub async fn wait_for_acknowledged(&self, count: usize) {
        let enough = |_: &u64| self.all().iter().filter(|n| n.is_acknowledged()).count() >= count;
        let _ = self.changes.subscribe().wait_for(enough).await;
    }

    pub(crate) fn record(&self, notification: Notification) -> u64 {
        let id = {
            let mut all = self.all();
            let id = all.last().map_or(1, |last| last.id + 1);
            all.push(Notification { id, ..notification });
            id
        };
        self.changes.send_modify(|changes| *changes += 1);
        id
    }

    pub(crate) fn update(&self, id: u64, change: impl FnOnce(&mut Notification)) {
        {
            let mut all = self.all();
            if let Ok(index) = all.binary_search_by_key(&id, |n| n.id)
                && let Some(notification) = all.get_mut(index)
            {
                change(notification);
            }
        }
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn all(&self) -> MutexGuard<'_, Vec<Notification>> {
        self.notifications.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
