//! The control endpoints under `/_sim`: what the library's handle can do, for those outside the process.
//!
//! They check no token: the simulator is for machines of developers.

mod answer;
mod knobs;
mod work;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{delete, get, post};
use http::StatusCode;
use serde_json::{Value, json};

use self::answer::{Refused, ok};
use crate::shared::Shared;

/// Method, path and meaning of every control endpoint.
const ENDPOINTS: &[(&str, &str, &str)] = &[
    ("GET", "/_sim", "base URL, organization, ids, and this list"),
    ("GET", "/_sim/runs", "all runs with their tasks"),
    (
        "POST",
        "/_sim/runs",
        "launch: {template, name, answers, by, tags, fill}, all optional",
    ),
    (
        "POST",
        "/_sim/runs/{run}/complete-next",
        "complete the open task that comes first",
    ),
    ("POST", "/_sim/runs/{run}/rename", "{name}"),
    ("POST", "/_sim/runs/{run}/archive", "archive"),
    ("POST", "/_sim/runs/{run}/reactivate", "bring back"),
    (
        "POST",
        "/_sim/tasks/{task}/complete",
        "complete: {answers, user, guest, fill}, all optional",
    ),
    ("POST", "/_sim/tasks/{task}/reopen", "reopen"),
    ("POST", "/_sim/tasks/{task}/skip", "hide, as a rule would"),
    ("POST", "/_sim/tasks/{task}/comment", "{content, issue}"),
    (
        "POST",
        "/_sim/templates",
        "make: {title, webhook, kind, kickoff, steps}",
    ),
    (
        "POST",
        "/_sim/burst",
        "{runs, complete}: launch many runs and complete so many tasks of each",
    ),
    ("POST", "/_sim/settle", "answer when no webhook is on its way"),
    (
        "POST",
        "/_sim/webhook-url",
        "{url, template}: set or, without url, remove the webhook of one or all templates",
    ),
    (
        "POST",
        "/_sim/watchers",
        "{url}: send the events of the organization there; {fire: false}: to no watcher, though they are registered",
    ),
    ("GET", "/_sim/faults", "faults in force"),
    ("POST", "/_sim/faults", "{kind, …, run, route, times}"),
    ("DELETE", "/_sim/faults", "clear all faults, let go of held requests"),
    ("DELETE", "/_sim/faults/{id}", "clear one fault"),
    ("GET", "/_sim/quirks", "how responses are written"),
    (
        "POST",
        "/_sim/quirks",
        "some quirks, the others at their defaults; or {random: seed}",
    ),
    ("POST", "/_sim/lag", "{versions} or {millis}; without either none"),
    ("GET", "/_sim/replicas", "how replicas answer reads"),
    (
        "POST",
        "/_sim/replicas",
        "{seed, count, mean_lag_millis, longest_lag_millis, dropped_includes, contradicting_lists}, all optional",
    ),
    ("DELETE", "/_sim/replicas", "no replicas: reads show the current state"),
    ("POST", "/_sim/rate-limit", "{per_minute}; without it none"),
    (
        "POST",
        "/_sim/token",
        "{token}: the only good one from now; without it none is",
    ),
    (
        "GET",
        "/_sim/ledger",
        "webhooks; ?run=… &outcome=acknowledged|pending|lost|failed &bodies=false",
    ),
    (
        "GET",
        "/_sim/requests",
        "calls to the API: counts by run and by route; ?calls=true for each",
    ),
    ("DELETE", "/_sim/requests", "forget them"),
];

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/_sim", get(index))
        .route("/_sim/runs", get(work::runs).post(work::launch))
        .route("/_sim/runs/{run}/{change}", post(work::change_run))
        .route("/_sim/tasks/{task}/{change}", post(work::change_task))
        .route("/_sim/templates", post(work::add_template))
        .route("/_sim/burst", post(work::burst))
        .route("/_sim/settle", post(work::settle))
        .route("/_sim/webhook-url", post(knobs::set_webhook_url))
        .route("/_sim/watchers", post(knobs::set_watchers))
        .route(
            "/_sim/faults",
            get(knobs::faults).post(knobs::add_fault).delete(knobs::clear_faults),
        )
        .route("/_sim/faults/{id}", delete(knobs::clear_fault))
        .route("/_sim/quirks", get(knobs::quirks).post(knobs::set_quirks))
        .route("/_sim/lag", post(knobs::set_lag))
        .route(
            "/_sim/replicas",
            get(knobs::replicas)
                .post(knobs::set_replicas)
                .delete(knobs::clear_replicas),
        )
        .route("/_sim/rate-limit", post(knobs::set_rate_limit))
        .route("/_sim/token", post(knobs::set_token))
        .route("/_sim/ledger", get(knobs::ledger))
        .route("/_sim/requests", get(knobs::requests).delete(knobs::forget_requests))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .with_state(shared)
}

async fn index(State(shared): State<Arc<Shared>>) -> Response {
    let founding = &shared.founding;
    ok(&json!({
        "base_url": shared.base_url,
        "org": founding.org,
        "users": [founding.admin, founding.member],
        "guest": founding.guest,
        "group": founding.group,
        "tags": founding.tags,
        "templates": {"onboarding": founding.onboarding, "every_field": founding.every_field},
        "endpoints": endpoints(),
    }))
}

async fn unknown() -> Response {
    let hint = json!({"error": "there is no such control endpoint", "endpoints": endpoints()});
    answer::with_status(StatusCode::NOT_FOUND, &hint)
}

fn endpoints() -> Vec<Value> {
    ENDPOINTS
        .iter()
        .map(|(method, path, meaning)| json!(format!("{method} {path}  {meaning}")))
        .collect()
}

type Answer = Result<Response, Refused>;
