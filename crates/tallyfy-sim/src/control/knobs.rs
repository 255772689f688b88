//! Faults, quirks, lag, limits, tokens, and what can be read back.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Answer;
use super::answer::{Refused, ok, read};
use crate::faults::FaultRule;
use crate::quirks::{QuirkMode, Quirks};
use crate::replicas::Replicas;
use crate::shared::{Caller, Shared};
use crate::webhooks::Outcome;
use crate::world::Lag;

type Sim = State<Arc<Shared>>;

pub(super) async fn faults(State(sim): Sim) -> Response {
    let active = sim.faults.active();
    ok(&json!({"faults": active.iter().map(|(id, rule)| json!({"id": id, "rule": rule})).collect::<Vec<_>>()}))
}

/// Every key that some fault has.
const FAULT_KEYS: [&str; 7] = ["kind", "run", "route", "times", "millis", "retry_after", "status"];

pub(super) async fn add_fault(State(sim): Sim, body: Bytes) -> Answer {
    // A flattened enum cannot refuse unknown keys by itself.
    let object: BTreeMap<String, Value> = read(&body)?;
    if let Some(unknown) = object.keys().find(|key| !FAULT_KEYS.contains(&key.as_str())) {
        return Err(Refused::Body(format!(
            "there is no {unknown:?} in a fault; there are {}",
            FAULT_KEYS.join(", ")
        )));
    }
    let rule: FaultRule = read(&body)?;
    let id = sim.faults.add(rule.clone()).id;
    Ok(ok(&json!({"id": id, "rule": rule})))
}

pub(super) async fn clear_faults(State(sim): Sim) -> Response {
    sim.faults.clear();
    ok(&json!({"faults": []}))
}

pub(super) async fn clear_fault(State(sim): Sim, Path(id): Path<String>) -> Answer {
    let known = id.parse().is_ok_and(|id| sim.faults.remove(id));
    if known {
        Ok(ok(&json!({"removed": id})))
    } else {
        Err(Refused::Body(format!("there is no fault {id}")))
    }
}

pub(super) async fn quirks(State(sim): Sim) -> Response {
    ok(&json!(sim.quirks.mode()))
}

/// The body that asks for random quirks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Random {
    random: u64,
}

pub(super) async fn set_quirks(State(sim): Sim, body: Bytes) -> Answer {
    let object: BTreeMap<String, Value> = read(&body)?;
    let mode = if object.contains_key("random") {
        QuirkMode::Random(read::<Random>(&body)?.random)
    } else if object.contains_key("fixed") {
        read(&body)?
    } else {
        QuirkMode::Fixed(read::<Quirks>(&body)?)
    };
    sim.quirks.set_mode(mode);
    Ok(quirks(State(sim)).await)
}

/// How far behind reads are.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LagBody {
    versions: Option<usize>,
    millis: Option<u64>,
}

pub(super) async fn set_lag(State(sim): Sim, body: Bytes) -> Answer {
    let lag = match read(&body)? {
        LagBody {
            versions: None,
            millis: None,
        } => Lag::None,
        LagBody {
            versions: Some(versions),
            millis: None,
        } => Lag::Versions(versions),
        LagBody {
            versions: None,
            millis: Some(millis),
        } => Lag::Time(Duration::from_millis(millis)),
        LagBody { .. } => return Err(Refused::Body("versions and millis exclude each other".to_owned())),
    };
    sim.set_lag(lag);
    Ok(ok(&json!({"lag": format!("{lag:?}")})))
}

pub(super) async fn replicas(State(sim): Sim) -> Response {
    ok(&json!({"replicas": sim.replicas.replicas()}))
}

pub(super) async fn set_replicas(State(sim): Sim, body: Bytes) -> Answer {
    let wanted: Replicas = read(&body)?;
    if let Some(part) = wanted.wrong_part() {
        return Err(Refused::Body(format!("{part} must be from 0 to 1")));
    }
    sim.replicas.set(Some(wanted));
    Ok(replicas(State(sim)).await)
}

pub(super) async fn clear_replicas(State(sim): Sim) -> Response {
    sim.replicas.set(None);
    replicas(State(sim)).await
}

/// A limit, or none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RateLimitBody {
    per_minute: Option<NonZeroU32>,
}

pub(super) async fn set_rate_limit(State(sim): Sim, body: Bytes) -> Answer {
    let RateLimitBody { per_minute } = read(&body)?;
    sim.rate_limit.set(per_minute);
    Ok(ok(&json!({"per_minute": per_minute})))
}

