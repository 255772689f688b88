//! Who is told of what: which URLs get which body. Pure.

use serde_json::Value;

use super::WebhookKind;
use crate::quirks::Quirks;
use crate::render::{organization_event, process_payload, task_payload};
use crate::world::{Happening, World};

/// A webhook that has to be sent.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) kind: WebhookKind,
    pub(crate) event: &'static str,
    pub(crate) org: String,
    pub(crate) run: String,
    pub(crate) task: Option<String>,
    pub(crate) url: String,
    pub(crate) body: Value,
}

/// The webhooks that tell of a happening: the task's own URL or else the template's, then every watcher.
pub(crate) fn plan(world: &World, quirks: &Quirks, happening: &Happening) -> Vec<Planned> {
    let Ok(run) = world.run(happening.run()) else {
        return Vec::new();
    };
    let Some(org) = world.organization(&run.org) else {
        return Vec::new();
    };
    let template_url = org
        .templates
        .get(&run.template.id)
        .and_then(|template| template.webhook.clone());
    let now = world.now();
    let planned = |kind, url: String, body| Planned {
        kind,
        event: happening.event(),
        org: org.id.clone(),
        run: run.id.clone(),
        task: happening.task().map(str::to_owned),
        url,
        body,
    };
    let mut all = Vec::new();
    match happening {
        Happening::RunLaunched { .. } | Happening::RunCompleted { .. } => {
            if let Some(url) = template_url {
                let body = process_payload(org, quirks, now, run);
                all.push(planned(WebhookKind::Process, url, body));
            }
        }
        Happening::TaskCompleted { task, by, .. } => {
            if let Some(task) = run.task(task)
                && let Some(url) = task.webhook.clone().or(template_url)
            {
                let body = task_payload(org, quirks, now, run, task, by);
                all.push(planned(WebhookKind::Task, url, body));
            }
        }
        _ => {}
    }
    for watcher in org.watchers.iter().filter(|_| org.watchers_fire) {
        let body = organization_event(quirks, happening.event(), &run.id, happening.task());
        all.push(planned(WebhookKind::Organization, watcher.url.clone(), body));
    }
    all
}
