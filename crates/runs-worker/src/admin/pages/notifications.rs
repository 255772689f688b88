//! Notifications that could not be read, and one of them as it came.

use axum::extract::{Path, Query, State};
use maud::html;
use runs_store::{After, Query as StoreQuery};
use tallyfy_model::json_text::{indented, without_guest_links};
use uuid::Uuid;

use super::events::HIDDEN;
use super::layout::{onward, part, when};
use super::{Onward, PAGE, Page, Shared, Trouble};

/// How much of a body is shown.
const SHOWN: usize = 64 * 1024;

pub(super) async fn list(State(pages): State<Shared>, Query(asked): Query<Onward>) -> Page {
    let mut query = StoreQuery::default();
    query.unrecognized = true;
    let after = asked.after.as_deref().and_then(|after| after.parse::<Uuid>().ok());
    query.after = after.map(|id| After { id, handler: None });
    let notifications = pages.store()?.notifications(&query, PAGE).await?;
    let (base, now) = (pages.base(), pages.now());
    let next = notifications.last().filter(|_| notifications.len() == PAGE);
    let next = next.map(|last| format!("{base}/notifications?after={}", last.id));
    let body = html! {
        h1 { "Notifications that could not be read" }
        p .lead { "They were kept as they came. After an update of the worker, " code { "runs-worker notifications reread" } " reads them again." }
        @if notifications.is_empty() { p .empty { "Every notification could be read." } }
        @else { div .scroll tabindex="0" role="region" aria-label="Notifications" { table {
            thead { tr { th scope="col" { "Notification" } th scope="col" { "Came" } th scope="col" { "Organization" } } }
            tbody { @for of in &notifications { tr {
                th scope="row" { a href={ (base) "/notifications/" (of.id) } { (of.id) } }
                td { (when(of.received_at, now)) }
                td { (of.org) }
            } } }
        } } }
        (onward(next))
    };
    Ok(pages.page("Unreadable", "/notifications", &body))
}

pub(super) async fn show(State(pages): State<Shared>, Path(id): Path<String>) -> Page {
    let nothing = Trouble::NotFound("There is no notification with this id; it may be older than what is kept.");
    let Ok(id) = id.parse::<Uuid>() else {
        return Err(nothing);
    };
    let whole = pages.store()?.notification(id).await?.ok_or(nothing)?;
    let (of, base) = (&whole.summary, pages.base());
    let text = String::from_utf8_lossy(&whole.body);
    let text = match without_guest_links(&text) {
        Ok(text) => indented(&text),
        // Where a link begins and ends cannot be told.
        Err(_) if text.to_ascii_lowercase().contains("guest") => HIDDEN.to_owned(),
        Err(_) => text.into_owned(),
    };
    let shown: String = text.chars().take(SHOWN).collect();
    let is_cut = shown.len() < text.len();
    let body = html! {
        p .crumb { "Notification " code { (id) } }
        h1 { (of.event.as_deref().unwrap_or(&of.kind)) }
        ul .facts {
            li { "Organization " strong { (of.org) } }
            li { "Came " (when(of.received_at, pages.now())) }
            @if let Some(run) = &of.run { li { "Run " a href={ (base) "/runs/" (part(of.org.as_str())) "/" (part(run)) } { (run) } } }
            @if of.duplicates > 0 { li { "Came again " strong { (of.duplicates) } " times" } }
            li { @if of.covered { "A fetch has followed" } @else { "No fetch has followed yet" } }
        }
        @if !of.led_to.is_empty() {
            h2 { "What it led to" }
            ul { @for event in &of.led_to { li { a href={ (base) "/events/" (event) } { "Event " (event) } } } }
        }
        h2 #body { "As it came" }
        pre .json tabindex="0" role="region" aria-labelledby="body" { code { (shown) } }
        @if is_cut { p { "The rest is shown by " code { "runs-worker notifications show " (id) } } }
    };
    Ok(pages.page("Notification", "/notifications", &body))
}
