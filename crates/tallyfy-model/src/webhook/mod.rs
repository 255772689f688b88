//! Webhook bodies: three shapes, none of which says what it is (API reference, sections g.2 to g.4).

mod body;
mod read;

use std::fmt;

use crate::json_text;
use crate::lenient::Field;
use crate::{Announced, ApiTime, OrgId, RunId, TaskId};

use body::Body;
use read::Layer;

/// What a webhook body says of itself: whom it is about, what happened, and when.
///
/// The body is unsigned and sent once. It is a hint that something happened; how the run stands, only the API can say.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Webhook {
    /// Which of the three shapes it has.
    pub kind: WebhookKind,
    /// The organization, if the body names it.
    pub org: Option<OrgId>,
    /// The run, if the body names it.
    pub run: Option<RunId>,
    /// The task, if the body is about one.
    pub task: Option<TaskId>,
    /// What happened. Organization events say it; of the other shapes it is inferred: a task payload is
    /// `task.completed`, a process payload `process.completed` if it has a time of completion, else
    /// `process.launched` unless it is archived (API reference, section g.6).
    pub event: Option<String>,
    /// When it happened, as far as the body says. That a task has a time of completion says nothing of when somebody
    /// commented on it, so of most organization events this is only known if they say it themselves.
    pub occurred_at: Option<ApiTime>,
    /// What a fetched run must not be older than.
    pub announced: Announced,
    /// Equal for two bodies about the same thing; made of ids and times. `None` where there is no time to tell two
    /// occurrences apart. Localized dates have no seconds: what happens twice within a minute has one key then.
    pub dedupe_key: Option<String>,
}

/// The shapes of webhook bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WebhookKind {
    /// A run, with keys of its own beside: a template's webhook, at launch and at completion.
    Process,
    /// A task with its run around it: a template's, a step's or a task's webhook, when the task is completed.
    Task,
    /// `{"event": …}`: the webhook of a whole organization.
    Organization,
}

impl WebhookKind {
    /// The shape in a word, as logs and events have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Task => "task",
            Self::Organization => "organization",
        }
    }
}

impl fmt::Display for WebhookKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Why a body is none of the documented webhooks.
#[derive(Debug)]
#[non_exhaustive]
pub enum UnreadableWebhook {
    /// It is not JSON.
    Json(serde_json::Error),
    /// It is JSON, but not an object.
    NotAnObject,
    /// It is an object that names neither a run nor a task.
    NamesNothing,
}

impl fmt::Display for UnreadableWebhook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Not the error's own text: it may quote the body.
            Self::Json(error) => {
                write!(formatter, "not JSON (line {}, column {})", error.line(), error.column())
            }
            Self::NotAnObject => formatter.write_str("not a JSON object"),
            Self::NamesNothing => formatter.write_str("names neither a run nor a task"),
        }
    }
}

impl std::error::Error for UnreadableWebhook {}

impl Webhook {
    /// Reads a body.
    ///
    /// ```
    /// use tallyfy_model::{Webhook, WebhookKind};
    ///
    /// let body = br#"{"this_task":{"id":"t1","completed_at":"2026-01-31T09:00:00Z"},"process":{"id":"r1"}}"#;
    /// let webhook = Webhook::parse(body)?;
    /// assert_eq!(webhook.kind, WebhookKind::Task);
    /// assert_eq!(webhook.run.unwrap().as_str(), "r1");
    /// assert_eq!(webhook.dedupe_key.unwrap(), "task.completed run r1 task t1 2026-01-31T09:00:00Z");
    /// # Ok::<(), tallyfy_model::UnreadableWebhook>(())
    /// ```
    ///
    /// # Errors
    /// [`UnreadableWebhook`] if it is none of the three shapes. Keep such a body: it will not be sent again.
    pub fn parse(body: &[u8]) -> Result<Self, UnreadableWebhook> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let body: Field<Body> = json_text::from_slice(body).map_err(UnreadableWebhook::Json)?;
        let body = body.into_value().ok_or(UnreadableWebhook::NotAnObject)?;
        Layer::open(body).read().ok_or(UnreadableWebhook::NamesNothing)
    }
}
