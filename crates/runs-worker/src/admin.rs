//! The listener for operators: is it alive, can it receive, what is wrong, how is it doing.

mod asked_by;
mod heart;
mod pages;
mod stats;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, middleware, routing};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use runs_store::{HandlerStats, Store};
use serde_json::{Map, json};
use tallyfy_model::OrgId;
use tallyfy_transport::{CircuitBreaker, CircuitState, RateLimiter, RateLimits};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::deliver::HandlerHealth;
use crate::import::Progress;
use crate::receive::WayIn;
use crate::refresh::TokenGate;
use crate::registrations::Board;
use crate::shared::late_store::LateStore;
use crate::telemetry;
use crate::vitals::Vitals;

pub(crate) use pages::Pages;

/// How long the store may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer serves for those who ask next: however often strangers ask, the worker looks once in that time.
const SERVES: Duration = Duration::from_secs(1);

/// Writes the metrics down as Prometheus reads them.
pub(crate) type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What the admin listener looks at.
pub(crate) struct Admin {
    pub(crate) store: LateStore,
    /// How far the intake log is imported, where there is one.
    pub(crate) progress: Option<Arc<Progress>>,
    pub(crate) way_in: WayIn,
    /// The folders whose disks must have room.
    pub(crate) folders: Vec<PathBuf>,
    pub(crate) clock: Clock,
    pub(crate) vitals: Arc<Vitals>,
    /// The budgets, by organization, and what their limits are.
    pub(crate) limiters: Vec<(String, RateLimiter)>,
    pub(crate) limits: RateLimits,
    /// After how long without a webhook there is a warning.
    pub(crate) silence: Duration,
    pub(crate) breaker: CircuitBreaker,
    pub(crate) gates: Vec<(String, Arc<TokenGate>)>,
    pub(crate) registrations: Arc<Board>,
    pub(crate) health: Vec<(String, Arc<HandlerHealth>)>,
    pub(crate) metrics: Option<RenderMetrics>,
    pub(crate) stop: CancellationToken,
}

/// Answers only to those who ask by one of these names, by an address, or by a name without a dot.
pub(crate) fn asked_by(routes: Router, hosts: Vec<String>) -> Router {
    routes.layer(middleware::from_fn_with_state(Arc::new(hosts), asked_by::check))
}

/// What is wrong, and which handlers fail.
type Trouble = (Vec<String>, Vec<String>);

/// What was found, for as long as it serves.
#[derive(Default)]
struct Found {
    receive: Mutex<Option<(Instant, Option<String>)>>,
    ready: Mutex<Option<(Instant, Trouble)>>,
}

impl Admin {
    /// The routes, to be mounted anywhere: other addresses belong to others.
    pub(crate) fn routes(self: Arc<Self>) -> Router {
        Router::new()
            .route(
                "/health/live",
                routing::get(|| async { Json(json!({"status": "live"})) }),
            )
            .route("/health/receive", routing::get(receive))
            .route("/health/ready", routing::get(ready))
            .route("/metrics", routing::get(metrics))
            .with_state(Arc::new((self, Found::default())))
    }

