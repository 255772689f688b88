//! Listing the tasks of a run.

use tallyfy_model::{GroupId, RunId, Task, TaskStatus, UserId, WithJson};
use tallyfy_transport::{Request, TransportError};

use crate::client::Client;
use crate::decode;
use crate::include::TaskInclude;
use crate::pages::Pages;
use crate::query::{all, flag, list, query, text};

/// Which tasks of a run are listed, in which order, and what is fetched with each (API reference, section e.3).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ListTasksOptions {
    /// How they stand.
    pub status: Option<TaskStatus>,
    /// Members of whom one is assigned.
    pub owners: Vec<UserId>,
    /// Guests of whom one is assigned, by e-mail address.
    pub guests: Vec<String>,
    /// Groups of which one is assigned.
    pub groups: Vec<GroupId>,
    /// Only those that nobody is assigned to.
    pub unassigned: bool,
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

    /// Lists those that one of these members is assigned to.
    #[must_use]
    pub fn with_owners(mut self, owners: impl IntoIterator<Item = impl Into<UserId>>) -> Self {
        self.owners = all(owners);
        self
    }

    /// Lists those that one of these guests is assigned to.
    #[must_use]
    pub fn with_guests(mut self, guests: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.guests = all(guests);
        self
    }

    /// Lists those that one of these groups is assigned to.
    #[must_use]
    pub fn with_groups(mut self, groups: impl IntoIterator<Item = impl Into<GroupId>>) -> Self {
        self.groups = all(groups);
        self
    }

    /// Lists those that nobody is assigned to, or all.
    #[must_use]
    pub fn with_unassigned(mut self, unassigned: bool) -> Self {
        self.unassigned = unassigned;
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

    fn query(&self, request: Request) -> Result<Request, TransportError> {
        let parameters = [
            ("status", text(self.status.as_ref())),
            ("owners", list(&self.owners)),
            ("guests", list(&self.guests)),
            ("groups", list(&self.groups)),
            ("unassigned", flag(self.unassigned)),
            ("sort", text(self.order.map(TaskOrder::as_str))),
        ];
        query(request, parameters, &self.other, &self.includes)
    }
}

impl Client {
    /// Lists the tasks of a run: `GET /organizations/{org}/runs/{run}/tasks`.
    ///
    /// Tasks that a rule has hidden are among them. A run that was launched a moment ago may have none yet: the list is
    /// answered by a replica that lags behind (API reference, section e.3).
    pub fn list_tasks(&self, run: impl Into<RunId>, options: &ListTasksOptions) -> Pages<WithJson<Task>> {
        let request = self.get(["runs", run.into().as_str(), "tasks"]);
        let request = request.and_then(|request| options.query(request));
        Pages::new(self, request, |json| decode::element(json, |task: &Task| task.id.get()))
    }
}
