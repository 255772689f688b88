//! The workers: which there are, since when, and which of them fetches for which organization.

use axum::extract::State;
use jiff::Timestamp;
use maud::html;
use runs_store::WorkerSummary;
use tallyfy_model::OrgId;

use super::layout::{mark, when};
use super::{Page, Shared};
use crate::tell::{AWAY, Status, Tone, WorkerReport, WorkerView, plural};

/// A worker, as a line of the page.
struct Line<'w> {
    name: &'w str,
    /// Its id, where several share a database: two of them may be on one machine.
    id: Option<String>,
    version: &'w str,
    started_at: Timestamp,
    seen_at: Timestamp,
    is_there: bool,
    seats: Vec<&'w str>,
    report: Option<&'w WorkerReport>,
}

pub(super) async fn show(State(pages): State<Shared>) -> Page {
    let status = pages.status().await?;
    let sharing = pages.store()?.workers().await?;
    let now = status.at;
    let lines: Vec<Line<'_>> = if sharing.is_empty() {
        status.workers.iter().map(Line::alone).collect()
    } else {
        sharing.iter().map(|worker| Line::of_several(worker, &status)).collect()
    };
    let body = html! {
        h1 { "Workers" }
        p .lead { "Every worker receives and delivers. For each organization one of them fetches at a time: it holds its seat." }
        @if lines.is_empty() { p .empty { "No worker has run here within a day." } }
        @else { div .scroll tabindex="0" role="region" aria-label="Workers" { table {
            thead { tr { th scope="col" { "Worker" } th scope="col" { "Stands" } th scope="col" { "Version" } th scope="col" { "Started" }
                th scope="col" { "Seen" } th scope="col" { "Fetches for" } th scope="col" { "Intake log" } } }
            tbody { @for line in &lines { tr {
                th scope="row" { (line.name) @if let Some(id) = &line.id { small { (id) } } }
                td { @let troubles = line.troubles();
                    @if !line.is_there { (mark(Tone::Quiet)) " gone" }
                    @else if troubles.is_empty() { (mark(Tone::Good)) " works" }
                    @else { @for trouble in troubles { div { (mark(Tone::Bad)) " " (trouble) } } } }
                td { (line.version) }
                td { (when(line.started_at, now)) }
                td { (when(line.seen_at, now)) }
                td { @if line.seats.is_empty() { "–" } @else { (line.seats.join(", ")) } }
                td { @match line.report.map(|report| report.intake_waiting) {
                    None => "–", Some(0) => "empty", Some(waiting) => (plural(waiting, "notification")) } }
            } } }
        } } }
    };
    Ok(pages.page("Workers", "/workers", &body))
}

impl<'w> Line<'w> {
    /// A worker that has the store to itself fetches for all of its organizations.
    fn alone(worker: &'w WorkerView) -> Self {
        let orgs = worker.report.orgs.iter().filter(|_| worker.is_there);
        Self {
            name: &worker.worker,
            id: None,
            version: &worker.version,
            started_at: worker.started_at,
            seen_at: worker.seen_at,
            is_there: worker.is_there,
            seats: orgs.map(|org| org.org.as_str()).collect(),
            report: Some(&worker.report),
        }
    }

    fn of_several(worker: &'w WorkerSummary, status: &'w Status) -> Self {
        let said = status.workers.iter().find(|said| said.worker == worker.name);
        Self {
            name: &worker.name,
            id: Some(worker.id.to_string()),
            version: &worker.version,
            started_at: worker.started_at,
            seen_at: worker.seen_at,
            is_there: worker.ended_at.is_none() && worker.silent_for < AWAY,
            seats: worker.seats.iter().map(OrgId::as_str).collect(),
            report: said.map(|said| &said.report),
        }
    }

    /// What is wrong with it.
    fn troubles(&self) -> Vec<&'w str> {
        let report = self.report.into_iter();
        report
            .flat_map(|report| [&report.door, &report.store, &report.api, &report.import])
            .filter_map(Option::as_deref)
            .collect()
    }
}
