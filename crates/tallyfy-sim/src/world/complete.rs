//! Completing, answering, skipping and reopening tasks.

use serde::Deserialize;
use serde_json::Value;

use super::answer::{first_missing, resolve};
use super::{Actor, Answers, Happening, RunStatus, TaskStatus, World, WorldError};

/// How a task gets completed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Completion {
    /// Answers by timeline id, alias or label.
    pub answers: Answers,
    /// The member who completes it; 0 means the first assigned member, or who launched the run.
    pub user: i64,
    /// The guest who completes it.
    pub guest: Option<String>,
    /// Fill fields that have no answer with examples.
    pub fill: bool,
    /// The verdict of an approval.
    pub approved: Option<bool>,
}

impl Completion {
    /// A completion without answers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers a field.
    #[must_use]
    pub fn answer(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.answers.insert(field.to_owned(), value.into());
        self
    }

    /// Approves or rejects.
    #[must_use]
    pub fn verdict(mut self, approved: bool) -> Self {
        self.approved = Some(approved);
        self
    }

    /// Answers all other fields with examples, and approves.
    #[must_use]
    pub fn filled(mut self) -> Self {
        self.fill = true;
        self
    }

    /// Sets the member who completes it.
    #[must_use]
    pub fn by(mut self, user: i64) -> Self {
        self.user = user;
        self
    }

    /// Sets the guest who completes it.
    #[must_use]
    pub fn by_guest(mut self, email: &str) -> Self {
        self.guest = Some(email.to_owned());
        self
    }
}

impl World {
    /// Completes a task. Completing it again changes nothing and is told to webhooks all the same, as at the vendor's.
    ///
    /// # Errors
    /// When the task is unknown, skipped or archived, its run is frozen by an issue, or an answer is not accepted.
    pub fn complete(&mut self, task_id: &str, completion: &Completion) -> Result<(), WorldError> {
        let task = self.task(task_id)?;
        let run = self.run(&task.run_id)?;
        let run_id = run.id.clone();
        let by = match &completion.guest {
            Some(guest) => Actor::Guest(guest.clone()),
            None if completion.user != 0 => Actor::User(completion.user),
            None => Actor::User(task.owners.users.first().copied().unwrap_or(run.started_by)),
        };
        if task.status == TaskStatus::AutoSkipped {
            return Err(WorldError::invalid("task", "a hidden task cannot be completed"));
        }
        if run.archived_at.is_some() {
            return Err(WorldError::invalid("task", "the process is archived"));
        }
        let is_approval = task.task_type == "approval";
        let verdict = completion
            .approved
            .or(completion.fill.then_some(true))
            .filter(|_| is_approval);
        if is_approval && verdict.is_none() {
            return Err(WorldError::invalid("is_approved", "is required for an approval"));
        }
        if run.status() == RunStatus::Issue {
            return Err(WorldError::invalid("task", "the process has an open issue"));
        }
        let was_complete = task.status == TaskStatus::Completed;
        let run_was_complete = run.completed_at.is_some();
        if !was_complete {
            let completer = by.clone();
            self.change_task(task_id, |task, _, at| {
                task.taskdata.extend(resolve(&task.captures, &completion.answers)?);
                if completion.fill {
                    for capture in task.captures.iter() {
                        let example = || super::example_answer(capture, task.increment_id);
                        task.taskdata.entry(capture.id.clone()).or_insert_with(example);
                    }
                }
                if let Some(missing) = first_missing(&task.captures, &task.taskdata) {
                    return Err(WorldError::invalid(&missing.alias, "is required"));
                }
                task.status = TaskStatus::Completed;
                task.completed_at = Some(at);
                task.completer = Some(completer);
                task.approved = verdict;
                Ok(())
            })?;
        }
        self.happenings.push(Happening::TaskCompleted {
            run: run_id.clone(),
            task: task_id.to_owned(),
            by,
        });
        if !run_was_complete {
            self.finish_if_done(&run_id)?;
        }
        Ok(())
    }

    /// Answers fields without completing the task.
    ///
    /// # Errors
    /// When the task is unknown or an answer is not accepted.
    pub fn answer(&mut self, task_id: &str, answers: &Answers) -> Result<(), WorldError> {
        self.change_task(task_id, |task, _, _| {
            task.taskdata.extend(resolve(&task.captures, answers)?);
            if task.status == TaskStatus::Active || task.status == TaskStatus::NotStarted {
                task.status = TaskStatus::InProgress;
            }
            Ok(())
        })
    }

    /// Hides a task, as a rule would. The last open task that is hidden completes the run.
    ///
    /// # Errors
    /// When the task is unknown or already completed.
    pub fn skip(&mut self, task_id: &str) -> Result<(), WorldError> {
        self.change_task(task_id, |task, _, _| {
            if task.status == TaskStatus::Completed {
                return Err(WorldError::invalid("task", "a completed task cannot be hidden"));
            }
            task.status = TaskStatus::AutoSkipped;
            Ok(())
        })?;
        let run = self.task(task_id)?.run_id.clone();
        self.finish_if_done(&run)
    }

    /// Reopens a completed or hidden task, and with it the run. No webhook tells of it.
    ///
    /// # Errors
    /// When the task is unknown or open.
    pub fn reopen(&mut self, task_id: &str) -> Result<(), WorldError> {
        let run = self.task(task_id)?.run_id.clone();
        self.change_run(&run, |run, _, at| {
            let task = run.tasks.iter_mut().find(|task| task.id == task_id);
            let Some(task) = task.filter(|task| task.status.is_settled()) else {
                return Err(WorldError::invalid("task", "the task is not completed"));
            };
            let task = std::sync::Arc::make_mut(task);
            task.status = TaskStatus::Active;
            task.completed_at = None;
            task.completer = None;
            task.approved = None;
            task.last_updated = at;
            run.completed_at = None;
            Ok(())
        })
    }

    fn finish_if_done(&mut self, run_id: &str) -> Result<(), WorldError> {
        let run = self.run(run_id)?;
        if run.completed_at.is_some() || !run.is_done() {
            return Ok(());
        }
        self.change_run(run_id, |run, _, at| {
            run.completed_at = Some(at);
            Ok(())
        })?;
        self.happenings.push(Happening::RunCompleted { run: run_id.to_owned() });
        Ok(())
    }
}
