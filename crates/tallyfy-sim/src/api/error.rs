//! Error answers, in the variants of section f.1.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::quirks::ErrorForm;
use crate::render::to_text;
use crate::world::WorldError;

/// An answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ApiError {
    /// `Authorization` is missing, malformed or not known.
    Unauthenticated,
    /// `Accept` or `X-Tallyfy-Client` is missing.
    MissingHeaders,
    /// The token is not good for this.
    Forbidden,
    /// There is no such path.
    NoEndpoint,
    /// There is no such thing.
    NoResource,
    /// A value is not accepted.
    Unprocessable { field: String, message: String },
    /// The body is not what it should be.
    BadRequest(String),
    /// Too many calls.
    TooMany { retry_after: Option<String> },
    /// Anything else.
    Status(StatusCode),
}

impl From<WorldError> for ApiError {
    fn from(error: WorldError) -> Self {
        match error {
            WorldError::NotFound { .. } => Self::NoResource,
            WorldError::Invalid { field, message } => Self::Unprocessable { field, message },
        }
    }
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated | Self::MissingHeaders => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NoEndpoint | Self::NoResource => StatusCode::NOT_FOUND,
            Self::Unprocessable { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Status(status) => *status,
        }
    }

    fn code(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoEndpoint => "ENDPOINT_NOT_FOUND",
            Self::NoResource => "RESOURCE_NOT_FOUND",
            Self::TooMany { .. } => "RATE_LIMIT_EXCEEDED",
            _ => return None,
        })
    }

    fn message(&self) -> String {
        match self {
            Self::Unauthenticated => "unauthenticated".to_owned(),
            Self::MissingHeaders => "missing required headers".to_owned(),
            Self::Forbidden => "forbidden".to_owned(),
            Self::NoEndpoint => "API endpoint not found".to_owned(),
            Self::NoResource => "Resource not found".to_owned(),
            Self::Unprocessable { .. } => "invalid".to_owned(),
            Self::BadRequest(message) => message.clone(),
            Self::TooMany { .. } => "too many requests, slow down".to_owned(),
            Self::Status(status) => status.canonical_reason().unwrap_or("error").to_lowercase(),
        }
    }

    fn body(&self, form: ErrorForm) -> Value {
        let (message, code) = (self.message(), self.code());
        if let Self::Unprocessable { field, message: why } = self {
            let errors = json!({field: [why]});
            return match form {
                ErrorForm::Flagged => json!({"error": true, "errors": errors}),
                ErrorForm::MessageOnly => json!({"error": true, "message": why}),
                ErrorForm::Named | ErrorForm::Nested => json!({"message": message, "errors": errors}),
            };
        }
        match form {
            ErrorForm::Flagged => match code {
                Some(code) => json!({"error": true, "message": message, "code": code}),
                None => json!({"error": true, "message": message}),
            },
            ErrorForm::MessageOnly if *self == Self::Unauthenticated => json!({"message": "Unauthenticated."}),
            ErrorForm::MessageOnly => json!({"message": message}),
            ErrorForm::Named => {
                json!({"error": self.status().canonical_reason().unwrap_or("Error"), "message": message})
            }
            ErrorForm::Nested => {
                let code = code.map_or_else(|| self.status().as_str().to_owned(), str::to_owned);
                json!({"error": {"code": code, "message": message, "details": {}}})
            }
        }
    }

    /// The answer: JSON, or a page of HTML for those who did not ask for JSON.
    pub(crate) fn response(&self, form: ErrorForm, accepts_json: bool) -> Response {
        let mut response = if accepts_json {
            json_response(self.status(), to_text(&self.body(form), false))
        } else {
            html_response(
                self.status(),
                format!("<!doctype html><title>{0}</title><h1>{0}</h1>", self.status()),
            )
        };
        if let Self::TooMany {
            retry_after: Some(retry_after),
        } = self
            && let Ok(value) = HeaderValue::from_str(retry_after)
        {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }
}

/// An answer with a JSON body.
pub(crate) fn json_response(status: StatusCode, text: String) -> Response {
    with_type(status, "application/json", text)
}

/// An answer with an HTML body.
pub(crate) fn html_response(status: StatusCode, text: String) -> Response {
    with_type(status, "text/html; charset=UTF-8", text)
}

fn with_type(status: StatusCode, content_type: &'static str, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
