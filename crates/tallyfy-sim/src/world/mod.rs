//! The world behind the API: organizations, people, templates, runs and tasks.
//!
//! Nothing here does I/O. Time comes from a [`Clock`], ids from a seed, so that the same operations give the same world.
//!
//! Invariants:
//! - `last_updated` of a run is strictly later after every change, even while the clock stands still.
//! - Whatever webhooks tell of is noted as a [`Happening`], in order, until somebody takes the notes.

mod alone;
mod answer;
mod complete;
mod draft;
mod edit;
mod error;
mod founding;
mod happening;
mod launch;
mod organization;
mod run;
mod setup;
mod task;
mod template;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Clock;
use crate::ids::Ids;

pub use answer::{Answers, example_answer};
pub use complete::Completion;
pub use draft::{CaptureDraft, StepDraft, TemplateDraft};
pub use error::WorldError;
pub use founding::Founding;
pub use happening::Happening;
pub use launch::Launch;
pub use organization::{GUEST_LINK_MARK, Group, Guest, Organization, Tag, User, Watcher};
pub use run::{Lag, Run, RunHistory, RunStatus, TagAssociation};
pub use task::{Actor, Task, TaskStatus, Thread};
pub use template::{Assignees, Capture, FieldType, Step, Template};

pub(crate) use draft::alias_of;

/// Everything the simulator knows.
#[derive(Debug)]
pub struct World {
    clock: Arc<dyn Clock>,
    ids: Ids,
    organizations: BTreeMap<String, Organization>,
    /// Organization by run id.
    org_of_run: HashMap<String, String>,
    /// Run by task id.
    run_of_task: HashMap<String, String>,
    happenings: Vec<Happening>,
}

impl World {
    /// An empty world.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, seed: u64) -> Self {
        Self {
            clock,
            ids: Ids::seeded(seed),
            organizations: BTreeMap::new(),
            org_of_run: HashMap::new(),
            run_of_task: HashMap::new(),
            happenings: Vec::new(),
        }
    }

    /// The time now, cut to milliseconds as everything the API tells.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    /// The organization with this id.
    #[must_use]
    pub fn organization(&self, id: &str) -> Option<&Organization> {
        self.organizations.get(id)
    }

    /// All organizations.
    pub fn organizations(&self) -> impl Iterator<Item = &Organization> {
        self.organizations.values()
    }

    pub(crate) fn organization_mut(&mut self, id: &str) -> Result<&mut Organization, WorldError> {
        self.organizations
            .get_mut(id)
            .ok_or_else(|| WorldError::not_found("organization", id))
    }

    /// The run with this id, as it is now.
    ///
    /// # Errors
    /// When there is no such run.
    pub fn run(&self, id: &str) -> Result<&Arc<Run>, WorldError> {
        self.history(id).map(RunHistory::current)
    }

    /// The run with this id and its earlier versions.
    ///
    /// # Errors
    /// When there is no such run.
    pub fn history(&self, id: &str) -> Result<&RunHistory, WorldError> {
        self.org_of_run
            .get(id)
            .and_then(|org| self.organizations.get(org))
            .and_then(|org| org.runs.get(id))
            .ok_or_else(|| WorldError::not_found("run", id))
    }

    /// The run that this task belongs to.
    #[must_use]
    pub fn run_of_task(&self, task: &str) -> Option<&str> {
        self.run_of_task.get(task).map(String::as_str)
    }

    /// The task with this id, as it is now.
    ///
    /// # Errors
    /// When there is no such task.
    pub fn task(&self, id: &str) -> Result<&Arc<Task>, WorldError> {
        let run = self.run_of_task(id).ok_or_else(|| WorldError::not_found("task", id))?;
        self.run(run)?.task(id).ok_or_else(|| WorldError::not_found("task", id))
    }

    /// The template with this id.
    ///
    /// # Errors
    /// When there is no such template.
    pub fn template(&self, id: &str) -> Result<&Arc<Template>, WorldError> {
        self.organizations
            .values()
            .find_map(|org| org.templates.get(id))
            .ok_or_else(|| WorldError::not_found("template", id))
    }

    /// Takes the notes of what happened since the last call.
    pub fn take_happenings(&mut self) -> Vec<Happening> {
        std::mem::take(&mut self.happenings)
    }

    /// Changes a run: `change` gets a copy and the time of the change; a refusal leaves everything as it was.
    fn change_run<T>(
        &mut self,
        id: &str,
        change: impl FnOnce(&mut Run, &mut Ids, Timestamp) -> Result<T, WorldError>,
    ) -> Result<T, WorldError> {
        let current = Arc::clone(self.run(id)?);
        let tick = current
            .last_updated
            .checked_add(Duration::from_millis(1))
            .unwrap_or(Timestamp::MAX);
        let at = self.now().max(tick);
        let mut run = Arc::unwrap_or_clone(current);
        let value = change(&mut run, &mut self.ids, at)?;
        run.last_updated = at;
        if let Some(history) = self
            .organizations
            .get_mut(&run.org)
            .and_then(|org| org.runs.get_mut(id))
        {
            history.push(run);
        }
        Ok(value)
    }

    /// Changes a task, and with it its run.
    fn change_task<T>(
        &mut self,
        id: &str,
        change: impl FnOnce(&mut Task, &mut Ids, Timestamp) -> Result<T, WorldError>,
    ) -> Result<T, WorldError> {
        let run = self
            .run_of_task(id)
            .ok_or_else(|| WorldError::not_found("task", id))?
            .to_owned();
        self.change_run(&run, |run, ids, at| {
            let task = run
                .tasks
                .iter_mut()
                .find(|task| task.id == id)
                .ok_or_else(|| WorldError::not_found("task", id))?;
            let task = Arc::make_mut(task);
            let value = change(task, ids, at)?;
            task.last_updated = at;
            Ok(value)
        })
    }
}
