//! Where several workers send their events.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use tallyfy_sim::webhooks::Notification;
use tokio::net::TcpListener;

use crate::account::Account;
use crate::worker_process::ReceivedEvent;

/// What a killed worker was delivering is leased for a minute longer than the handler's time-out.
const PATIENCE: Duration = Duration::from_secs(75);

/// Takes events over HTTP, from whichever worker, in the order in which they come.
#[derive(Clone, Debug, Default)]
pub struct Sink(Arc<Mutex<Vec<ReceivedEvent>>>);

impl Sink {
    /// Opens it on a port of its own. Gives its URL.
    ///
    /// # Errors
    /// If no port is to be had.
    pub async fn open(&self) -> anyhow::Result<String> {
        async fn take(State(sink): State<Sink>, body: Bytes) {
            let line = String::from_utf8_lossy(&body).into_owned();
            let json = serde_json::from_str(&line).unwrap_or_default();
            sink.events_mut().push(ReceivedEvent { line, json });
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listen")?;
        let address = listener.local_addr()?;
        let routes = Router::new().route("/", post(take)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(format!("http://{address}/"))
    }

    /// The events that came, oldest first.
    pub fn events(&self) -> Vec<ReceivedEvent> {
        self.events_mut().clone()
    }

    fn events_mut(&self) -> MutexGuard<'_, Vec<ReceivedEvent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is in them.
    pub fn account(&self) -> Account {
        let mut account = Account::default();
        account.add(&self.events_mut());
        account
    }

    /// Waits until all of these are in events.
    ///
    /// # Errors
    /// If that takes too long, with what is missing.
    pub async fn has_all(&self, acknowledged: &[Notification]) -> anyhow::Result<()> {
        let arrives = async {
            while !self.account().missing(acknowledged).is_empty() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let arrived = tokio::time::timeout(PATIENCE, arrives).await;
        arrived.with_context(|| format!("missing: {:?}", self.account().missing(acknowledged)))
    }
}
