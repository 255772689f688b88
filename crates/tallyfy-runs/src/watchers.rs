//! Webhooks of an organization as a whole. The API calls them watchers (API reference, section g.2).

use serde_json::json;
use tallyfy_model::{UserId, Watcher, WatcherId, WithJson};
use tallyfy_transport::Request;

use crate::client::Client;
use crate::decode;
use crate::error::Error;
use crate::pages::Pages;

impl Client {
    /// Lists the webhooks of the organization: `GET …/watchers?notification=webhook`.
    pub fn list_watchers(&self) -> Pages<WithJson<Watcher>> {
        let request = self.get(["watchers"]);
        let request = request.map(|request| request.query("notification", "webhook"));
        Pages::new(self, request, |json| {
            decode::element(json, |watcher: &Watcher| watcher.id.get())
        })
    }

    /// Has all events of the organization sent to a URL: `POST …/users/{user}/add-watcher`. The user is the caller, see
    /// [`me`](Self::me), and has to be an administrator.
    ///
    /// # Errors
    /// [`Error`]; see [`Error::OutcomeUnknown`]. For one who is no administrator it is [`Error::NoAccess`].
    pub async fn add_watcher(
        &self,
        user: impl Into<UserId>,
        url: impl Into<String>,
    ) -> Result<WithJson<Watcher>, Error> {
        let user = user.into();
        let body = json!({
            "object_type": "organization",
            "object_id": self.org().as_str(),
            "notification_type": "webhook",
            "frequency": "electric",
            "webhook": url.into(),
        });
        let request = Request::post(self.path(["users", user.as_str(), "add-watcher"]))?.json(body.to_string());
        self.ask(request, |body| decode::thing(body, "a watcher")).await
    }

    /// Ends it: `DELETE …/remove-watcher/{watcher}`.
    ///
    /// # Errors
    /// [`Error`]; see [`Error::OutcomeUnknown`].
    pub async fn remove_watcher(&self, watcher: impl Into<WatcherId>) -> Result<(), Error> {
        let watcher = watcher.into();
        let request = Request::delete(self.path(["remove-watcher", watcher.as_str()]))?;
        self.send(request).await.map(|_| ())
    }
}
