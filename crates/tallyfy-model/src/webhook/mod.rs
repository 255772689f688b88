//! Webhook bodies: three shapes, none of which says what it is (API reference, sections g.2 to g.4).

mod body;
mod fingerprint;
mod payload;
mod read;
mod wrapping;

use std::fmt;

use crate::json_text;
use crate::lenient::Field;
use crate::{Announced, ApiTime, OrgId, RunId, TaskId};

pub use fingerprint::Fingerprint;
pub use payload::{
    Answered, OrganizationBody, Person, ProcessBody, ProcessFurther, TaskBody, ThisTask, ThisTaskDetails, WebhookBody,
};

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
    /// The task, if the body is about one. An event about something else, such as `member.invited`, names neither a run
    /// nor a task, and there is nothing to fetch for it.
    pub task: Option<TaskId>,
    /// What happened. Organization events say it; of the other shapes it is inferred: a task payload is
    /// `task.completed`, a process payload `process.completed` if it is complete by its time or its status, else
    /// `process.launched` unless it is archived (API reference, section g.6).
    pub event: Option<String>,
    /// When it happened, as far as the body says. That a task has a time of completion says nothing of when somebody
    /// commented on it, so of most organization events this is only known if they say it themselves.
    pub occurred_at: Option<ApiTime>,
    /// What a fetched run must not be older than.
    pub announced: Announced,
    /// Equal for two bodies about the same thing; made of ids and times. `None` where there is no time to tell two
    /// occurrences apart. Localized dates have no seconds: what happens twice within a minute has one key then. Even in
    /// one second two things can happen: a body whose key is known is a duplicate only if what it
    /// [`says`](Self::says) is known too.
    pub dedupe_key: Option<String>,
    /// What the body says, as a number.
    pub says: Fingerprint,
}

/// The shapes of webhook bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WebhookKind {
    /// A run, with keys of its own beside: a template's webhook, at launch and at completion.
    Process,
    /// A task with its run around it: a template's, a step's or a task's webhook, when the task is completed. Also a task
    /// alone, which is not documented.
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
    /// A body that came by a detour is read too: as UTF-16, in a list of one, as JSON in a string, in a form, or in the
    /// member `body`, `payload`, `message` or `detail` of what a relay sends. One such wrapping is opened.
    ///
    /// # Errors
    /// [`UnreadableWebhook`] if it is none of the three shapes. Keep such a body: it will not be sent again.
    pub fn parse(body: &[u8]) -> Result<Self, UnreadableWebhook> {
        let text = wrapping::text(body);
        Self::read(&text).or_else(|reason| {
            let opened = wrapping::opened(&text).map(|inside| Self::read(&inside));
            match (opened, reason) {
                (Some(Ok(webhook)), _) => Ok(webhook),
                // What is in the wrapping says more than the wrapping.
                (Some(Err(inside @ UnreadableWebhook::NamesNothing)), _) => Err(inside),
                (_, reason) => Err(reason),
            }
        })
    }

    fn read(json: &str) -> Result<Self, UnreadableWebhook> {
        let body: Field<Body> = json_text::from_str(json).map_err(UnreadableWebhook::Json)?;
        let body = body.into_value().ok_or(UnreadableWebhook::NotAnObject)?;
        let says = Fingerprint::of(json);
        Layer::open(body).read(says).ok_or(UnreadableWebhook::NamesNothing)
    }
}
