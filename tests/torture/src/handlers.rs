//! The receivers that events are posted to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle;

use crate::history::Arrival;

/// Longer than the worker waits for a handler.
const NEVER: Duration = Duration::from_secs(3);

/// Two handlers behind one address: `flaky` fails at random, `slow` takes its time.
pub(crate) struct Receivers {
    pub(crate) address: SocketAddr,
    state: Arc<Inner>,
    server: JoinHandle<()>,
}

struct Inner {
    arrivals: Mutex<BTreeMap<String, Vec<Arrival>>>,
    rng: Mutex<StdRng>,
    is_calm: AtomicBool,
}

impl Receivers {
    pub(crate) const NAMES: [&'static str; 2] = ["flaky", "slow"];

    pub(crate) async fn start(seed: u64) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("listen")?;
        let state = Arc::new(Inner {
            arrivals: Mutex::new(Self::NAMES.map(|name| (name.to_owned(), Vec::new())).into()),
            rng: Mutex::new(StdRng::seed_from_u64(seed)),
            is_calm: AtomicBool::new(false),
        });
        let router = Router::new()
            .route("/{handler}", post(receive))
            .with_state(Arc::clone(&state));
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            // It ends with the round.
            drop(axum::serve(listener, router).await);
        });
        Ok(Self { address, state, server })
    }

    /// From now on, everything is taken at once.
    pub(crate) fn calm(&self) {
        self.state.is_calm.store(true, Ordering::Relaxed);
    }

    pub(crate) fn arrivals(&self) -> BTreeMap<String, Vec<Arrival>> {
        self.state.arrivals().clone()
    }
}

impl Drop for Receivers {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Inner {
    fn arrivals(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Arrival>>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw(&self) -> (u32, Duration) {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        (rng.random_range(0..100), Duration::from_millis(rng.random_range(0..80)))
    }
}

async fn receive(State(state): State<Arc<Inner>>, Path(handler): Path<String>, body: Bytes) -> StatusCode {
    let Some(arrival) = Arrival::read(body, false) else {
        return StatusCode::INTERNAL_SERVER_ERROR;
    };
    let place = {
        let mut arrivals = state.arrivals();
        let line = arrivals.entry(handler.clone()).or_default();
        line.push(arrival);
        line.len() - 1
    };
    let accept = || {
        if let Some(arrival) = state.arrivals().get_mut(&handler).and_then(|line| line.get_mut(place)) {
            arrival.is_accepted = true;
        }
    };
    let (luck, takes) = state.draw();
    if !state.is_calm.load(Ordering::Relaxed) {
        match (handler.as_str(), luck) {
            ("slow", 0) => tokio::time::sleep(NEVER).await,
            ("slow", _) => tokio::time::sleep(takes).await,
            (_, 0..15) => return StatusCode::INTERNAL_SERVER_ERROR,
            (_, 15..22) => return StatusCode::SERVICE_UNAVAILABLE,
            // It has it, and says that it has not.
            (_, 22..30) => {
                accept();
                return StatusCode::BAD_GATEWAY;
            }
            _ => {}
        }
    }
    accept();
    StatusCode::NO_CONTENT
}
