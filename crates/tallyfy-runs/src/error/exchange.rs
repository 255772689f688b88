//! What was asked, and how it was answered.

use std::fmt;

use http::{Method, StatusCode};
use tallyfy_model::ApiError;
use tallyfy_transport::{Request, Response};

use super::mismatch::one_line;

/// What was asked, and how it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exchange {
    /// The method.
    pub method: Method,
    /// The path, without the base URL and the query.
    pub path: String,
    /// The status.
    pub status: StatusCode,
    /// The vendor's id of the request, for a question to its support.
    pub request_id: Option<String>,
    /// What the API says of a 4xx answer; says nothing for any other.
    pub api: ApiError,
}

impl Exchange {
    pub(crate) fn new(request: &Request, response: &Response) -> Self {
        let says = response.status.is_client_error();
        Self {
            method: request.method().clone(),
            path: request.path().to_owned(),
            status: response.status,
            request_id: response.request_id().map(str::to_owned),
            api: if says {
                ApiError::parse(&response.body)
            } else {
                ApiError::default()
            },
        }
    }

    pub(super) fn trouble(&self) -> &'static str {
        if self.status.is_redirection() {
            "a redirect, which is not followed; check the base URL"
        } else if self.status == StatusCode::REQUEST_TIMEOUT {
            "the server gave up waiting for the request"
        } else {
            "the server is in trouble"
        }
    }

    pub(super) fn reason(&self) -> String {
        if self.api == ApiError::default() {
            String::new()
        } else {
            format!(": {}", self.api)
        }
    }
}

impl fmt::Display for Exchange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} {} answered {}",
            self.method,
            self.path,
            self.status.as_u16()
        )?;
        if let Some(id) = &self.request_id {
            write!(formatter, " (request {})", one_line(id))?;
        }
        Ok(())
    }
}
