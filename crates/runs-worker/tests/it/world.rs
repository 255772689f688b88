//! What the tests have in common: a worker with a scripted API, and a raw HTTP client.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use http::StatusCode;
use runs_worker::config::{Flags, load};
use runs_worker::{Event, Handler, HandlerError, Worker, WorkerBuilder};
use tallyfy_transport::{HttpTransport, Request, Response, TransportError};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

pub(crate) const ORG: &str = "acme";
pub(crate) const SECRET: &str = "correct-horse-battery-staple";
pub(crate) const OLD_SECRET: &str = "an-older-secret-that-still-works";

/// What is the same for every worker: its state is in `folder`, it listens on free ports, and waits are short.
fn settings(folder: &TempDir) -> BTreeMap<String, String> {
    let data_dir = folder.path().join("data");
    let settings = [
        ("RUNS_WORKER_LISTEN", "127.0.0.1:0"),
        ("RUNS_WORKER_ADMIN_LISTEN", "127.0.0.1:0"),
        ("RUNS_WORKER_DATA_DIR", data_dir.to_str().unwrap()),
        ("RUNS_WORKER__REFRESH__WINDOW", "0s"),
        ("RUNS_WORKER__REFRESH__RETRY_INITIAL", "1ms"),
        ("RUNS_WORKER__DELIVER__RETRY_INITIAL", "1ms"),
        ("RUNS_WORKER__API__REQUESTS_PER_FIVE_SECONDS", "0"),
        ("RUNS_WORKER__API__REQUESTS_PER_MINUTE", "0"),
        ("RUNS_WORKER__API__REQUESTS_PER_HOUR", "0"),
        ("RUNS_WORKER__RECONCILE__SCOPE", "off"),
        ("RUNS_WORKER__RECONCILE__REGISTRATIONS_INTERVAL", "0"),
    ];
    settings
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// A worker that is not started, for one organization and with further settings from `environment`.
pub(crate) fn builder(folder: &TempDir, environment: &[(&str, &str)]) -> WorkerBuilder {
    let secrets = format!("{SECRET},{OLD_SECRET}");
    let organization = [
        ("TALLYFY_ORG_ID", ORG),
        ("TALLYFY_TOKEN", "t0ken-t0ken"),
        ("TALLYFY_WEBHOOK_SECRET", secrets.as_str()),
    ];
    let mut values = settings(folder);
    values.extend(
        organization
            .iter()
            .chain(environment)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    Worker::builder(load(&Flags::default(), &values, true).unwrap())
}

/// A worker that is not started, with its organizations from a file.
pub(crate) fn file_builder(folder: &TempDir, file: &Path) -> WorkerBuilder {
    let mut flags = Flags::default();
    flags.config = Some(file.to_owned());
    Worker::builder(load(&flags, &settings(folder), true).unwrap())
}

type ApiAnswer = dyn Fn(&str, usize) -> (u16, String) + Send + Sync;
type HandlerAnswer = dyn Fn(&Event) -> Result<(), HandlerError> + Send + Sync;

/// An API that answers by a function, and remembers what it was asked.
pub(crate) struct Api {
    answer: Box<ApiAnswer>,
    asked: Mutex<Vec<String>>,
}

impl Api {
    /// `answer` gets the path and how many requests came before.
    pub(crate) fn new(answer: impl Fn(&str, usize) -> (u16, String) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            answer: Box::new(answer),
            asked: Mutex::default(),
        })
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl HttpTransport for Api {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let before = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(request.path_and_query());
            asked.len() - 1
        };
        let (status, body) = (self.answer)(request.path(), before);
        Ok(Response::new(
            StatusCode::from_u16(status).unwrap(),
            http::HeaderMap::new(),
            body,
        ))
    }
}

/// An API that never answers.
pub(crate) struct SilentApi;

#[async_trait]
impl HttpTransport for SilentApi {
    async fn send(&self, _: Request) -> Result<Response, TransportError> {
        std::future::pending().await
    }
}

/// A handler that passes events on to the test, answering as a function says.
pub(crate) struct Relay {
    events: mpsc::UnboundedSender<Event>,
    checked: bool,
    answer: Box<HandlerAnswer>,
}

impl Relay {
    pub(crate) fn new(
        answer: impl Fn(&Event) -> Result<(), HandlerError> + Send + Sync + 'static,
    ) -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (events, received) = mpsc::unbounded_channel();
        (
            Self {
                events,
                checked: true,
                answer: Box::new(answer),
            },
            received,
        )
    }

    /// One that takes events whose JSON the tests' own parser refuses.
    pub(crate) fn unchecked() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (relay, received) = Self::new(|_| Ok(()));
        (
            Self {
                checked: false,
                ..relay
            },
            received,
        )
    }
}

#[async_trait]
impl Handler for Relay {
    async fn handle(&self, event: &Event) -> Result<(), HandlerError> {
        if self.checked {
            check_schema(event);
        }
        self.events.send(event.clone()).map_err(HandlerError::retry)?;
        (self.answer)(event)
    }
}

/// Every event that a test sees is what the schema says.
fn check_schema(event: &Event) {
    static SCHEMA: std::sync::LazyLock<jsonschema::Validator> = std::sync::LazyLock::new(|| {
        let schema = serde_json::from_str(include_str!("../../../../docs/event.schema.json")).unwrap();
        jsonschema::options()
            .should_validate_formats(true)
            .build(&schema)
            .unwrap()
    });
    let json: serde_json::Value = serde_json::from_slice(event.json()).unwrap();
    let wrong: Vec<String> = SCHEMA
        .iter_errors(&json)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}\n{json}");
}

/// Sends bytes as they are and reads the answer to its end.
pub(crate) async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    // What was read before a reset is the answer.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

/// Posts a body with headers and gives the status line's number and the body of the answer.
pub(crate) async fn post(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
    let mut request = format!("POST {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    let answer = exchange(address, &[request.as_bytes(), body].concat()).await;
    parts(&answer)
}

/// Gets a path.
pub(crate) async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    parts(&exchange(address, request.as_bytes()).await)
}

pub(crate) fn parts(answer: &str) -> (u16, String) {
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_default();
    let body = answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned())
        .unwrap_or_default();
    (status, body)
}

/// Posts a webhook as the vendor does.
pub(crate) async fn webhook(worker: &Worker, body: &str) -> (u16, String) {
    let path = format!("/webhooks/{SECRET}");
    post(
        worker.receive_address(),
        &path,
        &[("X-Tallyfy-orgID", ORG)],
        body.as_bytes(),
    )
    .await
}

/// The payload of a completed task.
pub(crate) fn task_completed(run: &str, task: &str, at: &str) -> String {
    format!(
        r#"{{"this_task":{{"id":"{task}","completed_at":"{at}"}},"process":{{"id":"{run}","organization_id":"{ORG}"}},
            "guest-links":{{"guest@example.com":{{"link_for_guest":"https://go.tallyfy.com/guest/l1nk-s3cret"}}}}}}"#
    )
}

/// A run as the API wraps it.
pub(crate) fn run(id: &str, members: &str) -> String {
    format!(r#"{{"data":{{"id":"{id}",{members}}}}}"#)
}
