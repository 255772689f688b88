//! Runs: read, list, launch, change, archive.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::Path;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::context::{Context, data, seen_run};
use super::error::ApiError;
use super::run_filter::RunFilter;
use crate::world::{Answers, Launch};

type Cx = Extension<Arc<Context>>;

/// `GET /organizations/{org}/runs/{run}`
pub(super) async fn get(Extension(cx): Cx, Path((org, run)): Path<(String, String)>) -> Response {
    cx.read(&org, |org, render| {
        let run = seen_run(&cx, org, render, &run)?;
        let mut run = render.run(run, &cx.with(), cx.query.flag("form_fields_values"));
        cx.view.leave_out(&mut run);
        Ok(data(run))
    })
}

/// `GET /organizations/{org}/runs/{run}/form-fields`
pub(super) async fn form_fields(Extension(cx): Cx, Path((org, run)): Path<(String, String)>) -> Response {
    cx.read(&org, |org, render| {
        let run = seen_run(&cx, org, render, &run)?;
        Ok(data(json!({"form_fields": render.form_fields(run, true)})))
    })
}

/// `GET /organizations/{org}/runs`
pub(super) async fn list(Extension(cx): Cx, Path(org): Path<String>) -> Response {
    cx.read(&org, |org, render| {
        let filter = RunFilter::read(&cx.query, render.now);
        let seen = org
            .runs
            .values()
            .filter_map(|history| history.seen(cx.lag(), render.now));
        let mut runs: Vec<_> = seen.filter(|run| filter.lets_pass(run, org)).collect();
        filter.sort(&mut runs);
        let (with, values) = (cx.with(), cx.query.flag("form_fields_values"));
        Ok(cx.page(runs, |run| {
            let mut run = render.run(run, &with, values);
            cx.view.leave_out(&mut run);
            run
        }))
    })
}

/// The body of `POST /organizations/{org}/runs`; what the simulator does not act on is ignored.
#[derive(Debug, Deserialize)]
struct LaunchBody {
    #[serde(default)]
    checklist_id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    prerun: Value,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    parent_id: Option<String>,
}

/// `POST /organizations/{org}/runs`
pub(super) async fn launch(Extension(cx): Cx, Path(org): Path<String>, body: Bytes) -> Response {
    let body: LaunchBody = match parse(&body) {
        Ok(body) => body,
        Err(error) => return cx.refuse(&error),
    };
    let answers = match body.prerun {
        Value::Object(map) => map.into_iter().collect::<Answers>(),
        Value::Null => Answers::new(),
        Value::Array(list) if list.is_empty() => Answers::new(),
        _ => return cx.refuse(&unprocessable("prerun", "must be an object keyed by field id")),
    };
    if body.checklist_id.is_empty() {
        return cx.refuse(&unprocessable("checklist_id", "is required"));
    }
    let launch = Launch {
        template: body.checklist_id,
        name: body.name,
        answers,
        by: cx.caller.user,
        tags: body.tags,
        fill: false,
        parent: body.parent_id,
    };
    let launched = |world: &mut crate::world::World| world.launch(&org, &launch);
    cx.change(&org, StatusCode::CREATED, launched, |org, render, run| {
        let run = seen_run(&cx, org, render, &run)?;
        Ok(data(render.run(run, &cx.with(), false)))
    })
}

/// The body of `PUT /organizations/{org}/runs/{run}`.
#[derive(Debug, Deserialize)]
struct UpdateBody {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    summary: Option<String>,
    #[serde(default)]
    users: Vec<i64>,
    #[serde(default)]
    groups: Vec<String>,
}

/// `PUT /organizations/{org}/runs/{run}`: members and groups that are not named are detached, as at the vendor's.
pub(super) async fn update(Extension(cx): Cx, Path((org, run)): Path<(String, String)>, body: Bytes) -> Response {
    let body: UpdateBody = match parse(&body) {
        Ok(body) => body,
        Err(error) => return cx.refuse(&error),
    };
    let change = |world: &mut crate::world::World| {
        if let Some(name) = &body.name {
            world.rename(&run, name)?;
        }
        if let Some(summary) = &body.summary {
            world.summarize(&run, Some(summary))?;
        }
        world.share(&run, &body.users, &body.groups)
    };
    changed(&cx, &org, &run, change)
}

/// `DELETE /organizations/{org}/runs/{run}`
pub(super) async fn archive(Extension(cx): Cx, Path((org, run)): Path<(String, String)>) -> Response {
    changed(&cx, &org, &run, |world| world.archive(&run))
}

/// `PUT /organizations/{org}/runs/{run}/activate`
pub(super) async fn activate(Extension(cx): Cx, Path((org, run)): Path<(String, String)>) -> Response {
    changed(&cx, &org, &run, |world| world.reactivate(&run))
}

fn changed(
    cx: &Context,
    org: &str,
    run: &str,
    change: impl FnOnce(&mut crate::world::World) -> Result<(), crate::world::WorldError>,
) -> Response {
    let guarded = |world: &mut crate::world::World| {
        if world.run(run)?.org == org {
            change(world)
        } else {
            Err(crate::world::WorldError::not_found("run", run))
        }
    };
    cx.change(org, StatusCode::OK, guarded, |org, render, ()| {
        Ok(data(render.run(seen_run(cx, org, render, run)?, &cx.with(), false)))
    })
}

/// Reads a JSON body; an empty one is an empty object.
pub(super) fn parse<T: for<'de> Deserialize<'de>>(body: &Bytes) -> Result<T, ApiError> {
    let text: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(text).map_err(|error| ApiError::BadRequest(format!("bad request: {error}")))
}

pub(super) fn unprocessable(field: &str, message: &str) -> ApiError {
    ApiError::Unprocessable {
        field: field.to_owned(),
        message: message.to_owned(),
    }
}