/// The only good token, or none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenBody {
    token: Option<String>,
}

pub(super) async fn set_token(State(sim): Sim, body: Bytes) -> Answer {
    let TokenBody { token } = read(&body)?;
    let admin = Caller {
        user: sim.founding.admin,
        org: sim.founding.org.clone(),
    };
    *sim.tokens() = token.clone().map(|token| (token, admin)).into_iter().collect();
    Ok(ok(&json!({"token": token})))
}

/// Where webhooks go.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookUrlBody {
    url: Option<String>,
    template: Option<String>,
}

pub(super) async fn set_webhook_url(State(sim): Sim, body: Bytes) -> Answer {
    let WebhookUrlBody { url, template } = read(&body)?;
    if let Some(url) = &url {
        check_url(url)?;
    }
    let all = || -> Vec<String> {
        let world = sim.world();
        world
            .organizations()
            .flat_map(|org| org.templates.keys().cloned())
            .collect()
    };
    let templates = template.map_or_else(all, |template| vec![template]);
    sim.change(|world| {
        templates
            .iter()
            .try_for_each(|id| world.set_template_webhook(id, url.as_deref()))
    })?;
    Ok(ok(&json!({"url": url, "templates": templates})))
}

/// A watcher to be added, or whether watchers are told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WatcherBody {
    url: Option<String>,
    fire: Option<bool>,
}

pub(super) async fn set_watchers(State(sim): Sim, body: Bytes) -> Answer {
    let WatcherBody { url, fire } = read(&body)?;
    let org = &sim.founding.org;
    if let Some(fire) = fire {
        sim.change(|world| world.set_watchers_fire(org, fire))?;
    }
    let Some(url) = url else {
        return Ok(ok(&json!({"fire": fire})));
    };
    check_url(&url)?;
    let id = sim.change(|world| world.add_watcher(org, &url))?;
    Ok(ok(&json!({"id": id, "url": url})))
}

fn check_url(text: &str) -> Result<(), Refused> {
    match url::Url::parse(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(Refused::Body(format!("{text:?} is no URL: {error}"))),
    }
}

/// Which notifications to show.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LedgerQuery {
    run: Option<String>,
    outcome: Option<String>,
    #[serde(default = "yes")]
    bodies: bool,
}

fn yes() -> bool {
    true
}

pub(super) async fn ledger(
    State(sim): Sim,
    query: Result<Query<LedgerQuery>, axum::extract::rejection::QueryRejection>,
) -> Answer {
    let Query(query) = query.map_err(|error| Refused::Body(error.body_text()))?;
    let outcome = query.outcome.as_deref();
    if let Some(outcome) = outcome.filter(|o| !["acknowledged", "pending", "lost", "failed"].contains(o)) {
        return Err(Refused::Body(format!("there is no outcome {outcome:?}; see /_sim")));
    }
    let mut shown = Vec::new();
    for notification in sim.ledger.notifications() {
        let has_outcome = match outcome {
            Some("acknowledged") => notification.is_acknowledged(),
            Some("pending") => notification.outcome == Outcome::Pending,
            Some("lost") => notification.outcome == Outcome::Lost,
            Some(_) => {
                !notification.is_acknowledged() && !matches!(notification.outcome, Outcome::Pending | Outcome::Lost)
            }
            None => true,
        };
        if has_outcome && query.run.as_ref().is_none_or(|run| *run == notification.run) {
            let mut json = json!(notification);
            if !query.bodies
                && let Some(fields) = json.as_object_mut()
            {
                fields.remove("body");
            }
            shown.push(json);
        }
    }
    Ok(ok(&json!({"count": shown.len(), "notifications": shown})))
}

/// How much of the request log to show.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestsQuery {
    #[serde(default)]
    calls: bool,
}

pub(super) async fn requests(
    State(sim): Sim,
    query: Result<Query<RequestsQuery>, axum::extract::rejection::QueryRejection>,
) -> Answer {
    let Query(query) = query.map_err(|error| Refused::Body(error.body_text()))?;
    let requests = &sim.requests;
    let mut body = json!({
        "total": requests.total(),
        "peak_in_flight": requests.peak_in_flight(),
        "by_run": requests.by_run(),
        "by_route": requests.by_route(),
    });
    if query.calls {
        body["calls"] = json!(requests.calls());
    }
    Ok(ok(&body))
}

pub(super) async fn forget_requests(State(sim): Sim) -> Response {
    sim.requests.clear();
    ok(&json!({"total": 0}))
}
