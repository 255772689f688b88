//! Launching a run from a template.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::answer::{first_missing, resolve};
use super::{Answers, Happening, Run, RunHistory, Task, TaskStatus, World, WorldError};

/// A launch to be done.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Launch {
    /// Template id; empty means the first template of the organization.
    pub template: String,
    /// Name of the run; empty means one made from the template's title and the counter.
    pub name: String,
    /// Kick-off answers by timeline id, alias or label.
    pub answers: Answers,
    /// Who launches; 0 means the owner of the template.
    pub by: i64,
    /// Tags by id.
    pub tags: Vec<String>,
    /// Fill required kick-off fields that have no answer with examples.
    pub fill: bool,
    /// The run it is launched from.
    pub parent: Option<String>,
}

impl Launch {
    /// A launch of this template, required kick-off fields filled with examples.
    #[must_use]
    pub fn of(template: &str) -> Self {
        Self {
            template: template.to_owned(),
            fill: true,
            ..Self::default()
        }
    }

    /// Sets the name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Answers a kick-off field.
    #[must_use]
    pub fn answer(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.answers.insert(field.to_owned(), value.into());
        self
    }

    /// Sets who launches.
    #[must_use]
    pub fn by(mut self, user: i64) -> Self {
        self.by = user;
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn tagged(mut self, tag: &str) -> Self {
        self.tags.push(tag.to_owned());
        self
    }

    /// Leaves required kick-off fields empty, which the server refuses.
    #[must_use]
    pub fn without_filling(mut self) -> Self {
        self.fill = false;
        self
    }
}

impl World {
    /// Launches a run and returns its id.
    ///
    /// # Errors
    /// When the template or a tag is unknown, or an answer is not accepted.
    pub fn launch(&mut self, org_id: &str, launch: &Launch) -> Result<String, WorldError> {
        let now = self.now();
        let org = self
            .organizations
            .get_mut(org_id)
            .ok_or_else(|| WorldError::not_found("organization", org_id))?;
        let template = if launch.template.is_empty() {
            org.templates.values().next()
        } else {
            org.templates.get(&launch.template)
        };
        let template = Arc::clone(template.ok_or_else(|| WorldError::not_found("template", &launch.template))?);
        if launch.name.chars().count() > 550 {
            return Err(WorldError::invalid("name", "must not be longer than 550 characters"));
        }
        let mut prerun = resolve(&template.kickoff, &launch.answers)?;
        if launch.fill {
            for capture in template.kickoff.iter().filter(|c| c.required) {
                let example = || super::example_answer(capture, org.last_increment + 1);
                prerun.entry(capture.id.clone()).or_insert_with(example);
            }
        }
        if let Some(missing) = first_missing(&template.kickoff, &prerun) {
            return Err(WorldError::invalid("prerun", format!("{} is required", missing.label)));
        }
        if let Some(unknown) = launch.tags.iter().find(|tag| !org.tags.contains_key(*tag)) {
            return Err(WorldError::not_found("tag", unknown));
        }
        let increment_id = org.next_increment();
        let run_id = self.ids.hex();
        let started_by = if launch.by == 0 { template.owner_id } else { launch.by };
        let in_days = |days: u32| {
            now.checked_add(Duration::from_secs(86_400 * u64::from(days)))
                .unwrap_or(jiff::Timestamp::MAX)
        };
        let mut tasks = Vec::with_capacity(template.steps.len());
        for step in &template.steps {
            let task = Task {
                id: self.ids.hex(),
                increment_id: org.next_increment(),
                run_id: run_id.clone(),
                step_id: Some(step.id.clone()),
                title: step.title.clone(),
                alias: step.alias.clone(),
                summary: step.summary.clone(),
                task_type: step.task_type.clone(),
                approved: None,
                status: TaskStatus::Active,
                position: step.position,
                owners: step.assignees.clone(),
                captures: step.captures.as_slice().into(),
                taskdata: BTreeMap::new(),
                webhook: step.webhook.clone(),
                threads: Vec::new(),
                created_at: now,
                last_updated: now,
                started_at: now,
                deadline: in_days(step.deadline_days),
                completed_at: None,
                completer: None,
            };
            self.run_of_task.insert(task.id.clone(), run_id.clone());
            tasks.push(Arc::new(task));
        }
        let name = if launch.name.is_empty() {
            format!("{} #{increment_id}", template.title)
        } else {
            launch.name.clone()
        };
        let tags = launch
            .tags
            .iter()
            .map(|tag_id| super::TagAssociation {
                id: self.ids.number(),
                tag_id: tag_id.clone(),
                created_at: now,
            })
            .collect();
        let run = Run {
            id: run_id.clone(),
            increment_id,
            org: org_id.to_owned(),
            name,
            summary: None,
            started_by,
            owner_id: started_by,
            users: vec![started_by],
            groups: Vec::new(),
            tags,
            prerun,
            custom_fields: BTreeMap::new(),
            due_date: tasks.iter().map(|task| task.deadline).max(),
            tasks,
            has_open_issue: false,
            starred: false,
            parent_id: launch.parent.clone(),
            created_at: now,
            last_updated: now,
            completed_at: None,
            archived_at: None,
            template: Arc::clone(&template),
        };
        if let Some(template) = org.templates.get_mut(&template.id) {
            Arc::make_mut(template).started_processes += 1;
        }
        org.runs.insert(run_id.clone(), RunHistory::begin(run));
        self.org_of_run.insert(run_id.clone(), org_id.to_owned());
        self.happenings.push(Happening::RunLaunched { run: run_id.clone() });
        Ok(run_id)
    }
}
