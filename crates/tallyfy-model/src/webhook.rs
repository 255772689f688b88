//! Webhook bodies: three shapes, none of which says what it is (API reference, sections g.2 to g.4).

use std::fmt;

use serde::Deserialize;

use crate::id::is_plausible;
use crate::lenient::{Field, Item};
use crate::record::record;
use crate::salvage;
use crate::{Announced, ApiTime, OrgId, RunId, TaskId};

/// The longest text that is taken as a time or as the name of an event.
const MAX_WORD_LEN: usize = 64;

/// How many envelopes are opened.
const MAX_ENVELOPES: usize = 3;

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
        let body: Field<Body> = salvage::from_slice(body).map_err(UnreadableWebhook::Json)?;
        let body = body.into_value().ok_or(UnreadableWebhook::NotAnObject)?;
        Layer::open(body, MAX_ENVELOPES)
            .read()
            .ok_or(UnreadableWebhook::NamesNothing)
    }
}

record! {
    /// Every member, of any of the shapes, that is looked at.
    struct Body {
        /// Organization events: what happened.
        event: String,
        /// An envelope like that of API responses; undocumented for webhooks.
        data: serde_json::Value,
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
        /// Process payloads: likewise.
        status: serde_json::Value,
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
        /// When it was completed.
        completed_at: ApiTime,
    }
}

impl Body {
    fn event_name(&self) -> Option<&str> {
        self.event.as_str().filter(|event| is_word(event))
    }

