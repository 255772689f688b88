//! What people did, and what the worker noticed of itself.

use axum::extract::{Query, State};
use maud::html;
use runs_store::JournalQuery;

use super::layout::{onward, part, when};
use super::{Onward, PAGE, Page, Shared};

pub(super) async fn show(State(pages): State<Shared>, Query(asked): Query<Onward>) -> Page {
    let before = asked.after.as_deref().and_then(|after| after.parse().ok());
    let entries = pages.store()?.journal(&JournalQuery::default(), before, PAGE).await?;
    let (base, now) = (pages.base(), pages.now());
    let next = entries.last().filter(|_| entries.len() == PAGE);
    let next = next.map(|last| format!("{base}/journal?after={}", last.place));
    let body = html! {
        h1 { "Journal" }
        @if entries.is_empty() { p .empty { "Nothing is written yet." } }
        @else { div .scroll tabindex="0" role="region" aria-label="Journal" { table {
            thead { tr { th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "What" } th scope="col" { "Run" } } }
            tbody { @for of in &entries { tr {
                td { (when(of.entry.at, now)) }
                td { (of.entry.who) }
                td { (of.entry.text) }
                td { @if let (Some(org), Some(run)) = (&of.entry.org, &of.entry.run) {
                    a href={ (base) "/runs/" (part(org.as_str())) "/" (part(run.as_str())) } { (run) } } @else { "–" } }
            } } }
        } } }
        (onward(next))
    };
    Ok(pages.page("Journal", "/journal", &body))
}
