//! Listing the tasks of a run.

use tallyfy_model::{Item, Json, RunId, Task, TaskStatus};
use tallyfy_transport::Request;

use crate::client::Client;
use crate::get_run::with;
use crate::include::TaskInclude;
use crate::pages::Pages;

/// Which tasks of a run are listed, in which order, and what is fetched with each (API reference, section e.3).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ListTasksOptions {
    /// How they stand.
    pub status: Option<TaskStatus>,
    /// In which order; the server's own by default.
    pub order: Option<TaskOrder>,
    /// What is fetched with each.
    pub includes: Vec<TaskInclude>,
    /// Parameters that are not among these, as they go into the query.
    pub other: Vec<(String, String)>,
}

/// The orders that the server is known to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskOrder {
    /// As in the template.
    Position,
    /// The earliest deadline first.
    Deadline,
}

impl TaskOrder {
    fn as_str(self) -> &'static str {
        match self {
            Self::Position => "position",
            Self::Deadline => "deadline",
        }
    }
}

impl ListTasksOptions {
    /// Lists those that stand so.
    #[must_use]
    pub fn with_status(mut self, status: TaskStatus) -> Self {
        self.status = Some(status);
        self
    }

    /// Lists them in this order.
    #[must_use]
    pub fn with_order(mut self, order: TaskOrder) -> Self {
        self.order = Some(order);
        self
    }

    /// Fetches these with each task.
    #[must_use]
    pub fn with_includes(mut self, includes: impl IntoIterator<Item = TaskInclude>) -> Self {
        self.includes = includes.into_iter().collect();
        self
    }

    /// Adds a parameter that this crate does not know. The server ignores those that it does not know either.
    #[must_use]
    pub fn with_other(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.other.push((name.into(), value.into()));
        self
    }

    fn query(&self, mut request: Request) -> Request {
        if let Some(status) = &self.status {
            request = request.query("status", status.as_str());
        }
        if let Some(order) = self.order {
            request = request.query("sort", order.as_str());
        }
        for (name, value) in &self.other {
            request = request.query(name, value);
        }
        with(request, &self.includes)
    }
}

impl Client {
    /// Lists the tasks of a run: `GET /organizations/{org}/runs/{run}/tasks`.
    ///
    /// Tasks that a rule has hidden are among them. A run that was launched a moment ago may have none yet: the list is
    /// answered by a replica that lags behind (API reference, section e.3).
    pub fn list_tasks(&self, run: impl Into<RunId>, options: &ListTasksOptions) -> Pages<Task> {
        let request = self.get(["runs", run.into().as_str(), "tasks"]);
        Pages::new(self, request.map(|request| options.query(request)), read)
    }
}

fn read(json: Json) -> Result<(String, Task), Json> {
    let task = json.read::<Item<Task>>().into_value().map(Item::into_inner);
    let id = task.as_ref().and_then(|task| task.id.get());
    match id.map(ToString::to_string).zip(task) {
        Some(read) => Ok(read),
        None => Err(json),
    }
}
