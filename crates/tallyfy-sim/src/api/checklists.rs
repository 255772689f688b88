//! Templates, and the search across everything.

use std::sync::Arc;

use axum::Extension;
use axum::extract::Path;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::context::{Context, data};
use super::error::ApiError;
use crate::world::{Organization, Template};

type Cx = Extension<Arc<Context>>;

fn find<'w>(org: &'w Organization, id: &str) -> Result<&'w Arc<Template>, ApiError> {
    org.templates.get(id).ok_or(ApiError::NoResource)
}

/// `GET /organizations/{org}/checklists`
pub(super) async fn list(Extension(cx): Cx, Path(org): Path<String>) -> Response {
    cx.read(&org, |org, render| {
        let with = cx.with();
        let wanted = cx.query.get("q").unwrap_or_default().to_lowercase();
        let kind = cx.query.get("type");
        let found = org.templates.values().filter(|template| {
            template.title.to_lowercase().contains(&wanted) && kind.is_none_or(|kind| template.kind == kind)
        });
        Ok(cx.page(found.collect(), |template| render.template(template, &with)))
    })
}

/// `GET /organizations/{org}/checklists/{checklist}`
pub(super) async fn get(Extension(cx): Cx, Path((org, id)): Path<(String, String)>) -> Response {
    cx.read(&org, |org, render| {
        Ok(data(render.template(find(org, &id)?, &cx.with())))
    })
}

/// `GET /organizations/{org}/checklists/{checklist}/form-fields`
pub(super) async fn form_fields(Extension(cx): Cx, Path((org, id)): Path<(String, String)>) -> Response {
    cx.read(&org, |org, render| {
        Ok(data(Value::Array(render.kickoff_fields(find(org, &id)?))))
    })
}

/// `GET /organizations/{org}/checklists/{checklist}/steps`
pub(super) async fn steps(Extension(cx): Cx, Path((org, id)): Path<(String, String)>) -> Response {
    cx.read(&org, |org, render| {
        let template = find(org, &id)?;
        Ok(cx.page(template.steps.iter().collect(), |step| render.step(step, &template.id)))
    })
}

/// `GET /organizations/{org}/checklists/{checklist}/steps/{step}`
pub(super) async fn step(Extension(cx): Cx, Path((org, id, step)): Path<(String, String, String)>) -> Response {
    cx.read(&org, |org, render| {
        let template = find(org, &id)?;
        let step = template
            .steps
            .iter()
            .find(|candidate| candidate.id == step)
            .ok_or(ApiError::NoResource)?;
        Ok(data(render.step(step, &template.id)))
    })
}

/// `GET /organizations/{org}/search`: one list for each of the kinds asked for. Tasks come without their run's id.
pub(super) async fn search(Extension(cx): Cx, Path(org): Path<String>) -> Response {
    cx.read(&org, |org, render| {
        let wanted = cx.query.get("search").unwrap_or_default().to_lowercase();
        let found = |text: &str| text.to_lowercase().contains(&wanted);
        let seen = || org.runs.values().filter_map(|history| history.seen(cx.lag(), render.now));
        let mut body = Map::new();
        for kind in cx.query.list("on").unwrap_or_else(|| vec!["process"]) {
            let hits: Vec<Value> = match kind {
                "process" => {
                    let runs = seen().filter(|run| found(&run.name));
                    let fields = |run: &Arc<crate::world::Run>| {
                        json!({"id": run.id, "increment_id": run.increment_id, "name": run.name, "type": run.template.kind})
                    };
                    runs.map(fields).collect()
                }
                "task" => {
                    let tasks = seen().flat_map(|run| run.tasks.iter()).filter(|task| found(&task.title));
                    let fields = |task: &Arc<crate::world::Task>| {
                        json!({"id": task.id, "increment_id": task.increment_id, "title": task.title})
                    };
                    tasks.map(fields).collect()
                }
                "blueprint" => {
                    let templates = org.templates.values().filter(|template| found(&template.title));
                    let fields = |template: &Arc<Template>| {
                        json!({"id": template.id, "title": template.title, "steps_count": template.steps.len()})
                    };
                    templates.map(fields).collect()
                }
                _ => Vec::new(),
            };
            body.insert(kind.to_owned(), cx.page(hits, |hit| hit));
        }
        Ok(Value::Object(body))
    })
}
