//! A layer that writes down what goes over the wire, without the secrets, and a transport that answers from that.

mod redact;
mod replay;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{HttpTransport, Request, Response, TransportError};

pub use replay::{RecordingError, Replay};

/// The headers of an answer that are written down; any other could hold a secret.
const KEPT_HEADERS: [&str; 8] = [
    "content-type",
    "content-encoding",
    "date",
    "retry-after",
    "server",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-request-id",
];

/// One request and its answer, as a line of a recording.
#[derive(Debug, Serialize, Deserialize)]
struct Exchange {
    method: String,
    /// With the query, in which the values of secrets are replaced.
    path: String,
    /// `None` if there was no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    milliseconds: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    /// As it came, but for the values of secrets; what is not JSON is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_left_out: Option<String>,
}

/// Where exchanges are written to, one JSON object a line. Clones write to the same place.
///
/// Left out are all headers and the body of a request, and all but a few headers of an answer. In the query and in the
/// body of an answer, the values of members whose names speak of tokens, secrets, passwords, webhooks or guest links are
/// replaced by `[redacted]`, and so is the query of every URL. The rest of a body stays as it came, to the byte; a body
/// that is not JSON cannot be searched and is left out.
///
/// Names, addresses and answers are not secrets in this sense: look a recording over before you pass it on.
#[derive(Clone)]
pub struct Recording {
    out: Arc<Mutex<Box<dyn Write + Send>>>,
    failed: Arc<AtomicBool>,
}

impl Recording {
    /// Writes to anything.
    pub fn to_writer(out: impl Write + Send + 'static) -> Self {
        Self {
            out: Arc::new(Mutex::new(Box::new(out))),
            failed: Arc::default(),
        }
    }

    /// Appends to a file, which is made, for its owner alone, if it is not there.
    ///
    /// # Errors
    /// Whatever opening it reports.
    pub fn to_file(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self::to_writer(private(path.as_ref())?))
    }

    /// Trouble with a recording is no trouble of the request.
    fn write(&self, exchange: &Exchange) {
        let written = serde_json::to_string(exchange)
            .map_err(io::Error::other)
            .and_then(|mut line| {
                line.push('\n');
                let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
                out.write_all(line.as_bytes()).and_then(|()| out.flush())
            });
        if let Err(error) = written
            && !self.failed.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(%error, "an exchange could not be recorded; others may be missing too");
        }
    }
}

fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Writes every exchange down, without secrets, for a report of a bug for example.
///
/// ```
/// # #[cfg(feature = "reqwest")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tallyfy_transport::{BaseUrl, Recorded, Recording, ReqwestTransport};
///
/// # let folder = tempfile::tempdir()?;
/// # let file = folder.path().join("exchanges.jsonl");
/// let wire = ReqwestTransport::builder(BaseUrl::default()).build()?;
/// let transport = Recorded::new(wire, Recording::to_file(file)?);
/// # drop(transport);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "reqwest"))]
/// # fn main() {}
/// ```
#[derive(Clone)]
pub struct Recorded<T> {
    inner: T,
    recording: Recording,
}

impl<T> Recorded<T> {
    /// Wraps a transport.
    pub fn new(inner: T, recording: Recording) -> Self {
        Self { inner, recording }
    }
}

#[async_trait]
impl<T: HttpTransport> HttpTransport for Recorded<T> {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let started = Instant::now();
        let (method, path) = (request.method().to_string(), redact::path_and_query(&request));
        let outcome = self.inner.send(request).await;
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut exchange = Exchange {
            method,
            path,
            status: None,
            error: None,
            milliseconds,
            headers: BTreeMap::new(),
            body: None,
            body_left_out: None,
        };
        match &outcome {
            Ok(response) => describe(response, &mut exchange),
            Err(error) => exchange.error = Some(error.to_string()),
        }
        self.recording.write(&exchange);
        outcome
    }
}

fn describe(response: &Response, exchange: &mut Exchange) {
    exchange.status = Some(response.status.as_u16());
    let kept = KEPT_HEADERS.iter().filter_map(|name| {
        let value = response.headers.get(*name)?.to_str().ok()?;
        Some(((*name).to_owned(), value.to_owned()))
    });
    exchange.headers = kept.collect();
    let text = std::str::from_utf8(&response.body).ok();
    match text.map(|text| {
        if text.trim().is_empty() {
            Some(text.to_owned())
        } else {
            redact::json(text)
        }
    }) {
        Some(Some(body)) => exchange.body = Some(body),
        _ => exchange.body_left_out = Some(format!("{} bytes that are not JSON", response.body.len())),
    }
}
