//! What a fault makes of an answer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use hyper::body::{Frame, SizeHint};
use jiff::Timestamp;

use super::error::{ApiError, html_response, json_response};
use crate::faults::{Fault, RetryAfter};
use crate::quirks::ErrorForm;

/// The connection has to close without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection is dropped on request")]
pub(crate) struct Dropped;

/// The answer that a fault gives instead of the API, if it does.
pub(crate) fn instead(
    fault: &Fault,
    now: Timestamp,
    errors: ErrorForm,
    accepts_json: bool,
) -> Option<Result<Response, Dropped>> {
    let error = match fault {
        Fault::Dropped => return Some(Err(Dropped)),
        Fault::Html { status } => return Some(Ok(leaking_page(*status))),
        Fault::EmptyBody => return Some(Ok(json_response(StatusCode::OK, String::new()))),
        Fault::EmptyData => return Some(Ok(json_response(StatusCode::OK, r#"{"data":{}}"#.to_owned()))),
        Fault::TooManyRequests { retry_after } => ApiError::TooMany {
            retry_after: header_text(*retry_after, now),
        },
        Fault::Unauthorized => ApiError::Unauthenticated,
        Fault::Forbidden => ApiError::Forbidden,
        Fault::NotFound => ApiError::NoResource,
        Fault::Status { status } => {
            ApiError::Status(StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        }
        _ => return None,
    };
    Some(Ok(error.response(errors, accepts_json)))
}

/// What a fault does to the answer that the API gives.
pub(crate) async fn spoil(fault: &Fault, response: Response) -> Result<Response, Dropped> {
    let whole = match fault {
        Fault::Truncated => true,
        Fault::DroppedMidway => false,
        _ => return Ok(response),
    };
    let (mut parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(|_| Dropped)?;
    if whole {
        parts
            .headers
            .insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    } else {
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    Ok(Response::from_parts(
        parts,
        Body::new(Broken::after(body.slice(..body.len() / 2))),
    ))
}

fn header_text(retry_after: RetryAfter, now: Timestamp) -> Option<String> {
    match retry_after {
        RetryAfter::Absent => None,
        RetryAfter::Seconds(seconds) => Some(seconds.to_string()),
        RetryAfter::Date(seconds) => {
            let at = now.checked_add(Duration::from_secs(u64::from(seconds))).unwrap_or(now);
            Some(at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
        }
    }
}

/// Text that a page of [`Fault::Html`] leaks, for tests that search for it.
pub const LEAKED_SQL: &str = "SQLSTATE[HY000]: select * from `runs` where `secret_note` = 'do not show'";

fn leaking_page(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    html_response(
        status,
        format!("<!doctype html><title>Oops</title><h1>{status}</h1><pre>{LEAKED_SQL}</pre>"),
    )
}

/// A body that breaks off: one piece, a moment for hyper to write it, then an error that makes hyper abort.
#[derive(Debug)]
struct Broken {
    piece: Option<Bytes>,
    /// Polls to sit out. Hyper writes its buffer only while the body is not ready.
    moments: u8,
}

impl Broken {
    fn after(piece: Bytes) -> Self {
        Self {
            piece: Some(piece),
            moments: 2,
        }
    }
}

impl hyper::body::Body for Broken {
    type Data = Bytes;
    type Error = Dropped;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Dropped>>> {
        if let Some(piece) = self.piece.take().filter(|piece| !piece.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if self.moments > 0 {
            self.moments -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(Dropped)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
