//! The listener for operators: is it alive, is it ready, how is it doing.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::{Json, Router, routing};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use metrics::gauge;
use runs_store::Store;
use serde_json::json;
use tallyfy_transport::{CircuitBreaker, CircuitState};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::deliver::HandlerHealth;
use crate::import::Progress;
use crate::refresh::TokenGate;
use crate::shared::late_store::LateStore;
use crate::telemetry;

/// How long the store may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Writes the metrics down as Prometheus reads them.
pub(crate) type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What the admin listener looks at.
pub(crate) struct Admin {
    pub(crate) store: LateStore,
    /// How far the intake log is imported, where there is one.
    pub(crate) progress: Option<Arc<Progress>>,
    pub(crate) clock: Clock,
    pub(crate) breaker: CircuitBreaker,
    pub(crate) gates: Vec<(String, Arc<TokenGate>)>,
    pub(crate) health: Vec<(String, Arc<HandlerHealth>)>,
    pub(crate) metrics: Option<RenderMetrics>,
    pub(crate) stop: CancellationToken,
}

impl Admin {
    /// The routes, to be mounted anywhere: other addresses belong to others.
    pub(crate) fn routes(self) -> Router {
        Router::new()
            .route(
                "/health/live",
                routing::get(|| async { Json(json!({"status": "live"})) }),
            )
            .route("/health/ready", routing::get(ready))
            .route("/metrics", routing::get(metrics))
            .with_state(Arc::new(self))
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

    /// Brings what the store counts into the metrics.
    async fn record_stats(&self) {
        let now = self.clock.now();
        #[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
        let count = |number: u64| number as f64;
        // Before the store, which is where all of it goes: what moves meanwhile is counted twice, and not left out.
        if let Some(progress) = &self.progress {
            gauge!("runs_worker_intake_waiting").set(count(progress.waiting()));
            gauge!("runs_worker_intake_bytes").set(count(progress.waiting_bytes()));
        }
        let Ok(store) = self.store.get() else { return };
        let Ok(stats) = store.stats(now).await else { return };
        let age = |since: Option<jiff::Timestamp>| {
            since.map_or(0.0, |since| now.duration_since(since).as_secs_f64().max(0.0))
        };
        gauge!("runs_worker_due").set(count(stats.due));
        gauge!("runs_worker_oldest_due_seconds").set(age(stats.oldest_due));
        gauge!("runs_worker_unrecognized").set(count(stats.unrecognized));
        for handler in stats.handlers {
            let name = handler.handler.to_string();
            gauge!("runs_worker_undelivered", "handler" => name.clone()).set(count(handler.waiting));
            gauge!("runs_worker_oldest_undelivered_seconds", "handler" => name.clone()).set(age(handler.oldest));
            gauge!("runs_worker_dead_letters", "handler" => name).set(count(handler.dead_letters));
        }
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

async fn ready(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let problems = admin.problems().await;
    if problems.is_empty() {
        (StatusCode::OK, Json(json!({"status": "ready"})))
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({"status": "not ready", "problems": problems})),
        )
    }
}

async fn metrics(State(admin): State<Arc<Admin>>) -> impl IntoResponse {
    let Some(render) = &admin.metrics else {
        return (
            StatusCode::NOT_FOUND,
            "this worker was started without metrics\n".to_owned(),
        )
            .into_response();
    };
    admin.record_stats().await;
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], render()).into_response()
}