    /// What keeps the worker from doing its whole job.
    async fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.stop.is_cancelled() {
            problems.push("the worker is stopping".to_owned());
        }
        match self.store.get() {
            Ok(store) => problems.extend(trouble_of(store.as_ref()).await),
            Err(error) => problems.push(error.to_string()),
        }
        problems.extend(self.progress.as_ref().and_then(|progress| progress.problem()));
        if self.breaker.state() != CircuitState::Closed {
            problems.push("the API does not answer: nothing is fetched, now and then it is tried".to_owned());
        }
        for (org, gate) in &self.gates {
            if let Some(trouble) = gate.trouble() {
                problems.push(format!("organization {org}: {trouble}"));
            }
        }
        for (handler, health) in &self.health {
            if let Some(trouble) = health.trouble() {
                problems.push(format!("handler {handler}: {trouble}"));
            }
        }
        problems
    }

    /// The handlers of which a delivery failed and is tried again: their events wait, and everything else goes on.
    async fn failing(&self) -> Vec<String> {
        let Ok(store) = self.store.get() else {
            return Vec::new();
        };
        let stats = tokio::time::timeout(PATIENCE, store.stats(self.clock.now())).await;
        let Ok(Ok(stats)) = stats else {
            return Vec::new();
        };
        let told = |handler: HandlerStats| {
            let failing = handler.failing?;
            let (attempts, reason, name) = (failing.attempts, failing.reason, handler.handler);
            let since = handler
                .oldest
                .map(|oldest| format!(", the oldest event waits since {oldest}"));
            let since = since.unwrap_or_default();
            Some(format!(
                "handler {name}: try {attempts} failed: {reason}; the next one is at {}{since}",
                failing.next_try
            ))
        };
        stats.handlers.into_iter().filter_map(told).collect()
    }

    /// Which webhooks do not come any more, as far as the API tells.
    fn registrations(&self) -> Vec<String> {
        let of_organization = |(org, troubles): (OrgId, Vec<String>)| {
            troubles
                .into_iter()
                .map(move |trouble| format!("organization {org}: {trouble}"))
        };
        self.registrations
            .troubles()
            .into_iter()
            .flat_map(of_organization)
            .collect()
    }

    /// Why no webhook can be kept, if that is so.
    async fn cannot_receive(&self) -> Option<String> {
        if self.stop.is_cancelled() {
            return Some("the worker is stopping".to_owned());
        }
        self.way_in.trouble().await
    }
}

async fn trouble_of(store: &dyn Store) -> Option<String> {
    match tokio::time::timeout(PATIENCE, store.probe()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("the store cannot be written: {}", telemetry::chain(&error))),
        Err(_) => Some(format!("the store does not answer within {PATIENCE:?}")),
    }
}

/// The answer at every other address of the listener.
pub(crate) async fn not_found() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, Json(json!({"error": "not found"})))
}

type Asked = State<Arc<(Arc<Admin>, Found)>>;

/// For load balancers: red only when there is no place for a webhook.
async fn receive(State(asked): Asked) -> Response {
    let (admin, found) = &*asked;
    let trouble = lately(&found.receive, || admin.cannot_receive()).await;
    match trouble {
        None => Json(json!({"status": "receiving"})).into_response(),
        Some(trouble) => {
            let answer = Json(json!({"status": "not receiving", "problems": [trouble]}));
            (StatusCode::SERVICE_UNAVAILABLE, answer).into_response()
        }
    }
}

/// For people and monitors: red when anything is wrong, with all of it. A delivery that failed and is tried again is told,
/// and is no reason to be red.
async fn ready(State(asked): Asked) -> Response {
    let (admin, found) = &*asked;
    let look = || async { (admin.problems().await, admin.failing().await) };
    let (problems, failing) = lately(&found.ready, look).await;
    let status = if problems.is_empty() { "ready" } else { "not ready" };
    let mut answer = Map::from_iter([("status".to_owned(), json!(status))]);
    let registrations = admin.registrations();
    for (name, told) in [
        ("problems", &problems),
        ("failing", &failing),
        ("registrations", &registrations),
    ] {
        if !told.is_empty() {
            answer.insert(name.to_owned(), json!(told));
        }
    }
    match problems.as_slice() {
        [] => Json(answer).into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, Json(answer)).into_response(),
    }
}

/// What was found within the last second, or is found now. Those who ask meanwhile wait for it.
async fn lately<T: Clone, F: Future<Output = T>>(found: &Mutex<Option<(Instant, T)>>, look: impl FnOnce() -> F) -> T {
    let mut found = found.lock().await;
    if let Some((at, earlier)) = &*found
        && at.elapsed() < SERVES
    {
        return earlier.clone();
    }
    let now = look().await;
    *found = Some((Instant::now(), now.clone()));
    now
}

async fn metrics(State(asked): Asked) -> Response {
    let (admin, _) = &*asked;
    let Some(render) = &admin.metrics else {
        let answer = (StatusCode::NOT_FOUND, "this worker was started without metrics\n");
        return answer.into_response();
    };
    admin.record_stats().await;
    let content_type = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (content_type, render()).into_response()
}
