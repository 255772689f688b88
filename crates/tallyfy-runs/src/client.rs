//! The use cases that ask the API.

use std::sync::Arc;

use jiff::Timestamp;
use tallyfy_model::{OrgId, Run, RunId, Task, TaskId};
use tallyfy_transport::{HttpTransport, Request, Response};

use crate::decode;
use crate::error::{Answer, Error, Mismatch};
use crate::include::Include;

/// Asks the API on behalf of one organization. Clones share the transport.
#[derive(Clone)]
pub struct Client {
    transport: Arc<dyn HttpTransport>,
    org: OrgId,
    clock: fn() -> Timestamp,
}

/// What is fetched together with a run. The default is what the vendor's documentation shows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetRunOptions {
    /// The values of `with`.
    pub includes: Vec<Include>,
    /// Whether the values of form fields are fetched.
    pub form_fields_values: bool,
}

impl Default for GetRunOptions {
    fn default() -> Self {
        Self {
            includes: vec![Include::Checklist, Include::Tasks, Include::Tags, Include::FormFields],
            form_fields_values: true,
        }
    }
}

impl GetRunOptions {
    /// The run alone.
    pub fn none() -> Self {
        Self {
            includes: Vec::new(),
            form_fields_values: false,
        }
    }

    /// Fetches these with it, and no others.
    #[must_use]
    pub fn with_includes(mut self, includes: impl IntoIterator<Item = Include>) -> Self {
        self.includes = includes.into_iter().collect();
        self
    }

    /// Fetches the values of form fields, or leaves them out.
    #[must_use]
    pub fn with_form_fields_values(mut self, values: bool) -> Self {
        self.form_fields_values = values;
        self
    }
}

impl Client {
    /// A client that sends through this transport, which is to add the token.
    pub fn new(transport: impl HttpTransport + 'static, org: OrgId) -> Self {
        Self {
            transport: Arc::new(transport),
            org,
            clock: Timestamp::now,
        }
    }

    /// Replaces the system's clock. It is asked only when a 429 has a date in `Retry-After` and no `Date` of its own.
    #[must_use]
    pub fn with_clock(mut self, clock: fn() -> Timestamp) -> Self {
        self.clock = clock;
        self
    }

    /// The organization.
    pub fn org(&self) -> &OrgId {
        &self.org
    }

    /// Gets a run: `GET /organizations/{org}/runs/{run}`.
    ///
    /// # Errors
    /// [`Error`]; nothing is tried twice.
    pub async fn get_run(&self, run: &RunId, options: &GetRunOptions) -> Result<Run, Error> {
        let mut request = Request::get(["organizations", self.org.as_str(), "runs", run.as_str()])?;
        if !options.includes.is_empty() {
            let with: Vec<&str> = options.includes.iter().map(Include::as_str).collect();
            request = request.query("with", with.join(","));
        }
        if options.form_fields_values {
            request = request.query("form_fields_values", "true");
        }
        self.ask(request, |body| decode::run(body, run)).await
    }

    /// Gets a task by its id alone: `GET /organizations/{org}/tasks/{task}`. It names its run.
    ///
    /// # Errors
    /// [`Error`]; nothing is tried twice.
    pub async fn get_task(&self, task: &TaskId) -> Result<Task, Error> {
        let request = Request::get(["organizations", self.org.as_str(), "tasks", task.as_str()])?;
        self.ask(request, |body| decode::task(body, task)).await
    }

    /// Asks for one run of the organization's list, to see whether the API is there and the token good for it.
    ///
    /// # Errors
    /// [`Error`], as any other request would have it.
    pub async fn probe(&self) -> Result<(), Error> {
        let request = Request::get(["organizations", self.org.as_str(), "runs"])?.query("per_page", "1");
        self.ask(request, |body| decode::data(body).map(|_| ())).await
    }

    async fn ask<T>(&self, request: Request, read: impl FnOnce(&[u8]) -> Result<T, Mismatch>) -> Result<T, Error> {
        let response: Response = self.transport.send(request.clone()).await?;
        if !response.status.is_success() {
            return Err(Error::of_answer(&request, &response, self.clock));
        }
        read(&response.body).map_err(|mismatch| Error::NotTheExpectedJson {
            answer: Answer::new(&request, &response),
            mismatch,
        })
    }
}
