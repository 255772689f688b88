//! How far the newest change of a run has come: webhook, fetch, event, and each handler.

use jiff::Timestamp;
use runs_store::{EventSummary, Head, Story};
use serde::Serialize;

use super::Tone;
use super::status::Status;
use super::timeline::{fetched, webhook_said};
use super::words::{plural, short_type, until};

/// How far the newest change has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Way {
    /// The newest webhook, the newest fetch and the newest event.
    pub(crate) steps: Vec<Step>,
    /// What became of that event, for each handler.
    pub(crate) handlers: Vec<Step>,
}

/// How one of them stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Step {
    /// `webhook`, `fetch`, `event`, or the name of a handler.
    pub(crate) what: String,
    pub(crate) tone: Tone,
    pub(crate) text: String,
    /// When it was; `None` if it was not, or not yet.
    pub(crate) at: Option<Timestamp>,
}

fn step(what: impl Into<String>, tone: Tone, text: impl Into<String>, at: Option<Timestamp>) -> Step {
    Step {
        what: what.into(),
        tone,
        text: text.into(),
        at,
    }
}

pub(super) fn way(story: &Story, status: &Status) -> Way {
    let webhook = match story.notifications.first() {
        Some(of) => step("webhook", Tone::Good, webhook_said(of), Some(of.received_at)),
        None => step("webhook", Tone::Quiet, "none named this run", None),
    };
    let fetch = match story.fetches.first() {
        Some(of) => {
            let (tone, text) = fetched(of);
            step("fetch", tone, text, Some(of.at))
        }
        None => step("fetch", Tone::Quiet, "none yet", None),
    };
    let event = story.events.first();
    let told = match event {
        Some(of) => {
            let text = format!("{}: {}", of.number, short_type(&of.event_type));
            step("event", Tone::Good, text, Some(of.created_at))
        }
        None => step("event", Tone::Quiet, "none yet", None),
    };
    Way {
        steps: vec![webhook, fetch, told],
        handlers: event.map(|event| of_handlers(event, story, status)).unwrap_or_default(),
    }
}

fn of_handlers(event: &EventSummary, story: &Story, status: &Status) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (handler, at) in &event.delivered {
        steps.push(step(handler.as_str(), Tone::Good, "delivered", Some(*at)));
    }
    for handler in &event.waiting {
        let head = story.heads.iter().find(|head| head.handler == *handler);
        let paused = status
            .handlers
            .iter()
            .any(|view| view.handler == handler.as_str() && view.paused);
        let (tone, text) = waits(event.number, head, paused, status.at);
        steps.push(step(handler.as_str(), tone, text, None));
    }
    for handler in &event.dead {
        let letter = story
            .dead_letters
            .iter()
            .find(|letter| letter.handler == *handler && letter.event.number == event.number);
        steps.push(step(
            handler.as_str(),
            Tone::Bad,
            "given up",
            letter.map(|letter| letter.at),
        ));
    }
    for (handler, key) in &event.kept_back {
        steps.push(step(
            handler.as_str(),
            Tone::Quiet,
            format!("kept back by filter {key}"),
            None,
        ));
    }
    let is_told = |name: &str, steps: &[Step]| steps.iter().any(|step| step.what == name);
    for view in status.handlers.iter().filter(|view| view.configured) {
        if !is_told(&view.handler, &steps) {
            steps.push(step(&view.handler, Tone::Quiet, "was not configured yet", None));
        }
    }
    steps.sort_by(|one, other| one.what.cmp(&other.what));
    steps
}

/// What an event waits for.
fn waits(number: u64, head: Option<&Head>, paused: bool, now: Timestamp) -> (Tone, String) {
    match head {
        _ if paused => (Tone::Warn, "waits: the handler is paused".to_owned()),
        Some(head) if head.number != number => (Tone::Warn, format!("waits behind event {}", head.number)),
        Some(head) if head.is_out => (Tone::Quiet, "is being delivered".to_owned()),
        Some(head) if head.reason.is_some() => {
            let tries = plural(u64::from(head.attempts), "try");
            (
                Tone::Warn,
                format!("failed in {tries}, next try {}", until(head.due_at, now)),
            )
        }
        _ => (Tone::Quiet, "is next".to_owned()),
    }
}
