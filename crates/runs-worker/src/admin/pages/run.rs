//! What happened to a run: the page that all others lead to.

use axum::extract::{Path, Query, State};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use tallyfy_model::{OrgId, RunId};

use super::layout::{part, sentences};
use super::{Page, Pages, Shared, Trouble};
use crate::tell::{self, Item, Timeline, clock_time, day};

/// How much of a story is on one page.
const TOLD: usize = 100;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    before: Option<String>,
    still: Option<String>,
}

pub(super) async fn show(
    State(pages): State<Shared>,
    Path((org, run)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Page {
    let before: Option<Timestamp> = asked.before.as_deref().and_then(|before| before.parse().ok());
    let status = pages.status().await?;
    let (org, run) = (OrgId::new(org), RunId::new(run));
    let told = tell::timeline(pages.store()?, &org, &run, before, TOLD, &status).await?;
    let told = told.ok_or(Trouble::NotFound("Nothing is known of this run."))?;
    let here = format!("/runs/{}/{}", part(org.as_str()), part(run.as_str()));
    let title = told.name.clone().unwrap_or_else(|| told.run.clone());
    let body = html! {
        (head(&told, &title))
        div .verdict { (sentences(&told.sentences)) (actions(&pages, &told, &here)) }
        h2 { "What happened" }
        @if let Some(older) = told.older {
            p .onward { a href={ (pages.base()) (here) "?before=" (part(&older.to_string())) } rel="prev" { "What happened before" } }
        }
        (items(&pages, &told.items))
    };
    Ok(pages.living_page(&title, "/runs", &here, asked.still.is_some() || before.is_some(), &body))
}

fn head(told: &Timeline, title: &str) -> Markup {
    html! {
        p .crumb { "Run " code { (told.run) } }
        h1 { (title) }
        ul .facts {
            li { "Organization " strong { (told.organization) } }
            @if let Some(template) = &told.template { li { "Template " strong { (template) } } }
            @if let Some(status) = &told.status { li { "Status " strong { (status) } } }
            li { "Events " strong { (told.summary.events) } }
        }
    }
}

fn actions(pages: &Pages, told: &Timeline, here: &str) -> Markup {
    let fields = [("org", told.organization.as_str()), ("run", told.run.as_str())];
    html! {
        div .actions {
            (pages.button("refresh", "Fetch it now", &fields, here))
            @if !told.summary.failing_for.is_empty() {
                (pages.button("retry-deliveries", "Try its deliveries now", &fields, here))
            }
            @if !told.summary.given_up_for.is_empty() {
                (pages.button("retry-dead-letters", "Send its dead letters again", &fields, here))
            }
        }
    }
}

fn items(pages: &Pages, items: &[Item]) -> Markup {
    let days: Vec<String> = items.iter().map(|item| day(item.at)).collect();
    html! {
        ol .timeline {
            @for (place, item) in items.iter().enumerate() {
                @if place == 0 || days[place] != days[place - 1] {
                    li .day { h3 { (days[place]) } }
                }
                (one(pages, item))
            }
        }
    }
}

fn one(pages: &Pages, item: &Item) -> Markup {
    let base = pages.base();
    html! {
        li .(item.kind.as_str().replace(' ', "-")) .(item.tone.as_str()) {
            div .at {
                time datetime=(item.at) { (clock_time(item.at)) }
                @if let Some(gap) = item.gap() { span .gap { "+" (gap) } }
            }
            span .dot aria-hidden="true" {}
            div .what {
                span .kind { (item.kind.as_str()) }
                p .title {
                    @if let Some(id) = item.notification {
                        a href={ (base) "/notifications/" (id) } { (item.title) }
                    } @else if let Some(id) = item.event {
                        a href={ (base) "/events/" (id) } { (item.title) }
                    } @else { (item.title) }
                }
                @if !item.details.is_empty() {
                    ul .details { @for detail in &item.details { li { (detail) } } }
                }
            }
        }
    }
}
