//! A transport that answers from a recording.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::{fs, io};

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use thiserror::Error;

use super::{Exchange, redact};
use crate::{ErrorKind, HttpTransport, Request, Response, TransportError};

/// Answers what was recorded, without a server.
///
/// An exchange is found by its method, path and query. What was asked several times is answered in the order in which it
/// was recorded, and the last answer again and again. A request that was not recorded is an error of the kind
/// [`ErrorKind::InvalidRequest`]; one that was recorded without an answer, of the kind [`ErrorKind::Interrupted`].
#[derive(Debug)]
pub struct Replay {
    answers: Mutex<BTreeMap<(String, String), VecDeque<Exchange>>>,
}

/// Why something is no recording.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// It cannot be read.
    #[error("the recording cannot be read")]
    Io(#[from] io::Error),
    /// A line of it is no exchange.
    #[error("line {line} of the recording is no exchange")]
    Line {
        /// Counted from 1.
        line: usize,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl Replay {
    /// Reads a recording: an exchange on each line.
    ///
    /// # Errors
    /// [`RecordingError`], with the number of the line.
    pub fn from_text(recording: &str) -> Result<Self, RecordingError> {
        let mut answers: BTreeMap<_, VecDeque<Exchange>> = BTreeMap::new();
        for (index, line) in recording
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
        {
            let exchange: Exchange = serde_json::from_str(line).map_err(|source| RecordingError::Line {
                line: index + 1,
                source,
            })?;
            let key = (exchange.method.clone(), exchange.path.clone());
            answers.entry(key).or_default().push_back(exchange);
        }
        Ok(Self {
            answers: Mutex::new(answers),
        })
    }

    /// Reads a recording from a file.
    ///
    /// # Errors
    /// [`RecordingError`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, RecordingError> {
        Self::from_text(&fs::read_to_string(path)?)
    }
}

#[async_trait]
impl HttpTransport for Replay {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let failed = |kind, detail: &str| {
            Err(TransportError::new(kind, request.method().clone(), request.path()).with_detail(detail))
        };
        let key = (request.method().to_string(), redact::path_and_query(&request));
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = answers.get_mut(&key);
        let Some((exchange, is_last)) = queue.and_then(|queue| Some((queue.pop_front()?, queue.is_empty()))) else {
            return failed(ErrorKind::InvalidRequest, "it is not in the recording");
        };
        let outcome = match exchange.status.map(StatusCode::from_u16) {
            Some(Ok(status)) => Ok(Response::new(
                status,
                headers(&exchange),
                exchange.body.clone().unwrap_or_default(),
            )),
            Some(Err(_)) => failed(ErrorKind::InvalidRequest, "its status in the recording is none"),
            None => failed(
                ErrorKind::Interrupted,
                exchange.error.as_deref().unwrap_or("it was not answered"),
            ),
        };
        if is_last {
            answers.entry(key).or_default().push_back(exchange);
        }
        outcome
    }
}

fn headers(exchange: &Exchange) -> HeaderMap {
    let header = |(name, value): (&String, &String)| {
        let name = HeaderName::try_from(name.as_str()).ok()?;
        Some((name, HeaderValue::try_from(value.as_str()).ok()?))
    };
    exchange.headers.iter().filter_map(header).collect()
}
