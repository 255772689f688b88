//! A transport that answers by script.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tallyfy_transport::{ErrorKind, HttpTransport, Request, Response, TransportError};
use tokio::time::Instant;

pub(crate) type Outcome = Result<Response, TransportError>;

pub(crate) type Line = Box<dyn Fn() -> Outcome + Send>;

/// Answers one outcome after another, the last one again and again, each after a while.
#[derive(Clone)]
pub(crate) struct Script {
    outcomes: Arc<Mutex<VecDeque<Line>>>,
    takes: Duration,
    sent: Arc<Mutex<Vec<(Instant, Request)>>>,
}

impl Script {
    pub(crate) fn new(outcomes: impl IntoIterator<Item = Line>) -> Self {
        Self {
            outcomes: Arc::new(Mutex::new(outcomes.into_iter().collect())),
            takes: Duration::ZERO,
            sent: Arc::default(),
        }
    }

    /// Answers with these statuses.
    pub(crate) fn statuses(statuses: impl IntoIterator<Item = u16>) -> Self {
        Self::new(statuses.into_iter().map(|status| boxed(move || Ok(answer(status, "")))))
    }

    pub(crate) fn taking(mut self, time: Duration) -> Self {
        self.takes = time;
        self
    }

    pub(crate) fn push(&self, outcome: impl Fn() -> Outcome + Send + 'static) {
        self.outcomes.lock().unwrap().push_back(boxed(outcome));
    }

    pub(crate) fn count(&self) -> usize {
        self.sent.lock().unwrap().len()
    }

    /// When requests came, in seconds after the first one.
    pub(crate) fn seconds(&self) -> Vec<f64> {
        let sent = self.sent.lock().unwrap();
        sent.iter().map(|(at, _)| (*at - sent[0].0).as_secs_f64()).collect()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.sent
            .lock()
            .unwrap()
            .iter()
            .map(|(_, request)| request.clone())
            .collect()
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Script").field("sent", &self.count()).finish()
    }
}

#[async_trait]
impl HttpTransport for Script {
    async fn send(&self, request: Request) -> Outcome {
        self.sent.lock().unwrap().push((Instant::now(), request));
        tokio::time::sleep(self.takes).await;
        let mut outcomes = self.outcomes.lock().unwrap();
        if outcomes.len() > 1 {
            outcomes.pop_front().unwrap()()
        } else {
            outcomes[0]()
        }
    }
}

pub(crate) fn boxed(outcome: impl Fn() -> Outcome + Send + 'static) -> Line {
    Box::new(outcome)
}

pub(crate) fn answer(status: u16, body: impl Into<bytes::Bytes>) -> Response {
    Response::new(StatusCode::from_u16(status).unwrap(), HeaderMap::new(), body.into())
}

pub(crate) fn with_header(response: Response, name: &'static str, value: &str) -> Response {
    response.with_header(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
}

pub(crate) fn failed(kind: ErrorKind) -> Outcome {
    Err(TransportError::new(kind, Method::GET, "/runs/r1"))
}

pub(crate) fn get() -> Request {
    Request::get(["runs", "r1"]).unwrap()
}
