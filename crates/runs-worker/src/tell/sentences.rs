//! How a run stands and what happens next, in one sentence, with more below it if more is the matter.

use jiff::Timestamp;
use runs_store::{Head, RunSummary, Standing, Story};
use serde::Serialize;

use super::Tone;
use super::status::Status;
use super::words::{ago, gap, length, plural, until};

/// A sentence, and how bad it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Sentence {
    pub(crate) tone: Tone,
    pub(crate) text: String,
}

fn sentence(tone: Tone, text: impl Into<String>) -> Sentence {
    Sentence {
        tone,
        text: text.into(),
    }
}

/// How a run stands, the worst first.
pub(super) fn of_run(story: &Story, status: &Status) -> Vec<Sentence> {
    let now = status.at;
    let mut told = Vec::new();
    if !status.is_served() {
        let text = "No worker runs: nothing is fetched or delivered until one starts.";
        told.push(sentence(Tone::Bad, text));
    }
    told.extend(of_fetch(story, status));
    for head in &story.heads {
        told.push(of_head(head, status, now));
    }
    for letter in &story.dead_letters {
        told.push(sentence(
            Tone::Bad,
            format!(
                "Event {} was given up for handler {} {}: {}. It is sent again when somebody asks for it: \
                 runs-worker dead-letters retry {}",
                letter.event.number,
                letter.handler,
                ago(letter.at, now),
                letter.reason,
                letter.event.id
            ),
        ));
    }
    told.extend(of_the_newest_event(story));
    told.extend(without_webhook(story, status));
    let is_done = story.run.due_at.is_none() && story.heads.is_empty() && story.dead_letters.is_empty();
    if is_done && told.iter().all(|sentence| sentence.tone < Tone::Warn) {
        told.insert(0, all_done(story));
    }
    // What is done stands first only if nothing is the matter.
    told.sort_by_key(|sentence| std::cmp::Reverse(sentence.tone.max(Tone::Quiet)));
    told
}

/// Why it is not fetched yet, or will not be.
fn of_fetch(story: &Story, status: &Status) -> Option<Sentence> {
    let (run, now) = (&story.run, status.at);
    let org = status.organization(run.org.as_str());
    let trouble = org.and_then(|org| org.trouble.as_deref());
    let api = status.workers.iter().filter(|worker| worker.is_there);
    let api = api.filter_map(|worker| worker.report.api.as_deref()).next();
    let Some(due) = run.due_at else {
        return of_standing(story);
    };
    Some(match (trouble.or(api), &run.reason) {
        (Some(trouble), _) => sentence(
            Tone::Bad,
            format!("It waits for a fetch. Organization {}: {trouble}.", run.org),
        ),
        (None, _) if run.is_out => sentence(Tone::Quiet, "It is being fetched now."),
        (None, Some(reason)) => sentence(
            Tone::Warn,
            format!(
                "The last fetch brought nothing: {reason}. It is fetched again {}.",
                until(due, now)
            ),
        ),
        (None, None) if due <= now => sentence(Tone::Quiet, "It waits to be fetched, and is fetched next."),
        (None, None) => sentence(Tone::Quiet, format!("It is fetched {}.", until(due, now))),
    })
}

/// What the API last said, if that ends it.
fn of_standing(story: &Story) -> Option<Sentence> {
    let RunSummary { run, standing, .. } = &story.run;
    let last = story.fetches.first();
    match standing {
        Standing::NoAccess if last.is_some_and(|fetch| fetch.outcome == "given up") => Some(sentence(
            Tone::Bad,
            format!(
                "The run was given up: the API failed for it alone{}. It is fetched when somebody asks for it: \
                 runs-worker refresh {run}",
                for_how_long(story)
            ),
        )),
        Standing::NoAccess => Some(sentence(
            Tone::Warn,
            "The API does not let this token see the run; it is looked at again when a webhook names it.",
        )),
        Standing::Gone => Some(sentence(Tone::Quiet, "The API says that the run is gone.")),
        Standing::Unseen | Standing::Present => None,
    }
}

/// How long the fetches failed at the end of which a run was given up, as far as they are kept.
fn for_how_long(story: &Story) -> String {
    let Some((last, earlier)) = story.fetches.split_first() else {
        return String::new();
    };
    let failed = earlier.iter().take_while(|fetch| fetch.outcome == "failed");
    let (tries, first) = failed.fold((1, last.at), |(tries, _), fetch| (tries + 1, fetch.at));
    let reason = earlier.first().and_then(|fetch| fetch.reason.as_deref());
    let reason = reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!(
        " in {} within {}{reason}",
        plural(tries, "try"),
        length(gap(first, last.at))
    )
}

