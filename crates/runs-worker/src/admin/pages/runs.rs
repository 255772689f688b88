//! Runs, with a search.

use axum::extract::{Query, State};
use maud::html;
use runs_store::{RunsOnly, RunsQuery};
use serde::Deserialize;

use super::layout::{mark, onward, part, sentences, when};
use super::{PAGE, Page, Shared};
use crate::tell;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    name: Option<String>,
    template: Option<String>,
    org: Option<String>,
    only: Option<String>,
    after: Option<String>,
}

const KINDS: [(&str, &str); 4] = [
    ("", "All runs"),
    ("due", "Waiting for a fetch"),
    ("failing", "Fetch failed or given up"),
    ("blocked", "Held up at a handler"),
];

pub(super) async fn show(State(pages): State<Shared>, Query(asked): Query<Asked>) -> Page {
    let said = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let only = asked.only.as_deref().unwrap_or_default();
    let query = RunsQuery {
        run: None,
        org: said(&asked.org).map(Into::into),
        template: said(&asked.template),
        name: said(&asked.name),
        only: match only {
            "due" => Some(RunsOnly::Due),
            "failing" => Some(RunsOnly::Failing),
            "blocked" => Some(RunsOnly::Blocked),
            _ => None,
        },
    };
    let after = asked.after.as_deref().and_then(|after| after.parse().ok());
    let page = pages.store()?.runs(&query, after, PAGE).await?;
    let unknown = match (
        &query.name,
        page.runs.is_empty() && page.next.is_none() && after.is_none(),
    ) {
        (Some(name), true) => tell::unknown_run(name, &pages.status().await?),
        _ => Vec::new(),
    };
    let (base, now) = (pages.base(), pages.now());
    let value = |text: &Option<String>| text.clone().unwrap_or_default();
    let next = page.next.map(|next| {
        format!(
            "{base}/runs?name={}&template={}&org={}&only={}&after={next}",
            part(&value(&asked.name)),
            part(&value(&asked.template)),
            part(&value(&asked.org)),
            part(only)
        )
    });
    let body = html! {
        h1 { "Runs" }
        form .search method="get" action={ (base) "/runs" } role="search" {
            label { "Name or id " input type="search" name="name" value=(value(&asked.name)); }
            label { "Template " input type="search" name="template" value=(value(&asked.template)); }
            label { "Organization " input type="search" name="org" value=(value(&asked.org)); }
            label { "Which " select name="only" {
                @for (kind, label) in KINDS { option value=(kind) selected[kind == only] { (label) } }
            } }
            button type="submit" { "Show" }
        }
        @if !unknown.is_empty() { (sentences(&unknown)) }
        @else if page.runs.is_empty() { p .empty { "No run here." @if page.next.is_some() { " The search goes on further down." } } }
        @else {
            div .scroll tabindex="0" role="region" aria-label="Runs" { table {
                thead { tr { th scope="col" { "Run" } th scope="col" { "Template" } th scope="col" { "Status" }
                    th scope="col" .number { "Events" } th scope="col" { "Fetched" } th scope="col" { "Stands" } } }
                tbody {
                    @for run in &page.runs {
                        @let (tone, stands) = tell::stands(run, now);
                        tr {
                            th scope="row" {
                                a href={ (base) "/runs/" (part(run.org.as_str())) "/" (part(run.run.as_str())) } {
                                    (run.label.name.as_deref().unwrap_or(run.run.as_str()))
                                }
                                small { (run.run) }
                            }
                            td { (run.label.template_name.as_deref().or(run.label.template.as_deref()).unwrap_or("–")) }
                            td { (run.label.status.as_deref().unwrap_or("–")) }
                            td .number { (run.events) }
                            td { @if let Some(at) = run.fetched_at { (when(at, now)) } @else { "never" } }
                            td { (mark(tone)) " " (stands) }
                        }
                    }
                }
            } }
        }
        (onward(next))
    };
    Ok(pages.page("Runs", "/runs", &body))
}
