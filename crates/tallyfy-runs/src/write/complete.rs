//! Completing a task, and opening it again.

use serde_json::json;
use tallyfy_model::{RunId, Task, TaskId, TaskStatus, TaskType, UserId, WithJson};
use tallyfy_transport::Request;

use crate::client::Client;
use crate::decode;
use crate::error::Error;

/// A completion to be done, of a task that was seen open.
///
/// To complete a task once more is no error for the API, and tells webhooks and mailboxes once more (API reference, section
/// h, 30). So a completion is made from a task as it was fetched, which must be open, and is used up by
/// [`Client::complete_task`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "nothing is completed before `complete_task`"]
pub struct Completion {
    task: TaskId,
    run: Option<RunId>,
    verdict: Option<bool>,
    on_behalf_of: Option<UserId>,
}

/// Why a task cannot be completed, as it was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotCompletable {
    /// It has no id.
    #[error("the task has no id")]
    NoId,
    /// It is complete already.
    #[error("the task is complete already")]
    Complete,
    /// A rule hides it.
    #[error("the task is hidden by a rule")]
    Hidden,
    /// It is archived, alone or with its run.
    #[error("the task is archived")]
    Archived,
    /// It is an approval: use [`Completion::approving`] or [`Completion::rejecting`].
    #[error("the task is an approval, approve or reject it")]
    NeedsVerdict,
    /// It is no approval: use [`Completion::of`].
    #[error("the task is no approval, there is nothing to approve or reject")]
    NoVerdict,
}

impl Completion {
    /// Of a task that is no approval.
    ///
    /// # Errors
    /// [`NotCompletable`].
    pub fn of(task: &Task) -> Result<Self, NotCompletable> {
        Self::new(task, None)
    }

    /// Of an approval, with the verdict that it is approved.
    ///
    /// # Errors
    /// [`NotCompletable`].
    pub fn approving(task: &Task) -> Result<Self, NotCompletable> {
        Self::new(task, Some(true))
    }

    /// Of an approval, with the verdict that it is rejected.
    ///
    /// # Errors
    /// [`NotCompletable`].
    pub fn rejecting(task: &Task) -> Result<Self, NotCompletable> {
        Self::new(task, Some(false))
    }

    fn new(task: &Task, verdict: Option<bool>) -> Result<Self, NotCompletable> {
        let id = task.id.get().ok_or(NotCompletable::NoId)?;
        if task.is_complete() {
            return Err(NotCompletable::Complete);
        }
        if task.status.get() == Some(&TaskStatus::AutoSkipped) {
            return Err(NotCompletable::Hidden);
        }
        if task.archived_at.get().is_some() {
            return Err(NotCompletable::Archived);
        }
        match (task.task_type.get() == Some(&TaskType::Approval), verdict) {
            (true, None) => Err(NotCompletable::NeedsVerdict),
            // A task whose type did not come is taken at its caller's word.
            (false, Some(_)) if task.task_type.get().is_some() => Err(NotCompletable::NoVerdict),
            _ => Ok(Self {
                task: id.clone(),
                run: task.run_id.get().cloned(),
                verdict,
                on_behalf_of: None,
            }),
        }
    }

    /// Names this member, and not the token's owner, as who did it.
    pub fn on_behalf_of(mut self, user: impl Into<UserId>) -> Self {
        self.on_behalf_of = Some(user.into());
        self
    }

    fn to_json(&self) -> String {
        let mut body = json!({"task_id": self.task.as_str()});
        if let Some(approved) = self.verdict {
            body["is_approved"] = approved.into();
        }
        if let Some(user) = &self.on_behalf_of {
            body["override_user"] = user
                .as_str()
                .parse::<u64>()
                .map_or_else(|_| user.as_str().into(), Into::into);
        }
        body.to_string()
    }
}

impl Client {
    /// Completes a task: `POST …/completed-tasks`. Its answers are entered before, by
    /// [`set_answers`](Self::set_answers).
    ///
    /// ```no_run
    /// use tallyfy_runs::{Client, Completion, GetTaskOptions};
    ///
    /// # async fn done(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let task = client.get_task("TASK_ID", &GetTaskOptions::default()).await?;
    /// client.complete_task(Completion::of(&task)?).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error`]; see [`Error::OutcomeUnknown`]. A required field without an answer is an [`Error::InvalidRequest`].
    pub async fn complete_task(&self, completion: Completion) -> Result<WithJson<Task>, Error> {
        let run = completion.run.iter().flat_map(|run| ["runs", run.as_str()]);
        let request = Request::post(self.path(run.chain(["completed-tasks"])))?.json(completion.to_json());
        self.ask(request, |body| decode::task(body, &completion.task)).await
    }

    /// Opens a task again, and with it its run: `DELETE …/completed-tasks/{task}`. No webhook tells of it.
    ///
    /// # Errors
    /// [`Error`]; see [`Error::OutcomeUnknown`].
    pub async fn reopen_task(&self, task: &Task) -> Result<(), Error> {
        let id = TaskId::from(task);
        let request = Request::delete(self.task_path(task, ["completed-tasks", id.as_str()]))?;
        self.send(request).await.map(|_| ())
    }
}
