//! The story of a run, in the order in which it happened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use runs_store::{
    AttemptEnd, EventSummary, FetchCause, HandlerName, Journal, NotificationSummary, RunSummary, Store, StoreError,
    Story, ToldAttempt, ToldFetch,
};
use serde::Serialize;
use tallyfy_model::{OrgId, RunId};
use uuid::Uuid;

use super::sentences::{self, Sentence};
use super::status::Status;
use super::way::{Way, way};
use super::words::{gap, length, plural, short_type};
use super::{Tone, changes_in_words};

/// Of how many of the newest events it is told what changed, and how many bytes are read for that.
const CHANGES_OF: usize = 20;
const CHANGES_BYTES: usize = 4 * 1024 * 1024;

/// The story of a run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Timeline {
    pub(crate) organization: String,
    pub(crate) run: String,
    pub(crate) name: Option<String>,
    pub(crate) template: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) tone: Tone,
    /// How it stands and what happens next; the first is the most important.
    pub(crate) sentences: Vec<Sentence>,
    /// How far the newest change has come.
    pub(crate) way: Way,
    /// What happened, the oldest first.
    pub(crate) items: Vec<Item>,
    /// What happened before this time is not told.
    pub(crate) older: Option<Timestamp>,
    #[serde(skip)]
    pub(crate) summary: RunSummary,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Item {
    pub(crate) at: Timestamp,
    pub(crate) kind: Kind,
    pub(crate) tone: Tone,
    pub(crate) title: String,
    pub(crate) details: Vec<String>,
    /// How long after what happened before it, in milliseconds.
    pub(crate) after_ms: Option<u64>,
    pub(crate) event: Option<Uuid>,
    pub(crate) notification: Option<Uuid>,
    pub(crate) handler: Option<String>,
}

/// What it was. The order is that of things of the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Webhook,
    Fetch,
    Event,
    NotFor,
    Attempt,
    Note,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Fetch => "fetch",
            Self::Event => "event",
            Self::NotFor => "kept back",
            Self::Attempt => "delivery",
            Self::Note => "note",
        }
    }
}

impl Item {
    fn new(at: Timestamp, kind: Kind, tone: Tone, title: impl Into<String>) -> Self {
        Self {
            at,
            kind,
            tone,
            title: title.into(),
            details: Vec::new(),
            after_ms: None,
            event: None,
            notification: None,
            handler: None,
        }
    }
}

/// Asks the store what happened to a run. `None` if nothing is known of it.
pub(crate) async fn timeline(
    store: &dyn Store,
    org: &OrgId,
    run: &RunId,
    before: Option<Timestamp>,
    limit: usize,
    status: &Status,
) -> Result<Option<Timeline>, StoreError> {
    let Some(story) = store.story(org, run, before, limit).await? else {
        return Ok(None);
    };
    let mut changes = BTreeMap::new();
    let mut bytes = 0;
    for event in story.events.iter().take(CHANGES_OF) {
        if bytes >= CHANGES_BYTES {
            break;
        }
        if let Some(whole) = store.event(event.id).await? {
            bytes += whole.body.len();
            changes.insert(event.id, changes_in_words(&whole.body));
        }
    }
    Ok(Some(told(&story, &changes, limit, status)))
}

/// Lays out what happened.
fn told(story: &Story, changes: &BTreeMap<Uuid, Vec<String>>, limit: usize, status: &Status) -> Timeline {
    let mut items: Vec<Item> = story.notifications.iter().map(webhook).collect();
    items.extend(story.fetches.iter().map(fetch));
    items.extend(story.attempts.iter().map(|tried| attempt(tried, story)));
    items.extend(story.journal.iter().map(note));
    let active: Vec<&str> = status
        .handlers
        .iter()
        .filter(|handler| handler.configured)
        .map(|handler| handler.handler.as_str())
        .collect();
    for event in &story.events {
        items.extend(of_event(event, changes.get(&event.id), story, &active));
    }
    let older = first_whole_moment(story, limit);
    items.retain(|item| older.is_none_or(|older| item.at >= older));
    items.sort_by_key(|item| (item.at, item.kind));
    let mut last: Option<Timestamp> = None;
    for item in &mut items {
        item.after_ms = last.map(|last| u64::try_from(gap(last, item.at).as_millis()).unwrap_or(u64::MAX));
        last = Some(item.at);
    }
    let sentences = sentences::of_run(story, status);
    let label = &story.run.label;
    Timeline {
        organization: story.run.org.to_string(),
        run: story.run.run.to_string(),
        name: label.name.clone(),
        template: label.template_name.clone().or_else(|| label.template.clone()),
        status: label.status.clone(),
        tone: sentences.first().map_or(Tone::Quiet, |sentence| sentence.tone),
        sentences,
        way: way(story, status),
        items,
        older,
        summary: story.run.clone(),
    }
}

