//! Who asks the API.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use tallyfy_model::OrgId;
use tallyfy_transport::{HttpTransport, Request, Response, TransportError};

use crate::decode;
use crate::error::{Error, Mismatch};

/// Asks the API on behalf of one organization. Clones share the transport.
#[derive(Clone)]
pub struct Client {
    transport: Arc<dyn HttpTransport>,
    org: OrgId,
    clock: fn() -> Timestamp,
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Client");
        shown.field("org", &self.org).finish_non_exhaustive()
    }
}

impl Client {
    /// A client that sends through this transport, which is to add the token.
    pub fn new(transport: impl HttpTransport + 'static, org: impl Into<OrgId>) -> Self {
        Self {
            transport: Arc::new(transport),
            org: org.into(),
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

    /// Sends any request, for what has no method here. The path is below the base URL.
    ///
    /// An answer that is not 2xx is the same [`Error`] as from any other method; the body of one that is, is for the caller
    /// to read. What is not `GET` is sent once and never again: see [`Error::OutcomeUnknown`].
    ///
    /// ```no_run
    /// use tallyfy_runs::{Client, transport::Request};
    ///
    /// # async fn tags(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let request = Request::get(["organizations", client.org().as_str(), "tags"])?.query("per_page", "100");
    /// let tags: serde_json::Value = client.send(request).await?.json()?;
    /// # drop(tags);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error`].
    pub async fn send(&self, request: Request) -> Result<Response, Error> {
        let response = self.transport.send(request.clone()).await?;
        if response.status.is_success() {
            Ok(response)
        } else {
            Err(Error::of_answer(&request, &response, self.clock))
        }
    }

    /// Asks for one run of the organization's list, to see whether the API is there and the token good for it.
    ///
    /// # Errors
    /// [`Error`], as any other request would have it.
    pub async fn probe(&self) -> Result<(), Error> {
        let request = self.get(["runs"])?.query("per_page", "1");
        self.ask(request, |body| decode::data(body).map(|_| ())).await
    }

    /// A request for something of the organization's.
    pub(crate) fn get<'a>(&'a self, path: impl IntoIterator<Item = &'a str>) -> Result<Request, TransportError> {
        Request::get(self.path(path))
    }

    /// A path to something of the organization's.
    pub(crate) fn path<'a>(&'a self, path: impl IntoIterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
        ["organizations", self.org.as_str()].into_iter().chain(path)
    }

    pub(crate) async fn ask<T>(
        &self,
        request: Request,
        read: impl FnOnce(&[u8]) -> Result<T, Mismatch>,
    ) -> Result<T, Error> {
        let response = self.send(request.clone()).await?;
        read(&response.body).map_err(|mismatch| Error::of_body(&request, &response, mismatch))
    }
}
