//! Webhook bodies: three shapes, none of which says what it is (API reference, sections g.2 to g.4).

use std::fmt;

use crate::id::is_plausible;
use crate::lenient::{Field, Item};
use crate::record::record;
use crate::{Announced, ApiTime, OrgId, RunId, RunStatus, TaskId, TaskStatus};

/// The longest text that is taken as a time or as the name of an event.
const MAX_WORD_LEN: usize = 64;

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
    /// When it happened, as far as the body says.
    pub occurred_at: Option<ApiTime>,
    /// What a fetched run must not be older than.
    pub announced: Announced,
    /// Equal for two bodies about the same thing; made of ids and times. `None` where there is no time to tell two
    /// occurrences apart.
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
        let body: Field<Body> = serde_json::from_slice(body).map_err(UnreadableWebhook::Json)?;
        let body = body.into_value().ok_or(UnreadableWebhook::NotAnObject)?;
        body.read().ok_or(UnreadableWebhook::NamesNothing)
    }
}

record! {
    /// Every member, of any of the shapes, that is looked at.
    struct Body {
        /// Organization events: what happened.
        event: String,
        /// An envelope like that of API responses; undocumented for webhooks.
        data: Box<Body>,
        /// Organization events: the task.
        task: Item<TaskPart>,
        /// Organization events: the run.
        run: Item<RunPart>,
        /// Task payloads and organization events: the run.
        process: Item<RunPart>,
        /// Task payloads: the task.
        this_task: Item<TaskPart>,
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
        checklist_id: serde_json::Value,
        /// Process payloads: likewise.
        checklist_title: serde_json::Value,
        /// Process payloads: likewise.
        name: serde_json::Value,
        /// Process payloads: likewise.
        progress: serde_json::Value,
        /// Process payloads: likewise.
        prerun: serde_json::Value,
        /// Process payloads: likewise.
        process_tasks = "process-tasks": serde_json::Value,
        /// Process payloads: likewise.
        launcher: serde_json::Value,
        /// Process payloads: how it stands.
        status: RunStatus,
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
    struct RunPart or bare id {
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
    struct TaskPart or bare id {
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

impl Body {
    fn read(&self) -> Option<Webhook> {
        if let Some(task) = self.this_task.get() {
            self.read_task_payload(task)
        } else if let Some(event) = self.event.as_str().filter(|event| is_word(event)) {
            self.read_organization_event(event)
        } else if self.looks_like_a_run() {
            self.read_process_payload()
        } else {
            self.data.get()?.read()
        }
    }

    fn read_organization_event(&self, event: &str) -> Option<Webhook> {
        let places = || [Some(self), self.data.get().map(|data| &**data)].into_iter().flatten();
        let task = places().find_map(|place| place.task.get());
        let run = places()
            .flat_map(|place| [&place.process, &place.run])
            .chain(task.map(|task| &task.run))
            .find_map(Field::get);
        let run_id = run
            .and_then(|run| run.id.get())
            .or_else(|| {
                places()
                    .flat_map(|place| [&place.run_id, &place.process_id])
                    .find_map(Field::get)
            })
            .or_else(|| task?.run_id.get());
        let task_id = task
            .and_then(|task| task.id.get())
            .or_else(|| places().find_map(|place| place.task_id.get()));
        let announced = Announced {
            run_last_updated: run.and_then(|run| time(&run.last_updated)),
            run_completed_at: run.and_then(|run| time(&run.completed_at)),
            run_archived_at: run.and_then(|run| time(&run.archived_at)),
            task: None,
            task_completed_at: task.and_then(|task| time(&task.completed_at)),
        };
        let occurred_at = time(&self.occurred_at)
            .or_else(|| time(&self.timestamp))
            .or_else(|| time(&self.created_at))
            .or_else(|| announced.task_completed_at.clone())
            .or_else(|| announced.run_completed_at.clone())
            .or_else(|| announced.run_last_updated.clone());
        self.webhook(
            WebhookKind::Organization,
            run_id,
            task_id,
            Some(event.to_owned()),
            occurred_at,
            announced,
        )
    }

