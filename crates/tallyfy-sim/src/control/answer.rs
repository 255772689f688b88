//! Answers of control endpoints and their errors.

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::world::WorldError;

/// Why a control request was refused.
#[derive(Debug)]
pub(super) enum Refused {
    /// The body is not what it should be.
    Body(String),
    /// The world refused.
    World(WorldError),
}

impl From<WorldError> for Refused {
    fn from(error: WorldError) -> Self {
        Self::World(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::Body(message) => (StatusCode::BAD_REQUEST, message),
            Self::World(error @ WorldError::NotFound { .. }) => (StatusCode::NOT_FOUND, error.to_string()),
            Self::World(error @ WorldError::Invalid { .. }) => (StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
        };
        with_status(status, &json!({"error": message}))
    }
}

/// Reads a JSON body; an empty one is an empty object.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refused> {
    let text: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(text).map_err(|error| Refused::Body(format!("cannot read the body: {error}")))
}

/// 200 with this body, indented for people.
pub(super) fn ok(body: &Value) -> Response {
    with_status(StatusCode::OK, body)
}

pub(super) fn with_status(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(format!("{body:#}\n")));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
