//! Handlers with what holds them up, and the deliveries that were given up.

use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use runs_store::{After, DeadLetter, HandlerName, Query as StoreQuery};
use uuid::Uuid;

use super::layout::{mark, onward, part, when};
use super::{Onward, PAGE, Page, Pages, Shared, Trouble, overview};
use crate::tell::{number, plural, short_type, until};

pub(super) async fn list(State(pages): State<Shared>) -> Page {
    let status = pages.status().await?;
    let body = html! { h1 { "Handlers" } (overview::handlers(&pages, &status)) };
    Ok(pages.page("Handlers", "/handlers", &body))
}

pub(super) async fn show(State(pages): State<Shared>, Path(name): Path<String>, Query(asked): Query<Onward>) -> Page {
    let status = pages.status().await?;
    let handler = status.handlers.iter().find(|handler| handler.handler == name);
    let handler = handler.ok_or(Trouble::NotFound("No handler has this name."))?;
    let after = asked.after.as_deref().and_then(|after| after.parse().ok());
    let heads = pages
        .store()?
        .heads(&HandlerName::new(name.clone()), after, PAGE)
        .await?;
    let (base, now) = (pages.base(), status.at);
    let here = format!("/handlers/{}", part(&name));
    let next = heads.next.map(|next| format!("{base}{here}?after={next}"));
    let fields = [("handler", name.as_str())];
    let body = html! {
        p .crumb { "Handler" }
        h1 { (name) }
        p .lead { (mark(handler.tone)) " " (handler.in_words) }
        ul .facts {
            li { "Waiting " strong { (number(handler.waiting)) } }
            @if let Some(oldest) = handler.oldest { li { "The oldest since " (when(oldest, now)) } }
            li { a href={ (base) "/dead-letters?handler=" (part(&name)) } { (plural(handler.dead_letters, "dead letter")) } }
        }
        div .actions {
            @if handler.paused { (pages.button("resume", "Resume it", &fields, &here)) }
            @else if handler.configured { (pages.button("pause", "Pause it", &fields, &here)) }
            @if !heads.heads.is_empty() { (pages.button("retry-deliveries", "Try all of them now", &fields, &here)) }
        }
        h2 { "What holds it up" }
        @if heads.heads.is_empty() { p .empty { "No delivery has failed and waits for its next try." } }
        @else { div .scroll tabindex="0" role="region" aria-label="What holds it up" { table {
            thead { tr { th scope="col" { "Run" } th scope="col" .number { "Event" } th scope="col" .number { "Tries" }
                th scope="col" { "Why the last one failed" } th scope="col" { "Next try" } } }
            tbody { @for head in &heads.heads { tr {
                th scope="row" { a href={ (base) "/runs/" (part(head.org.as_str())) "/" (part(head.run.as_str())) } {
                    (head.name.as_deref().unwrap_or(head.run.as_str())) } }
                td .number { a href={ (base) "/events/" (head.event) } { (head.number) } }
                td .number { (head.attempts) }
                td { (head.reason.as_deref().unwrap_or("–")) }
                td { @if head.is_out { "being tried now" } @else { (until(head.due_at, now)) } }
            } } }
        } } }
        (onward(next))
    };
    Ok(pages.page(&name, "/handlers", &body))
}

pub(super) async fn dead_letters(State(pages): State<Shared>, Query(asked): Query<Onward>) -> Page {
    let mut query = StoreQuery::default();
    query.handler = asked
        .handler
        .as_deref()
        .filter(|name| !name.is_empty())
        .map(HandlerName::new);
    query.after = asked.after.as_deref().and_then(place);
    let letters = pages.store()?.dead_letters(&query, PAGE).await?;
    let base = pages.base();
    let of = asked.handler.as_deref().unwrap_or_default();
    let next = letters.last().filter(|_| letters.len() == PAGE).map(|last| {
        let at = format!("{}:{}", last.event.id, last.handler);
        format!("{base}/dead-letters?handler={}&after={}", part(of), part(&at))
    });
    let here = format!("/dead-letters?handler={}", part(of));
    let body = html! {
        h1 { "Dead letters" }
        p .lead { "Deliveries that were given up. Their events are kept, and can be sent again." }
        @if letters.is_empty() { p .empty { "Nothing was given up." } }
        @else if pages.config.actions {
            form method="post" action={ (base) "/act" } {
                (pages.hidden("", &here))
                (table(&pages, &letters, true))
                div .actions {
                    button type="submit" name="what" value="retry-letters" { "Send the chosen ones again" }
                    button .danger type="submit" name="what" value="drop-letters" { "Delete the chosen ones" }
                }
            }
        } @else { (table(&pages, &letters, false)) }
        (onward(next))
    };
    Ok(pages.page("Dead letters", "/dead-letters", &body))
}

fn table(pages: &Pages, letters: &[DeadLetter], choosable: bool) -> Markup {
    let (base, now) = (pages.base(), pages.now());
    html! {
        div .scroll tabindex="0" role="region" aria-label="Dead letters" { table {
            thead { tr { @if choosable { th scope="col" { "Choose" } } th scope="col" { "Event" } th scope="col" { "Run" }
                th scope="col" { "Handler" } th scope="col" { "Given up" } th scope="col" { "Why" } } }
            tbody { @for letter in letters { tr {
                @if choosable { td { input type="checkbox" name="letter" value={ (letter.event.id) ":" (letter.handler) }
                    aria-label={ "choose event " (letter.event.number) " of run " (letter.event.run) }; } }
                th scope="row" { a href={ (base) "/events/" (letter.event.id) } { (short_type(&letter.event.event_type)) }
                    small { "number " (letter.event.number) } }
                td { a href={ (base) "/runs/" (part(letter.event.org.as_str())) "/" (part(letter.event.run.as_str())) } { (letter.event.run) } }
                td { (letter.handler) }
                td { (when(letter.at, now)) " after " (plural(u64::from(letter.attempts), "try")) }
                td { (letter.reason) @if let Some(said) = &letter.answer { details { summary { "What the other side said" } pre { (said) } } } }
            } } }
        } }
    }
}

/// The event and the handler of a dead letter, as a form writes them.
pub(super) fn place(text: &str) -> Option<After> {
    let (id, handler) = text.split_once(':')?;
    let id: Uuid = id.parse().ok()?;
    Some(After {
        id,
        handler: Some(HandlerName::new(handler)),
    })
}
