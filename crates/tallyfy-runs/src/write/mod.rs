//! What changes something.
//!
//! A write is sent once, whatever becomes of it. When it is not known whether it was done, the error is
//! [`Error::OutcomeUnknown`]; every other error says that it was not done.

mod assign;
mod comment;
mod complete;
mod fill;
mod keep;
mod launch;

use serde_json::Value;
use tallyfy_model::{Task, TaskId, WithJson};
use tallyfy_transport::{ErrorKind, Request, TransportError};

use crate::client::Client;
use crate::decode;
use crate::error::Error;

pub use assign::Assignees;
pub use complete::{Completion, NotCompletable};
pub use launch::Launch;

impl Client {
    /// The path to a task: below its run, or, for a one-off task, without one.
    fn task_path<'a>(&'a self, task: &'a Task, rest: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
        let run = task.run_id.get().map(|run| ["runs", run.as_str()]);
        self.path(run.into_iter().flatten().chain(rest)).collect()
    }

    /// Changes a task, and reads it from the answer.
    async fn update_task(&self, task: &Task, body: &Value) -> Result<WithJson<Task>, Error> {
        let id = TaskId::from(task);
        let request = Request::put(self.task_path(task, ["tasks", id.as_str()]))?.json(body.to_string());
        self.ask(request, |body| decode::task(body, &id)).await
    }
}

/// The error of a request that is not sent, because the API would take it for something else than what is meant.
fn refused(request: &Request, why: String) -> Error {
    TransportError::new(ErrorKind::InvalidRequest, request.method().clone(), request.path())
        .with_detail(why)
        .into()
}