    /// An id alone does not make a run of an object.
    fn looks_like_a_run(&self) -> bool {
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

    fn bare_run_id(&self) -> Option<&RunId> {
        self.run_id.get().or_else(|| self.process_id.get())
    }

    fn as_task(&self) -> TaskPart {
        TaskPart {
            id: self.id.clone().map(|id| TaskId::from(id.as_str())),
            run_id: self.run_id.clone(),
            completed_at: self.completed_at.clone(),
            ..TaskPart::default()
        }
    }

    fn as_run(&self) -> RunPart {
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

/// A body, and what is in its envelope.
struct Layer {
    body: Body,
    data: Option<Box<Self>>,
}

impl std::ops::Deref for Layer {
    type Target = Body;

    fn deref(&self) -> &Body {
        &self.body
    }
}

impl Layer {
    fn open(mut body: Body, envelopes: usize) -> Self {
        let data = std::mem::take(&mut body.data).into_value().and_then(|data| {
            let data: Field<Body> = Field::deserialize(data).ok()?;
            Some(Box::new(Self::open(data.into_value()?, envelopes.checked_sub(1)?)))
        });
        Self { body, data }
    }

    fn read(&self) -> Option<Webhook> {
        let webhook = self
            .layers()
            .find_map(Self::read_by_its_shape)
            .or_else(|| self.layers().find_map(Self::read_by_what_is_left))?;
        Some(Webhook {
            org: self.org(),
            ..webhook
        })
    }

    fn org(&self) -> Option<OrgId> {
        self.layers()
            .flat_map(|layer| {
                let runs = [&layer.process, &layer.run].into_iter().filter_map(Field::get);
                [&layer.organization_id, &layer.org_id]
                    .into_iter()
                    .chain(runs.map(|run| &run.organization_id))
            })
            .find_map(Field::get)
            .filter(|org| is_plausible(org.as_str()))
            .cloned()
    }

    /// The body itself, and what is in its `data` envelopes.
    fn layers(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |layer| layer.data.as_deref())
    }

    fn read_by_its_shape(&self) -> Option<Webhook> {
        if let Some(task) = self.this_task.get() {
            self.read_task_payload(task)
        } else if let Some(event) = self.event_name() {
            self.read_organization_event(Some(event))
        } else if self.looks_like_a_run() {
            self.read_process_payload()
        } else {
            None
        }
    }

    /// A member that marks a shape may itself be of a foreign type; what stands beside it still names something.
    fn read_by_what_is_left(&self) -> Option<Webhook> {
        if self.this_task != Field::Absent {
            self.read_task_payload(&TaskPart::default())
        } else if self.event != Field::Absent {
            self.read_organization_event(None)
        } else {
            None
        }
    }

    fn read_organization_event(&self, event: Option<&str>) -> Option<Webhook> {
        let about_a_task = event.is_some_and(|event| event.starts_with("task."));
        // The object that `data` is, if it is one.
        let object = || self.layers().skip(1).find(|layer| layer.id.get().is_some());
        let task = self
            .layers()
            .flat_map(|layer| [&layer.task, &layer.this_task])
            .find_map(Field::get)
            .map(|task| (**task).clone())
            .or_else(|| about_a_task.then(object)?.map(|layer| layer.as_task()))
            .unwrap_or_default();
        let task_id = task
            .id
            .get()
            .or_else(|| self.layers().find_map(|layer| layer.task_id.get()));
        let run = self
            .layers()
            .flat_map(|layer| [&layer.process, &layer.run])
            .chain([&task.run])
            .find_map(Field::get)
            .map(|run| (**run).clone())
            .or_else(|| {
                let itself = || Some(self).filter(|body| body.looks_like_a_run());
                (!about_a_task)
                    .then(|| itself().or_else(object))?
                    .map(|layer| layer.as_run())
            })
            .unwrap_or_default();
        let run_id = run
            .id
            .get()
            .or_else(|| self.layers().find_map(|layer| layer.bare_run_id()))
            .or_else(|| task.run_id.get());
        let announced = Announced {
            run_last_updated: time(&run.last_updated),
            run_completed_at: time(&run.completed_at),
            run_archived_at: time(&run.archived_at),
            task: None,
            task_completed_at: time(&task.completed_at),
        };
        // The times of a task or a run tell two comments on it apart as little as two assignments.
        let occurred_at = self.said_time().or_else(|| match event? {
            "task.completed" => announced.task_completed_at.clone(),
            "process.completed" => announced.run_completed_at.clone(),
            "process.launched" => time(&run.created_at).or_else(|| announced.run_last_updated.clone()),
            _ => None,
        });
        self.webhook(
            WebhookKind::Organization,
            run_id,
            task_id,
            event.map(str::to_owned),
            occurred_at,
            announced,
        )
    }

    fn read_task_payload(&self, task: &TaskPart) -> Option<Webhook> {
        let runs = || [&self.process, &self.run, &task.run].into_iter().filter_map(Field::get);
        let run_id = runs()
            .find_map(|run| run.id.get())
            .or_else(|| task.run_id.get())
            .or_else(|| self.bare_run_id());
        let event = self.event_name().unwrap_or("task.completed");
        let announced = Announced {
            task_completed_at: time(&task.completed_at),
            run_last_updated: runs().find_map(|run| time(&run.last_updated)),
            ..Announced::default()
        };
        let occurred_at = match event {
            "task.completed" => announced.task_completed_at.clone().or_else(|| self.said_time()),
            _ => self.said_time(),
        };
        self.webhook(
            WebhookKind::Task,
            run_id,
            task.id.get().or_else(|| self.task_id.get()),
            Some(event.to_owned()),
            occurred_at,
            announced,
        )
    }

    /// When the event happened, where a member of its own says it.
    fn said_time(&self) -> Option<ApiTime> {
        self.layers()
            .flat_map(|layer| [&layer.occurred_at, &layer.timestamp])
            .find_map(time)
            .or_else(|| {
                let of_the_event = self.event != Field::Absent && !self.looks_like_a_run();
                of_the_event.then(|| time(&self.created_at))?
            })
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
        // Without a time, or with nothing but a day, the second occurrence would be taken for the first.
        let precise = occurred_at.as_ref().filter(|at| at.as_str().contains(':'));
        let dedupe_key = precise.map(|at| {
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
            let further = [&announced.run_completed_at, &announced.run_archived_at];
            for time in std::iter::once(at).chain(further.into_iter().flatten().filter(|time| *time != at)) {
                key.push_str(&format!(" {time}"));
            }
            key
        });
        Some(Webhook {
            kind,
            // An outer envelope may be what names it.
            org: None,
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
