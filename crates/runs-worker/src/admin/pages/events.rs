//! Events, and one of them as it was sent.

use axum::extract::{Path, Query, State};
use maud::html;
use runs_store::{After, HandlerName, Query as StoreQuery};
use tallyfy_model::json_text::{indented, without_guest_links};
use uuid::Uuid;

use super::layout::{onward, part, when};
use super::{Onward, PAGE, Page, Shared, Trouble};
use crate::tell::{changes_in_words, short_type};

/// What stands for a body that may hold what is not to be shown.
pub(super) const HIDDEN: &str = "It is no JSON and may hold guest links; `runs-worker` shows it on the command line.";

pub(super) async fn list(State(pages): State<Shared>, Query(asked): Query<Onward>) -> Page {
    let mut query = StoreQuery::default();
    let after = asked.after.as_deref().and_then(|after| after.parse::<Uuid>().ok());
    query.after = after.map(|id| After { id, handler: None });
    let events = pages.store()?.events(&query, PAGE).await?;
    let (base, now) = (pages.base(), pages.now());
    let next = events
        .last()
        .filter(|_| events.len() == PAGE)
        .map(|last| format!("{base}/events?after={}", last.id));
    let names = |names: Vec<&str>| {
        if names.is_empty() {
            "–".to_owned()
        } else {
            names.join(", ")
        }
    };
    let body = html! {
        h1 { "Events" }
        @if events.is_empty() { p .empty { "No event was made yet." } }
        @else { div .scroll tabindex="0" role="region" aria-label="Events" { table {
            thead { tr { th scope="col" { "Event" } th scope="col" { "Made" } th scope="col" { "Run" } th scope="col" { "Delivered to" }
                th scope="col" { "Waiting for" } th scope="col" { "Given up for" } th scope="col" { "Not for" } } }
            tbody { @for event in &events { tr {
                th scope="row" { a href={ (base) "/events/" (event.id) } { (short_type(&event.event_type)) } small { "number " (event.number) } }
                td { (when(event.created_at, now)) }
                td { a href={ (base) "/runs/" (part(event.org.as_str())) "/" (part(event.run.as_str())) } { (event.run) } }
                td { (names(event.delivered.iter().map(|(name, _)| name.as_str()).collect())) }
                td { (names(event.waiting.iter().map(HandlerName::as_str).collect())) }
                td { (names(event.dead.iter().map(HandlerName::as_str).collect())) }
                td { (names(event.kept_back.iter().map(|(name, _)| name.as_str()).collect())) }
            } } }
        } } }
        (onward(next))
    };
    Ok(pages.page("Events", "/events", &body))
}

pub(super) async fn show(State(pages): State<Shared>, Path(id): Path<String>) -> Page {
    let id: Uuid = id
        .parse()
        .map_err(|_| Trouble::NotFound("There is no event with this id."))?;
    let event = pages.store()?.event(id).await?;
    let event = event.ok_or(Trouble::NotFound(
        "There is no event with this id; it may be older than what is kept.",
    ))?;
    let (of, now, base) = (&event.summary, pages.now(), pages.base());
    let here = format!("/events/{id}");
    let text = String::from_utf8_lossy(&event.body);
    let shown = without_guest_links(&text).map_or_else(|_| HIDDEN.to_owned(), |text| indented(&text));
    let changes = changes_in_words(&event.body);
    let body = html! {
        p .crumb { "Event " code { (id) } }
        h1 { (short_type(&of.event_type)) " · number " (of.number) }
        ul .facts {
            li { "Run " a href={ (base) "/runs/" (part(of.org.as_str())) "/" (part(of.run.as_str())) } { (of.run) } }
            li { "Made " (when(of.created_at, now)) }
            li { "Type " code { (of.event_type) } }
        }
        h2 { "What changed" }
        @if changes.is_empty() { p .empty { "Nothing that is fetched." } }
        @else { ul .details { @for change in &changes { li { (change) } } } }
        h2 { "What became of it" }
        ul .fates {
            @for (name, at) in &of.delivered {
                li { "Delivered to " strong { (name) } " " (when(*at, now)) " "
                    (pages.button("replay", "Send it again", &[("event", &id.to_string()), ("handler", name.as_str())], &here)) }
            }
            @for name in &of.waiting { li { "Waiting for " strong { (name) } } }
            @for name in &of.dead { li { "Given up for " strong { (name) } " "
                (pages.button("retry-dead-letters", "Send it again", &[("event", &id.to_string()), ("handler", name.as_str())], &here)) } }
            @for (name, key) in &of.kept_back {
                li { "Not for " strong { (name) } ": its filter " code { (key) } " keeps it back "
                    (pages.button("replay", "Send it all the same", &[("event", &id.to_string()), ("handler", name.as_str())], &here)) }
            }
            @if of.delivered.is_empty() && of.waiting.is_empty() && of.dead.is_empty() && of.kept_back.is_empty() {
                li { "No handler was configured when it was made." }
            }
        }
        h2 #json { "As it is sent" }
        pre .json tabindex="0" role="region" aria-labelledby="json" { code { (shown) } }
    };
    Ok(pages.page("Event", "/events", &body))
}
