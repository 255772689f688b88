//! What happened to a run: the page that all others lead to.

use axum::extract::{Path, Query, State};
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;
use tallyfy_model::{OrgId, RunId};

use super::layout::{mark, part, sentences, when};
use super::{Page, Pages, Shared, Trouble};
use crate::tell::{self, Item, Kind, Step, Timeline, Tone, Way, clock_time, day};

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
        div .heading { h1 { (title) } (actions(&pages, &told, &here)) }
        (facts(&told))
        div .verdict { (sentences(&told.sentences)) }
        (way(&told.way, status.at))
        h2 { "What happened" }
        @if let Some(older) = told.older {
            p .onward { a href={ (pages.base()) (here) "?before=" (part(&older.to_string())) } rel="prev" { "What happened before" } }
        }
        (items(&pages, &told.items))
    };
    Ok(pages.living_page(&title, "/runs", &here, asked.still.is_some() || before.is_some(), &body))
}

fn facts(told: &Timeline) -> Markup {
    html! {
        ul .facts {
            li { "Run " code { (told.run) } }
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

/// How far the newest change has come, from left to right.
fn way(way: &Way, now: Timestamp) -> Markup {
    html! {
        ol .way aria-label="How far the newest change has come" {
            @for step in &way.steps {
                li .(step.tone.as_str()) { (one_step(step, now)) }
            }
            @if !way.handlers.is_empty() {
                li .ends {
                    span .label { "handlers" }
                    ul { @for step in &way.handlers {
                        li .(step.tone.as_str()) { (mark(step.tone)) span { strong { (step.what) } " " (step.text) } }
                    } }
                }
            }
        }
    }
}

fn one_step(step: &Step, now: Timestamp) -> Markup {
    html! {
        span .label { (step.what) @if let Some(at) = step.at { " · " (when(at, now)) } }
        strong { (step.text) }
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
            span .dot aria-hidden="true" { (icon(item)) }
            div .what {
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

/// A small picture of what happened; the title says the same.
fn icon(item: &Item) -> Markup {
    let path = match (item.kind, item.tone) {
        (Kind::Webhook, _) => "M2 8h8M7 4.5 10.5 8 7 11.5M13.5 2.5v11",
        (Kind::Fetch, _) => "M8 2.5v7.5M4.8 7 8 10.2 11.2 7M3 13.5h10",
        (Kind::Event, _) => "M9 1.5 3.5 9H8l-1 5.5L12.5 7H8z",
        (Kind::NotFor, _) => "M2.5 3h11L9.3 8.2v4.3l-2.6 1V8.2z",
        (Kind::Attempt, Tone::Good) => "M3 8.5 6.5 12 13 4.5",
        (Kind::Attempt, Tone::Bad) => "M4 4l8 8M12 4l-8 8",
        (Kind::Attempt, _) => "M13 8a5 5 0 1 1-1.6-3.7M13.2 2v3h-3",
        (Kind::Note, _) => "M8 7.6a2.6 2.6 0 1 0 0-5.2 2.6 2.6 0 0 0 0 5.2M3 13.8c.6-2.6 2.6-4 5-4s4.4 1.4 5 4",
    };
    html! { svg viewBox="0 0 16 16" { path d=(path) {} } }
}
