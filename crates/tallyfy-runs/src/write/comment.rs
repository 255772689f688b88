//! Commenting on a task.

use serde_json::json;
use tallyfy_model::{Task, TaskId, Thread, WithJson};
use tallyfy_transport::Request;

use super::refused;
use crate::client::Client;
use crate::decode;
use crate::error::Error;

impl Client {
    /// Comments on a task: `POST /organizations/{org}/tasks/{task}/comment`. Those who are assigned may be told of it. The API
    /// takes 120 comments an hour from an organization.
    ///
    /// # Errors
    /// [`Error`]; see [`Error::OutcomeUnknown`]. A comment without text is not sent.
    pub async fn comment(&self, task: &Task, text: impl Into<String>) -> Result<WithJson<Thread>, Error> {
        let text = text.into();
        let id = TaskId::from(task);
        let request = Request::post(self.path(["tasks", id.as_str(), "comment"]))?;
        if text.trim().is_empty() {
            return Err(refused(&request, "the comment has no text".to_owned()));
        }
        let request = request.json(json!({"content": text}).to_string());
        self.ask(request, |body| decode::thing(body, "a comment")).await
    }
}
