//! A receiver of webhooks that answers as told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use http::StatusCode;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// One webhook, as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Debug)]
struct Inbox {
    received: Mutex<Vec<Received>>,
    statuses: Mutex<VecDeque<u16>>,
    /// Answers wait for a permit while the door is closed.
    door: Semaphore,
    arrived: watch::Sender<usize>,
}

/// Listens until the test's runtime ends.
#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    inbox: Arc<Inbox>,
    base: String,
}

const OPEN: usize = 1_000_000;

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let inbox = Arc::new(Inbox {
            received: Mutex::default(),
            statuses: Mutex::default(),
            door: Semaphore::new(OPEN),
            arrived: watch::Sender::new(0),
        });
        let router = Router::new().fallback(receive).with_state(Arc::clone(&inbox));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { inbox, base }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The statuses of the next answers; then 200 again.
    pub(crate) fn answer_with(&self, statuses: &[u16]) {
        self.inbox.statuses.lock().unwrap().extend(statuses);
    }

    /// Lets webhooks in and leaves them without an answer.
    pub(crate) fn close_door(&self) {
        self.inbox.door.forget_permits(OPEN);
    }

    pub(crate) fn open_door(&self) {
        self.inbox.door.add_permits(OPEN);
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.inbox.received.lock().unwrap().clone()
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.received().into_iter().map(|webhook| webhook.path).collect()
    }

    pub(crate) async fn wait_for(&self, count: usize) {
        self.inbox
            .arrived
            .subscribe()
            .wait_for(|arrived| *arrived >= count)
            .await
            .unwrap();
    }
}

async fn receive(State(inbox): State<Arc<Inbox>>, request: Request) -> impl IntoResponse {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let path = parts.uri.path().to_owned();
    let count = {
        let mut received = inbox.received.lock().unwrap();
        received.push(Received {
            path,
            headers: parts.headers,
            body,
        });
        received.len()
    };
    inbox.arrived.send_replace(count);
    inbox.door.acquire().await.unwrap().forget();
    inbox.door.add_permits(1);
    let status = inbox.statuses.lock().unwrap().pop_front().unwrap_or(200);
    StatusCode::from_u16(status).unwrap()
}
