//! Answering the form of a task.

use serde_json::json;
use tallyfy_model::{Task, TaskId, WithJson};
use tallyfy_transport::Request;

use super::refused;
use crate::client::Client;
use crate::error::Error;
use crate::form::Form;

impl Client {
    /// Enters these answers in a task's form: `PUT …/tasks/{task}`. Other answers stay as they are, and the task stays open.
    ///
    /// # Errors
    /// [`Error`]; see [`Error::OutcomeUnknown`]. A form without an answer is not sent.
    pub async fn set_answers(&self, task: &Task, form: &Form) -> Result<WithJson<Task>, Error> {
        let answers = form.to_json();
        if answers.as_object().is_none_or(serde_json::Map::is_empty) {
            let id = TaskId::from(task);
            let request = Request::put(self.task_path(task, ["tasks", id.as_str()]))?;
            return Err(refused(&request, "the form has no answer to be sent".to_owned()));
        }
        self.update_task(task, &json!({"taskdata": answers})).await
    }
}
