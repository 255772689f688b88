//! Asks the API what is registered.

use std::collections::BTreeSet;

use serde_json::Value;
use tallyfy_model::{Checklist, ChecklistId, Json, Step, Watcher, WatcherId};
use tallyfy_runs::{Client, Error, GetTemplateOptions, ListTemplatesOptions, Pages, TemplateInclude};
use tallyfy_transport::RateLimiter;

use super::target::{Here, Target};

/// What is registered in one organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Survey {
    pub(crate) watchers: Watchers,
    /// The templates that are not archived, by title.
    pub(crate) templates: Vec<FoundTemplate>,
}

/// Webhooks of the organization as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Watchers {
    Known(Vec<FoundWatcher>),
    /// The token's owner may not see them, or the API has none: why.
    Unknown(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundWatcher {
    pub(crate) id: WatcherId,
    pub(crate) target: Target,
}

/// Where the webhooks of a template go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundTemplate {
    pub(crate) id: ChecklistId,
    pub(crate) title: String,
    pub(crate) webhook: Target,
    /// The steps that have a URL of their own, which takes the place of the template's, by title.
    pub(crate) steps: Vec<(String, Target)>,
    /// Where its automations send webhooks.
    pub(crate) automations: Vec<Target>,
}

impl Watchers {
    pub(crate) fn known(&self) -> &[FoundWatcher] {
        match self {
            Self::Known(watchers) => watchers,
            Self::Unknown(_) => &[],
        }
    }
}

/// Asks for everything that is registered. `client` must show URLs as they are; each request takes its turn in `share`.
pub(crate) async fn survey(client: &Client, here: &Here, share: Option<&RateLimiter>) -> Result<Survey, Error> {
    let watchers = match all(client.list_watchers(), share).await {
        Ok(watchers) => Watchers::Known(watchers.iter().filter_map(|found| watcher(found, here)).collect()),
        Err(error @ (Error::NoAccess(_) | Error::NoSuchEndpoint(_) | Error::NotFound(_))) => {
            Watchers::Unknown(crate::telemetry::chain(&error))
        }
        Err(error) => return Err(error),
    };
    let options = ListTemplatesOptions::default().with_includes([TemplateInclude::Steps]);
    let mut templates = Vec::new();
    for listed in all(client.list_templates(&options), share).await? {
        if listed.archived_at.get().is_some() {
            continue;
        }
        // Whether the list has steps is not documented.
        let has_steps = listed.steps.get().is_some() || listed.steps_count.get() == Some(&0);
        let found = match (has_steps, listed.id.get()) {
            (false, Some(id)) => {
                turn(share).await;
                let whole = client.get_template(id, &GetTemplateOptions::default()).await?;
                template(&whole, here)
            }
            _ => template(&listed, here),
        };
        templates.extend(found);
    }
    templates.sort_by(|one, other| (&one.title, one.id.as_str()).cmp(&(&other.title, other.id.as_str())));
    Ok(Survey { watchers, templates })
}

async fn turn(share: Option<&RateLimiter>) {
    if let Some(share) = share {
        let _permit = share.acquire().await;
    }
}

async fn all<T>(mut pages: Pages<T>, share: Option<&RateLimiter>) -> Result<Vec<T>, Error> {
    let mut items = Vec::new();
    loop {
        turn(share).await;
        match pages.next().await? {
            Some(page) => items.extend(page.items),
            None => return Ok(items),
        }
    }
}

fn watcher(watcher: &Watcher, here: &Here) -> Option<FoundWatcher> {
    Some(FoundWatcher {
        id: watcher.id.get()?.clone(),
        target: here.target(watcher.any_url()),
    })
}

fn template(template: &Checklist, here: &Here) -> Option<FoundTemplate> {
    let id = template.id.get()?.clone();
    let of_step = |step: &Step| {
        let target = here.target(step.webhook.as_str());
        let title = step.title.as_str().unwrap_or("(untitled)").to_owned();
        (target != Target::Nowhere).then_some((title, target))
    };
    let steps = template.steps.iter().filter(|step| step.archived_at.get().is_none());
    let automations: BTreeSet<Target> = automation_urls(template.automated_actions.iter())
        .iter()
        .map(|url| here.target(Some(url)))
        .collect();
    Some(FoundTemplate {
        title: template.title.as_str().unwrap_or("(untitled)").to_owned(),
        webhook: here.target(template.webhook.as_str()),
        steps: steps.filter_map(of_step).collect(),
        automations: automations.into_iter().collect(),
        id,
    })
}

/// The URLs in the rules of a template, whose form is documented in parts only: an action has a `webhook_url`.
fn automation_urls<'a>(rules: impl Iterator<Item = &'a Json>) -> Vec<String> {
    let mut urls = Vec::new();
    for rule in rules {
        if let Ok(rule) = serde_json::from_str(rule.raw()) {
            gather(&rule, &mut urls);
        }
    }
    urls
}

fn gather(value: &Value, urls: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| gather(value, urls)),
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_str() {
                    Some(url) if name == "webhook_url" => urls.push(url.to_owned()),
                    _ => gather(value, urls),
                }
            }
        }
        _ => {}
    }
}
