//! The sweeps, and what the latest ones found.

use axum::extract::State;
use maud::html;
use runs_store::Finding;
use tallyfy_model::OrgId;

use super::layout::part;
use super::{PAGE, Page, Shared};

pub(super) async fn show(State(pages): State<Shared>) -> Page {
    let status = pages.status().await?;
    let base = pages.base();
    let mut orgs = Vec::new();
    for org in &status.organizations {
        let found = pages
            .store()?
            .findings(&OrgId::new(org.organization.clone()), PAGE)
            .await?;
        orgs.push((org, found));
    }
    let body = html! {
        h1 { "Sweeps" }
        p .lead { "A sweep holds the list of runs against what is known, and finds what no webhook told of." }
        @for (org, found) in &orgs {
            section {
                h2 { (org.organization) }
                @match &org.last_sweep {
                    None => p .empty { "No sweep has begun yet." },
                    Some(sweep) => p { "Sweep " (sweep.number) " (" (sweep.kind) "), " (sweep.in_words) },
                }
                @if !found.is_empty() {
                    ul { @for (run, finding) in found { li {
                        a href={ (base) "/runs/" (part(&org.organization)) "/" (part(run.as_str())) } { (run) } ": "
                        (match finding {
                            Finding::New => "no webhook had told of it",
                            Finding::Changed => "it had changed, and no webhook told of that",
                            Finding::Vanished => "it is not in the list any more",
                            Finding::Pending => "it differs, and waited to be fetched already",
                        })
                    } } }
                }
            }
        }
    };
    Ok(pages.page("Sweeps", "/sweeps", &body))
}