/// From when on nothing is missing, if something earlier may be.
fn first_whole_moment(story: &Story, limit: usize) -> Option<Timestamp> {
    let oldest = |count: usize, at: Option<Timestamp>| at.filter(|_| count >= limit);
    [
        oldest(
            story.notifications.len(),
            story.notifications.last().map(|of| of.received_at),
        ),
        oldest(story.fetches.len(), story.fetches.last().map(|of| of.at)),
        oldest(story.events.len(), story.events.last().map(|of| of.created_at)),
        oldest(story.attempts.len(), story.attempts.last().map(|of| of.at)),
    ]
    .into_iter()
    .flatten()
    .max()
}

/// What a webhook announced.
pub(super) fn webhook_said(of: &NotificationSummary) -> &str {
    of.event.as_deref().unwrap_or(&of.kind)
}

fn webhook(of: &NotificationSummary) -> Item {
    let title = format!("Webhook: {}", webhook_said(of));
    let mut item = Item::new(of.received_at, Kind::Webhook, Tone::Quiet, title);
    if of.duplicates > 0 {
        item.details
            .push(format!("came {} more", plural(u64::from(of.duplicates), "time")));
    }
    if !of.covered {
        item.details.push("no fetch has followed yet".to_owned());
    }
    item.notification = Some(of.id);
    item
}

/// What a fetch showed, or why it showed nothing.
pub(super) fn fetched(of: &ToldFetch) -> (Tone, String) {
    let (tone, text) = match of.outcome.as_str() {
        "changed" if of.first_event == 1 && of.events > 0 => (Tone::Good, "for the first time".to_owned()),
        "changed" => (Tone::Good, plural(u64::from(of.changes), "change")),
        "unchanged" => (Tone::Good, "nothing has changed".to_owned()),
        "delivered stale" => (
            Tone::Warn,
            "it shows less than was announced, and is told with a mark".to_owned(),
        ),
        "stale" => (Tone::Quiet, "it shows less than was announced".to_owned()),
        "older" => (Tone::Quiet, "the answer is older than what is known".to_owned()),
        "failed" => (Tone::Warn, "it failed".to_owned()),
        "token refused" => (Tone::Bad, "the API refuses the token".to_owned()),
        "rate limited" => (Tone::Warn, "the API asks for a pause".to_owned()),
        "circuit open" => (Tone::Warn, "the API is down".to_owned()),
        "missing" => (
            Tone::Warn,
            "not found, asked again, since the API may lag behind".to_owned(),
        ),
        "gone" => (Tone::Quiet, "the API says that the run is gone".to_owned()),
        "no access" => (Tone::Warn, "the API does not let this token see the run".to_owned()),
        "given up" => (Tone::Bad, "given up, the API fails for this run alone".to_owned()),
        other => (Tone::Quiet, other.to_owned()),
    };
    (tone, text)
}

fn fetch(of: &ToldFetch) -> Item {
    let (tone, text) = fetched(of);
    let title = format!("Fetch: {text}");
    let mut item = Item::new(of.at, Kind::Fetch, tone, title);
    item.details
        .push(format!("{}, took {}", cause(of.cause), length(of.took)));
    item.details.extend(of.reason.clone());
    if let Some(again) = of.again_at {
        item.details
            .push(format!("fetched again {} later", length(gap(of.at, again))));
    }
    item
}

