//! What was asked, and how it was answered.

use std::fmt;

use http::{Method, StatusCode};
use serde_json::Value;
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
    /// Whether a 4xx answer is in the API's own words. A firewall, a proxy or another server in its place has others.
    pub is_the_apis_own: bool,
}

impl Exchange {
    pub(crate) fn new(request: &Request, response: &Response) -> Self {
        let says = response.status.is_client_error();
        Self {
            method: request.method().clone(),
            path: request.path().to_owned(),
            status: response.status,
            request_id: response.request_id().map(str::to_owned),
            is_the_apis_own: says && is_the_apis_own(&response.body),
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

/// What servers, frameworks and gateways add to their errors, and the API does not.
const FOREIGN: [&str; 16] = [
    "path",
    "timestamp",
    "exception",
    "trace",
    "status",
    "statusCode",
    "status_code",
    "success",
    "type",
    "title",
    "detail",
    "reason",
    "requestId",
    "request_id",
    "errorCode",
    "documentation_url",
];

/// Whether a body has the members of the API's errors: `error`, and a message or a code beside it or in it (API reference,
/// section f.1). Frameworks and gateways send a message or a word alone, or add where and when, or the status.
fn is_the_apis_own(body: &[u8]) -> bool {
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
        return false;
    };
    let says = |members: &serde_json::Map<String, Value>| {
        ["message", "code"]
            .iter()
            .any(|name| members.get(*name).is_some_and(Value::is_string))
    };
    let is_foreign = |members: &serde_json::Map<String, Value>| FOREIGN.iter().any(|name| members.contains_key(*name));
    let is_error = match members.get("error") {
        Some(Value::Bool(is_error)) => *is_error && says(&members),
        Some(Value::String(word)) => !word.is_empty() && says(&members),
        // Its code is a word; others give the status as a number.
        Some(Value::Object(error)) => {
            says(error) && !is_foreign(error) && error.get("code").is_none_or(Value::is_string)
        }
        _ => false,
    };
    is_error && !is_foreign(&members)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_apis_errors_are_told_from_those_of_others() {
        for own in [
            r#"{"error":true,"message":"Resource not found","code":"RESOURCE_NOT_FOUND"}"#,
            r#"{"error":"Forbidden","message":"You may not see this"}"#,
            r#"{"error":{"code":"GONE","message":"gone"}}"#,
            r#"{"error":true,"code":"RESOURCE_NOT_FOUND"}"#,
        ] {
            assert!(is_the_apis_own(own.as_bytes()), "{own}");
        }
        for other in [
            "",
            "404 page not found",
            "<html><body>Access denied</body></html>",
            r#"{"message":"Not Found"}"#,
            r#"{"message":"The route api/organizations could not be found."}"#,
            r#"{"message":"no Route matched with those values"}"#,
            r#"{"error":false,"message":"x"}"#,
            r#"{"error":true}"#,
            r#"{"error":"Not Found"}"#,
            r#"{"error":{}}"#,
            r#"{"status":404,"error":"Not Found"}"#,
            r#"{"message":"Cannot GET /api","error":"Not Found","statusCode":404}"#,
            r#"{"error":{"code":403,"message":"The caller may not","status":"PERMISSION_DENIED"}}"#,
            r#"{"error":{"code":404,"message":"Not found"}}"#,
            r#"{"success":false,"error":"x","message":"Access denied"}"#,
            r#"{"type":"about:blank","title":"Not Found","error":true,"message":"x"}"#,
            r#"{"timestamp":"2026-01-31","status":404,"error":"Not Found","message":"none","path":"/api"}"#,
            r#"["error"]"#,
        ] {
            assert!(!is_the_apis_own(other.as_bytes()), "{other}");
        }
    }
}