/// What becomes of the event at the head of a line.
fn of_head(head: &Head, status: &Status, now: Timestamp) -> Sentence {
    let (name, number) = (&head.handler, head.number);
    let view = status.handlers.iter().find(|view| view.handler == name.as_str());
    if view.is_some_and(|view| view.paused) {
        let text = format!(
            "Handler {name} is paused: event {number} waits until somebody resumes it: runs-worker handlers resume {name}"
        );
        return sentence(Tone::Warn, text);
    }
    if view.is_some_and(|view| !view.configured) {
        let text = format!("Handler {name} is not configured any more: event {number} waits until it is.");
        return sentence(Tone::Warn, text);
    }
    match &head.reason {
        _ if head.is_out => sentence(
            Tone::Quiet,
            format!("Handler {name} is being given event {number} now."),
        ),
        Some(reason) => sentence(
            Tone::Warn,
            format!(
                "Handler {name} has not taken event {number} in {}: {reason}. The next try is {}.",
                plural(u64::from(head.attempts), "try"),
                until(head.due_at, now)
            ),
        ),
        None => match view.and_then(|view| view.last_error.as_deref()) {
            Some(error) => sentence(
                Tone::Warn,
                format!("Handler {name} gets event {number} when it works again: {error}."),
            ),
            None => sentence(Tone::Quiet, format!("Handler {name} gets event {number} next.")),
        },
    }
}

/// Which handlers do not get the newest event, and why.
fn of_the_newest_event(story: &Story) -> Option<Sentence> {
    let event = story.events.first()?;
    let kept: Vec<String> = event
        .kept_back
        .iter()
        .map(|(handler, key)| format!("{handler} (filter {key})"))
        .collect();
    (!kept.is_empty()).then(|| {
        let text = format!(
            "The newest event, {}, is not for {}: its filter keeps it back.",
            event.number,
            kept.join(", ")
        );
        sentence(Tone::Quiet, text)
    })
}

/// What is known of webhooks that should have come.
fn without_webhook(story: &Story, status: &Status) -> Option<Sentence> {
    if !story.notifications.is_empty() {
        return None;
    }
    let text = format!(
        "No webhook named this run; a sweep or a person made it known. {}",
        at_the_door(status)
    );
    Some(sentence(Tone::Warn, text.trim_end()))
}

/// What the door turned away, which may be the webhooks that are missed.
fn at_the_door(status: &Status) -> String {
    let told: Vec<String> = status
        .refused
        .iter()
        .map(|refused| {
            let requests = plural(refused.count, "request");
            format!(
                "{requests} {} (the last {})",
                refused.reason,
                ago(refused.last, status.at)
            )
        })
        .collect();
    match told.as_slice() {
        [] => "The door turned nothing away within a day: look whether the template has a webhook address at all."
            .to_owned(),
        told => format!(
            "The door turned away {}. Compare the webhook address in the template with the one of this worker.",
            told.join("; ")
        ),
    }
}

fn all_done(story: &Story) -> Sentence {
    let newest = story.events.first();
    let text = match newest {
        None => "It is up to date, and nothing was told of it yet.".to_owned(),
        Some(event) if event.delivered.is_empty() => {
            "It is up to date; its newest event went to no handler.".to_owned()
        }
        Some(event) => {
            let names: Vec<&str> = event.delivered.iter().map(|(name, _)| name.as_str()).collect();
            format!(
                "All is delivered: {} has its newest event, {}.",
                names.join(", "),
                event.number
            )
        }
    };
    sentence(
        Tone::Good,
        format!("{text} The next webhook or sweep has it fetched again."),
    )
}

/// What can be said of a run that nothing is known of.
pub(crate) fn unknown_run(run: &str, status: &Status) -> Vec<Sentence> {
    let now = status.at;
    let mut told = vec![sentence(
        Tone::Warn,
        format!("Nothing is known of run {run}: no webhook named it, and no sweep has seen it."),
    )];
    for org in &status.organizations {
        let webhook = org.last_webhook.map_or_else(
            || "no webhook came within a day".to_owned(),
            |at| format!("the last webhook came {}", ago(at, now)),
        );
        let sweep = org.last_sweep.as_ref().map_or_else(
            || "no sweep has run".to_owned(),
            |sweep| format!("the last sweep was {}", sweep.in_words),
        );
        told.push(sentence(
            Tone::Quiet,
            format!("Organization {}: {webhook}; {sweep}.", org.organization),
        ));
    }
    let tone = if status.refused.is_empty() {
        Tone::Quiet
    } else {
        Tone::Warn
    };
    told.push(sentence(tone, at_the_door(status)));
    if !status.is_served() {
        told.push(sentence(Tone::Bad, "No worker runs."));
    }
    told
}
