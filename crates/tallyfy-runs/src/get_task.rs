//! Getting one task.

use tallyfy_model::{Task, TaskId, WithJson};

use crate::client::Client;
use crate::decode;
use crate::error::Error;
use crate::include::TaskInclude;
use crate::query::with;

/// What is fetched together with a task. The default is the task alone, which has no form fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetTaskOptions {
    /// The values of `with`.
    pub includes: Vec<TaskInclude>,
}

impl GetTaskOptions {
    /// Fetches these with it, and no others.
    #[must_use]
    pub fn with_includes(mut self, includes: impl IntoIterator<Item = TaskInclude>) -> Self {
        self.includes = includes.into_iter().collect();
        self
    }
}

impl Client {
    /// Gets a task by its id alone: `GET /organizations/{org}/tasks/{task}`. It names its run.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn get_task(&self, task: impl Into<TaskId>, options: &GetTaskOptions) -> Result<WithJson<Task>, Error> {
        let task = task.into();
        let request = with(self.get(["tasks", task.as_str()])?, &options.includes);
        self.ask(request, |body| decode::task(body, &task)).await
    }
}
