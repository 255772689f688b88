//! From the members of a body to what it says of itself.

use crate::id::is_plausible;
use crate::lenient::Field;
use crate::{Announced, ApiTime, OrgId, RunId, TaskId, ThreadId};

use super::body::{Body, TaskPart, is_word};
use super::{Webhook, WebhookKind};

/// How many envelopes are opened.
const MAX_ENVELOPES: usize = 3;

/// A body, and what is in its envelope.
pub(super) struct Layer {
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
    /// Opens the envelopes of a body.
    pub(super) fn open(body: Body) -> Self {
        Self::open_within(body, MAX_ENVELOPES)
    }

    fn open_within(mut body: Body, envelopes: usize) -> Self {
        let data = std::mem::take(&mut body.data).into_value().and_then(|data| {
            let data: Body = data.read().into_value()?;
            Some(Box::new(Self::open_within(data, envelopes.checked_sub(1)?)))
        });
        Self { body, data }
    }

    /// What the body says of itself; `None` if it names nothing.
    pub(super) fn read(&self) -> Option<Webhook> {
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
        let other = self.layers().find_map(|layer| layer.other_id());
        let other = other.filter(|id| kind == WebhookKind::Organization && is_plausible(id.as_str()));
        // Without a time, or with nothing but a day, the second occurrence would be taken for the first.
        let precise = occurred_at.as_ref().filter(|at| at.as_str().contains(':'));
        let dedupe_key = precise.map(|at| {
            let mut key = event.as_deref().unwrap_or(kind.as_str()).to_owned();
            let ids = [
                ("run", run.as_ref().map(RunId::as_str)),
                ("task", task.as_ref().map(TaskId::as_str)),
                ("comment", other.map(ThreadId::as_str)),
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
