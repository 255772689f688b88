//! Archiving a run, and taking it back.

use tallyfy_model::RunId;
use tallyfy_transport::Request;

use crate::client::Client;
use crate::error::Error;

impl Client {
    /// Archives a run with its tasks, comments and files: `DELETE /organizations/{org}/runs/{run}`. Nothing is deleted;
    /// [`activate_run`](Self::activate_run) takes it back.
    ///
    /// # Errors
    /// [`Error`]; see [`Error::OutcomeUnknown`].
    pub async fn archive_run(&self, run: impl Into<RunId>) -> Result<(), Error> {
        let run = run.into();
        // What a success answers is not reliable: it may be empty (API reference, section f.1).
        self.send(Request::delete(self.path(["runs", run.as_str()]))?)
            .await
            .map(|_| ())
    }

    /// Takes a run back from the archive: `PUT /organizations/{org}/runs/{run}/activate`.
    ///
    /// # Errors
    /// [`Error`]; see [`Error::OutcomeUnknown`].
    pub async fn activate_run(&self, run: impl Into<RunId>) -> Result<(), Error> {
        let run = run.into();
        let request = Request::put(self.path(["runs", run.as_str(), "activate"]))?;
        self.send(request).await.map(|_| ())
    }
}
