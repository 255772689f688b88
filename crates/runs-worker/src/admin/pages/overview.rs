//! How everything stands.

use axum::extract::{Query, State};
use maud::{Markup, html};
use serde::Deserialize;

use super::layout::{mark, part, sentences, when};
use super::spark::curve;
use super::{Page, Pages, Shared};
use crate::tell::{Status, Tone, WEBHOOKS_OF, number, plural};
use crate::vitals::{API_REQUESTS, DELIVERIES, EVENTS, FAILED_FETCHES, FETCHES};

#[derive(Debug, Default, Deserialize)]
pub(super) struct Still {
    pub(super) still: Option<String>,
}

pub(super) async fn show(State(pages): State<Shared>, Query(still): Query<Still>) -> Page {
    let status = pages.status().await?;
    let body = html! {
        h1 { "Overview" }
        (sentences(&status.sentences))
        section .sparks aria-label="The last four hours" {
            (curve("Webhooks", &status.pulse, status.at, |what| what.starts_with(WEBHOOKS_OF)))
            (curve("Fetches", &status.pulse, status.at, |what| what == FETCHES || what == FAILED_FETCHES))
            (curve("API requests", &status.pulse, status.at, |what| what == API_REQUESTS))
            (curve("Events", &status.pulse, status.at, |what| what == EVENTS))
            (curve("Deliveries", &status.pulse, status.at, |what| what == DELIVERIES))
        }
        (handlers(&pages, &status))
        (organizations(&status))
        (door_and_workers(&status))
    };
    Ok(pages.living_page("Overview", "/", "/", still.still.is_some(), &body))
}

/// The handlers, as a table.
pub(super) fn handlers(pages: &Pages, status: &Status) -> Markup {
    let base = pages.base();
    html! {
        section {
            h2 { "Handlers" }
            div .scroll tabindex="0" role="region" aria-label="Handlers" { table {
                thead { tr { th scope="col" { "Handler" } th scope="col" { "Stands" } th scope="col" .number { "Waiting" }
                    th scope="col" { "Oldest" } th scope="col" .number { "Dead letters" } } }
                tbody {
                    @for handler in &status.handlers {
                        tr {
                            th scope="row" { a href={ (base) "/handlers/" (part(&handler.handler)) } { (handler.handler) } }
                            td { (mark(handler.tone)) " " (handler.in_words) }
                            td .number { (number(handler.waiting)) }
                            td { @if let Some(oldest) = handler.oldest { (when(oldest, status.at)) } @else { "–" } }
                            td .number { (number(handler.dead_letters)) }
                        }
                    }
                }
            } }
        }
    }
}

fn organizations(status: &Status) -> Markup {
    html! {
        section {
            h2 { "Organizations" }
            div .cards {
                @for org in &status.organizations {
                    article .card {
                        h3 { (mark(org.tone)) " " (org.organization) }
                        dl {
                            dt { "Token" } dd { (org.trouble.as_deref().unwrap_or("not refused")) }
                            dt { "Last webhook" }
                            dd { @if let Some(at) = org.last_webhook { (when(at, status.at)) } @else { "none within a day" } }
                            dt { "Last sweep" }
                            dd { (org.last_sweep.as_ref().map_or("none yet", |sweep| &sweep.in_words)) }
                            dt { "API requests left" }
                            dd {
                                @if org.budget.is_empty() { "no limit" }
                                @for budget in &org.budget {
                                    div .budget {
                                        span { (budget.left) " of " (budget.most) " for " (budget.seconds) " s" }
                                        meter min="0" max=(budget.most) value=(budget.left)
                                            aria-label={ "requests left for " (budget.seconds) " seconds" } {}
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn door_and_workers(status: &Status) -> Markup {
    html! {
        section {
            h2 { "Door, store and workers" }
            dl .wide {
                dt { "Runs to be fetched" }
                dd { (number(status.due)) @if let Some(oldest) = status.oldest_due { ", the oldest due " (when(oldest, status.at)) } }
                dt { "Notifications that could not be read" } dd { (number(status.unreadable)) }
                dt { "Requests turned away within a day" }
                dd {
                    @if status.refused.is_empty() { "none" }
                    @for refused in &status.refused {
                        div { (plural(refused.count, "request")) " " (refused.reason) "; the last " (when(refused.last, status.at)) }
                    }
                }
            }
            ul .workers {
                @for worker in &status.workers {
                    li {
                        (mark(if worker.is_there { Tone::Good } else { Tone::Quiet })) " " strong { (worker.worker) }
                        " version " (worker.version) ", started " (when(worker.started_at, status.at))
                        ", seen " (when(worker.seen_at, status.at)) "; "
                        @if worker.report.intake_waiting == 0 { "its intake log is empty" }
                        @else { (plural(worker.report.intake_waiting, "notification")) " wait in its intake log" }
                    }
                }
            }
        }
    }
}
