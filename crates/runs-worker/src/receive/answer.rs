//! What the sender is told.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONNECTION};
use http::{HeaderValue, StatusCode};
use serde_json::json;
use uuid::Uuid;

use crate::front_door::KnownSender;

/// The receiver's whole vocabulary.
pub(super) enum Answer {
    Stored(Uuid),
    Unrecognized(Uuid),
    Duplicate(Uuid),
    Empty,
    Broken,
    WrongOrganization,
    NotFound,
    WrongMethod,
    TooSlow,
    TooLarge(usize),
    Busy,
    NotStored,
}

/// Every status.
pub(crate) const STATUSES: [&str; 9] = ["200", "202", "400", "403", "404", "405", "408", "413", "503"];

/// The labels of webhooks that were turned away.
pub(crate) const REFUSALS: [&str; 9] = [
    "empty",
    "broken",
    "wrong organization",
    "not found",
    "wrong method",
    "too slow",
    "too large",
    "busy",
    "not stored",
];

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Stored(_) | Self::Unrecognized(_) => StatusCode::ACCEPTED,
            Self::Duplicate(_) => StatusCode::OK,
            Self::Empty | Self::Broken => StatusCode::BAD_REQUEST,
            Self::WrongOrganization => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy | Self::NotStored => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What the body says.
    fn said(&self) -> serde_json::Value {
        let error = |text: &str| json!({"error": text});
        match self {
            Self::Stored(id) => json!({"status": "stored", "notification": id.to_string()}),
            Self::Unrecognized(id) => json!({"status": "unrecognized", "notification": id.to_string()}),
            Self::Duplicate(of) => json!({"status": "duplicate", "notification": of.to_string()}),
            Self::Empty => error("the body is empty"),
            Self::Broken => error("the body did not arrive whole"),
            Self::WrongOrganization => {
                error("the header X-Tallyfy-orgID does not name the organization of this address")
            }
            Self::NotFound => error("not found"),
            Self::WrongMethod => error("webhooks are sent by POST"),
            Self::TooSlow => error("the body took too long"),
            Self::TooLarge(limit) => error(&format!("the body is larger than {limit} bytes")),
            Self::Busy => error("too many webhooks at a time"),
            Self::NotStored => error("the notification could not be stored"),
        }
    }

    /// The label of a webhook that was turned away.
    pub(super) fn refusal(&self) -> Option<&'static str> {
        match self {
            Self::Stored(_) | Self::Unrecognized(_) | Self::Duplicate(_) => None,
            Self::Empty => Some("empty"),
            Self::Broken => Some("broken"),
            Self::WrongOrganization => Some("wrong organization"),
            Self::NotFound => Some("not found"),
            Self::WrongMethod => Some("wrong method"),
            Self::TooSlow => Some("too slow"),
            Self::TooLarge(_) => Some("too large"),
            Self::Busy => Some("busy"),
            Self::NotStored => Some("not stored"),
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let known_sender = !matches!(self, Self::NotFound);
        let (status, body) = (self.status(), self.said());
        let mut response = (status, Json(body)).into_response();
        if known_sender {
            response.extensions_mut().insert(KnownSender);
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        }
        // What is left of a request that was not read to its end must not be taken for the next one.
        if matches!(status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT) {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