fn cause(cause: FetchCause) -> &'static str {
    match cause {
        FetchCause::Webhook => "asked for by a webhook",
        FetchCause::Retry => "tried again",
        FetchCause::Look => "looked at once more",
        FetchCause::Sweep => "found by a sweep",
        FetchCause::Person => "asked for by a person, or by a webhook that came twice",
    }
}

fn of_event(event: &EventSummary, changes: Option<&Vec<String>>, story: &Story, active: &[&str]) -> Vec<Item> {
    let at = event.created_at;
    let title = format!("Event {}: {}", event.number, short_type(&event.event_type));
    let mut item = Item::new(at, Kind::Event, Tone::Good, title);
    item.details.extend(changes.into_iter().flatten().cloned());
    item.event = Some(event.id);
    let mut items = vec![item];
    let mut about = |at, kind, tone, handler: &str, title: String| {
        let mut item = Item::new(at, kind, tone, title);
        item.event = Some(event.id);
        item.handler = Some(handler.to_owned());
        items.push(item);
    };
    for (handler, key) in &event.kept_back {
        let title = format!(
            "Not for {handler}: its filter ({key}) keeps event {} back",
            event.number
        );
        about(at, Kind::NotFor, Tone::Quiet, handler.as_str(), title);
    }
    let is_told = |handler: &HandlerName| {
        let mut attempts = story.attempts.iter();
        attempts.any(|tried| {
            tried.number == event.number && tried.handler == *handler && tried.end == AttemptEnd::Delivered
        })
    };
    for (handler, since) in event.delivered.iter().filter(|(handler, _)| !is_told(handler)) {
        let title = format!("Delivered to {handler}: event {}", event.number);
        about(*since, Kind::Attempt, Tone::Good, handler.as_str(), title);
    }
    let met: BTreeSet<&str> = event
        .waiting
        .iter()
        .chain(&event.dead)
        .chain(event.delivered.iter().map(|(handler, _)| handler))
        .chain(event.kept_back.iter().map(|(handler, _)| handler))
        .map(HandlerName::as_str)
        .collect();
    for handler in active.iter().filter(|handler| !met.contains(**handler)) {
        let title = format!(
            "Not for {handler}: it was not configured when event {} was made",
            event.number
        );
        about(at, Kind::NotFor, Tone::Quiet, handler, title);
    }
    items
}

fn attempt(tried: &ToldAttempt, story: &Story) -> Item {
    let (handler, number) = (&tried.handler, tried.number);
    let nth = match tried.attempt {
        1 => String::new(),
        nth => format!(" at try {nth}"),
    };
    let took = format!("took {}", length(tried.took));
    let (tone, title, details) = match &tried.end {
        AttemptEnd::Delivered => (
            Tone::Good,
            format!("Delivered to {handler}: event {number}{nth}"),
            vec![took],
        ),
        AttemptEnd::Failed { reason, again_at } => {
            let pause = length(gap(tried.at, *again_at));
            let next = format!("try {}, {took}, tried again {pause} later", tried.attempt);
            let title = format!("Not delivered to {handler}: event {number}: {reason}");
            (Tone::Warn, title, vec![next])
        }
        AttemptEnd::GivenUp { reason } => {
            let title = format!("Given up for {handler}: event {number}: {reason}");
            (Tone::Bad, title, vec![took, "it is a dead letter now".to_owned()])
        }
    };
    let mut item = Item::new(tried.at, Kind::Attempt, tone, title);
    item.details = details;
    item.handler = Some(handler.to_string());
    item.event = story
        .events
        .iter()
        .find(|event| event.number == number)
        .map(|event| event.id);
    item
}

fn note(of: &Journal) -> Item {
    let mut item = Item::new(of.entry.at, Kind::Note, Tone::Quiet, of.entry.text.clone());
    item.details.push(format!("by {}", of.entry.who));
    item
}

impl Item {
    /// How long after what happened before it, if that is worth telling.
    pub(crate) fn gap(&self) -> Option<String> {
        let gap = Duration::from_millis(self.after_ms?);
        (gap >= Duration::from_secs(1)).then(|| length(gap))
    }
}
