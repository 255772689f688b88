//! From the members of a body to what it says of itself.
//!
//! A dedupe key is made of ids and times. A hash of the body would tell two bodies apart that announce the same thing, and
//! without a time two different things would look the same: a body without one has no key and is never a duplicate.

use crate::id::is_plausible;
use crate::lenient::Field;
use crate::{Announced, ApiTime, OrgId, RunId, RunStatus, TaskId, TaskStatus, ThreadId};

use super::body::{Body, RunPart, TaskPart, is_word};
use super::{Fingerprint, Webhook, WebhookKind};

/// How many envelopes are opened.
const MAX_ENVELOPES: usize = 3;

const TASK_COMPLETED: &str = "task.completed";

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
    pub(super) fn read(&self, says: Fingerprint) -> Option<Webhook> {
        let meant = self
            .layers()
            .find_map(Self::read_by_its_shape)
            .or_else(|| self.layers().find_map(Self::read_by_what_is_left))?;
        Some(Webhook {
            kind: meant.kind,
            org: self.org(),
            dedupe_key: meant.dedupe_key(),
            run: meant.run,
            task: meant.task,
            event: meant.event,
            occurred_at: meant.occurred_at,
            announced: meant.announced,
            says,
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

    fn read_by_its_shape(&self) -> Option<Meant> {
        if let Some(task) = self.this_task.get() {
            self.read_task_payload(task)
        } else if let Some(event) = self.event_name() {
            self.read_organization_event(Some(event))
        } else if self.looks_like_a_task() || self.names_a_task() {
            self.read_task_alone()
        } else if self.looks_like_a_run() {
            self.read_process_payload()
        } else {
            None
        }
    }

    /// A member that marks a shape may itself be of a foreign type, or be missing; what stands beside it still names
    /// something.
    fn read_by_what_is_left(&self) -> Option<Meant> {
        if self.this_task != Field::Absent {
            self.read_task_payload(&TaskPart::default())
        } else if self.event != Field::Absent {
            self.read_organization_event(None)
        } else if self.named_run_id().is_some() {
            self.read_process_payload()
        } else {
            None
        }
    }

    /// Whether a task is named as one.
    fn names_a_task(&self) -> bool {
        self.task.get().is_some() || self.task_id.get().is_some()
    }

    /// The id of a run that is named as one.
    fn named_run_id(&self) -> Option<&RunId> {
        [&self.process, &self.run]
            .into_iter()
            .filter_map(Field::get)
            .find_map(|run| run.id.get())
            .or_else(|| self.bare_run_id())
    }

    fn read_organization_event(&self, event: Option<&str>) -> Option<Meant> {
        let about = event.map_or(About::Unknown, About::of);
        let task = self.task_of_event(about);
        let run = self.run_of_event(about, &task);
        let task_id = task
            .id
            .get()
            .or_else(|| self.layers().find_map(|layer| layer.task_id.get()));
        let run_id = run
            .id
            .get()
            .or_else(|| self.layers().find_map(|layer| layer.bare_run_id()))
            .or_else(|| task.run_id.get());
        let announced = Announced {
            run_last_updated: time(&run.last_updated),
            run_completed_at: time(&run.completed_at),
            run_is_complete: is_complete_without_time(&run),
            run_archived_at: time(&run.archived_at),
            task_completed_at: time(&task.completed_at),
            task_is_complete: is_done_without_time(&task),
            task: None,
        };
        // The times of a task or a run tell two comments on it apart as little as two assignments.
        let occurred_at = self.said_time().or_else(|| match event? {
            "task.completed" => announced.task_completed_at.clone(),
            "process.completed" => announced.run_completed_at.clone(),
            "process.launched" => time(&run.created_at).or_else(|| announced.run_last_updated.clone()),
            _ => None,
        });
        let other = self.layers().find_map(|layer| layer.other_id());
        let meant = Meant {
            kind: WebhookKind::Organization,
            run: plausible(run_id, RunId::as_str),
            task: plausible(task_id, TaskId::as_str),
            other: plausible(other, ThreadId::as_str),
            event: event.map(str::to_owned),
            occurred_at,
            announced,
        };
        match about {
            About::SomethingElse => Some(meant.complete()),
            About::ATask | About::ARun | About::Unknown => meant.if_it_names_something(),
        }
    }

    /// What an event says of its task. What is called a task goes before the object that `data` is.
    fn task_of_event(&self, about: About) -> TaskPart {
        let named = self
            .layers()
            .flat_map(|layer| [&layer.task, &layer.this_task])
            .find_map(Field::get)
            .map(|task| (**task).clone());
        named
            .or_else(|| {
                let layer = match about {
                    About::ATask => self
                        .object()
                        .or_else(|| Some(self).filter(|body| body.looks_like_a_task())),
                    About::Unknown => self.layers().find(|layer| layer.looks_like_a_task()),
                    About::ARun | About::SomethingElse => None,
                }?;
                Some(layer.as_task())
            })
            .unwrap_or_default()
    }

    fn run_of_event(&self, about: About, task: &TaskPart) -> RunPart {
        let named = self
            .layers()
            .flat_map(|layer| [&layer.process, &layer.run])
            .chain([&task.run])
            .find_map(Field::get)
            .map(|run| (**run).clone());
        named
            .or_else(|| {
                let itself = || Some(self).filter(|body| body.looks_like_a_run());
                let layer = match about {
                    About::ARun => itself().or_else(|| self.object()),
                    About::Unknown => self.layers().find(|layer| layer.looks_like_a_run()),
                    About::ATask | About::SomethingElse => None,
                }?;
                Some(layer.as_run())
            })
            .unwrap_or_default()
    }

    /// The object that `data` is, if it is one.
    fn object(&self) -> Option<&Self> {
        self.layers().skip(1).find(|layer| layer.id.get().is_some())
    }

    fn read_task_payload(&self, task: &TaskPart) -> Option<Meant> {
        let event = self.event_name().unwrap_or(TASK_COMPLETED);
        let announced = Announced {
            run_last_updated: self.runs_of(task).find_map(|run| time(&run.last_updated)),
            ..announced_by(task)
        };
        let occurred_at = match event {
            TASK_COMPLETED => announced.task_completed_at.clone().or_else(|| self.said_time()),
            _ => self.said_time(),
        };
        let task_id = task.id.get().or_else(|| self.task_id.get());
        Meant {
            kind: WebhookKind::Task,
            run: plausible(self.run_id_of(task), RunId::as_str),
            task: plausible(task_id, TaskId::as_str),
            other: None,
            event: Some(event.to_owned()),
            occurred_at,
            announced,
        }
        .if_it_names_something()
    }

    /// A task as the API shows it, or one that is only named.
    fn read_task_alone(&self) -> Option<Meant> {
        let task = match self.task.get() {
            Some(task) => (**task).clone(),
            None => self.as_task(),
        };
        let announced = Announced {
            run_last_updated: self.runs_of(&task).find_map(|run| time(&run.last_updated)),
            ..announced_by(&task)
        };
        let is_complete = announced.task_completed_at.is_some() || announced.task_is_complete;
        Meant {
            kind: WebhookKind::Task,
            run: plausible(self.run_id_of(&task), RunId::as_str),
            task: plausible(task.id.get(), TaskId::as_str),
            other: None,
            event: is_complete.then(|| TASK_COMPLETED.to_owned()),
            occurred_at: announced.task_completed_at.clone().or_else(|| self.said_time()),
            announced,
        }
        .if_it_names_something()
    }

    fn runs_of<'a>(&'a self, task: &'a TaskPart) -> impl Iterator<Item = &'a RunPart> {
        let runs = [&self.process, &self.run, &task.run];
        runs.into_iter().filter_map(Field::get).map(|run| &**run)
    }

    fn run_id_of<'a>(&'a self, task: &'a TaskPart) -> Option<&'a RunId> {
        self.runs_of(task)
            .find_map(|run| run.id.get())
            .or_else(|| task.run_id.get())
            .or_else(|| self.bare_run_id())
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

    fn read_process_payload(&self) -> Option<Meant> {
        let named = self.process.get().or_else(|| self.run.get());
        let run = named.map_or_else(|| self.as_run(), |run| (**run).clone());
        let announced = Announced {
            run_last_updated: time(&run.last_updated),
            run_completed_at: time(&run.completed_at),
            run_is_complete: is_complete_without_time(&run),
            run_archived_at: time(&run.archived_at),
            ..Announced::default()
        };
        let is_archived = announced.run_archived_at.is_some() || run.status.get().is_some_and(RunStatus::is_archived);
        let event = if announced.run_completed_at.is_some() || announced.run_is_complete {
            Some("process.completed".to_owned())
        } else if is_archived || !self.looks_like_a_run() {
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
        Meant {
            kind: WebhookKind::Process,
            run: plausible(self.named_run_id().or_else(|| self.id.get()), RunId::as_str),
            task: None,
            other: None,
            event,
            occurred_at,
            announced,
        }
        .if_it_names_something()
    }
}

/// What the name of an event says that it is about.
#[derive(Clone, Copy)]
enum About {
    ATask,
    ARun,
    /// A member, a template: nothing that is fetched, unless a run or a task is named beside it.
    SomethingElse,
    /// The name does not say.
    Unknown,
}

impl About {
    fn of(event: &str) -> Self {
        match event.split_once('.') {
            Some(("task", _)) => Self::ATask,
            Some(("process" | "run", _)) => Self::ARun,
            Some(_) => Self::SomethingElse,
            None => Self::Unknown,
        }
    }
}

/// What a body means, before it is known which organization it belongs to.
struct Meant {
    kind: WebhookKind,
    run: Option<RunId>,
    task: Option<TaskId>,
    /// The comment or the problem, of which a task may get two in one second.
    other: Option<ThreadId>,
    event: Option<String>,
    occurred_at: Option<ApiTime>,
    announced: Announced,
}

impl Meant {
    fn if_it_names_something(self) -> Option<Self> {
        (self.run.is_some() || self.task.is_some()).then(|| self.complete())
    }

    fn complete(mut self) -> Self {
        self.announced.task.clone_from(&self.task);
        self
    }

    fn dedupe_key(&self) -> Option<String> {
        // Without a time, or with nothing but a day, the second occurrence would be taken for the first.
        let at = self.occurred_at.as_ref().filter(|at| at.as_str().contains(':'))?;
        let mut key = self.event.as_deref().unwrap_or(self.kind.as_str()).to_owned();
        let ids = [
            ("run", self.run.as_ref().map(RunId::as_str)),
            ("task", self.task.as_ref().map(TaskId::as_str)),
            ("comment", self.other.as_ref().map(ThreadId::as_str)),
        ];
        for (what, id) in ids {
            if let Some(id) = id {
                key.push_str(&format!(" {what} {id}"));
            }
        }
        let further = [&self.announced.run_completed_at, &self.announced.run_archived_at];
        for time in std::iter::once(at).chain(further.into_iter().flatten().filter(|time| *time != at)) {
            key.push_str(&format!(" {time}"));
        }
        Some(key)
    }
}

fn announced_by(task: &TaskPart) -> Announced {
    Announced {
        task_completed_at: time(&task.completed_at),
        task_is_complete: is_done_without_time(task),
        ..Announced::default()
    }
}

fn is_complete_without_time(run: &RunPart) -> bool {
    time(&run.completed_at).is_none() && run.status.get().is_some_and(RunStatus::is_complete)
}

fn is_done_without_time(task: &TaskPart) -> bool {
    time(&task.completed_at).is_none() && task.status.get().is_some_and(TaskStatus::is_complete)
}

fn plausible<T: Clone>(id: Option<&T>, text: impl Fn(&T) -> &str) -> Option<T> {
    id.filter(|id| is_plausible(text(id))).cloned()
}

fn time(field: &Field<ApiTime>) -> Option<ApiTime> {
    field.as_time().filter(|time| is_word(time.as_str())).cloned()
}