    fn read_task_payload(&self, task: &TaskPart) -> Option<Webhook> {
        let process = [&self.process, &self.run, &task.run].into_iter().find_map(Field::get);
        let run_id = process
            .and_then(|process| process.id.get())
            .or_else(|| task.run_id.get())
            .or_else(|| self.run_id.get());
        let event = self
            .event
            .as_str()
            .filter(|event| is_word(event))
            .unwrap_or("task.completed");
        let completed_at = time(&task.completed_at);
        let announced = Announced {
            task_completed_at: completed_at.clone(),
            run_last_updated: process.and_then(|process| time(&process.last_updated)),
            ..Announced::default()
        };
        self.webhook(
            WebhookKind::Task,
            run_id,
            task.id.get(),
            Some(event.to_owned()),
            completed_at,
            announced,
        )
    }

    /// An id alone does not make a run of an object.
    fn looks_like_a_run(&self) -> bool {
        self.id.get().is_some()
            && (self.status.get().is_some()
                || [
                    &self.checklist_id,
                    &self.checklist_title,
                    &self.name,
                    &self.progress,
                    &self.prerun,
                    &self.process_tasks,
                    &self.launcher,
                ]
                .into_iter()
                .any(|sign| *sign != Field::Absent))
    }

    fn read_process_payload(&self) -> Option<Webhook> {
        let announced = Announced {
            run_last_updated: time(&self.last_updated),
            run_completed_at: time(&self.completed_at),
            run_archived_at: time(&self.archived_at),
            ..Announced::default()
        };
        let event = if announced.run_completed_at.is_some() {
            Some("process.completed".to_owned())
        } else if announced.run_archived_at.is_some() {
            None
        } else {
            Some("process.launched".to_owned())
        };
        let occurred_at = announced
            .run_last_updated
            .clone()
            .or_else(|| announced.run_completed_at.clone())
            .or_else(|| announced.run_archived_at.clone())
            .or_else(|| time(&self.started_at))
            .or_else(|| time(&self.created_at));
        self.webhook(WebhookKind::Process, self.id.get(), None, event, occurred_at, announced)
    }

    fn webhook(
        &self,
        kind: WebhookKind,
        run: Option<&RunId>,
        task: Option<&TaskId>,
        event: Option<String>,
        occurred_at: Option<ApiTime>,
        mut announced: Announced,
    ) -> Option<Webhook> {
        let run = run.filter(|id| is_plausible(id.as_str())).cloned();
        let task = task.filter(|id| is_plausible(id.as_str())).cloned();
        if run.is_none() && task.is_none() {
            return None;
        }
        announced.task.clone_from(&task);
        let org = [&self.organization_id, &self.org_id]
            .into_iter()
            .chain(self.process.get().map(|process| &process.organization_id))
            .find_map(Field::get)
            .filter(|org| is_plausible(org.as_str()))
            .cloned();
        // Without a time, the second occurrence would be taken for the first.
        let dedupe_key = occurred_at.as_ref().map(|at| {
            let mut key = event.as_deref().unwrap_or(kind.as_str()).to_owned();
            let ids = [
                ("run", run.as_ref().map(RunId::as_str)),
                ("task", task.as_ref().map(TaskId::as_str)),
            ];
            for (what, id) in ids {
                if let Some(id) = id {
                    key.push_str(&format!(" {what} {id}"));
                }
            }
            for time in std::iter::once(at).chain(announced.run_completed_at.as_ref().filter(|time| *time != at)) {
                key.push_str(&format!(" {time}"));
            }
            key
        });
        Some(Webhook {
            kind,
            org,
            run,
            task,
            event,
            occurred_at,
            announced,
            dedupe_key,
        })
    }
}

fn time(field: &Field<ApiTime>) -> Option<ApiTime> {
    field.get().filter(|time| is_word(time.as_str())).cloned()
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_WORD_LEN && !text.chars().any(char::is_control)
}
