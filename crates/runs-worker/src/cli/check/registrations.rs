//! What the API has registered: to us, elsewhere, nowhere, twice.

use std::time::Duration;

use tallyfy_runs::Client;

use super::finding::Finding;
use crate::cli::get;
use crate::cli::print::plural;
use crate::config::{Loaded, Organization};
use crate::registrations::{Coverage, FoundTemplate, Here, Memory, Reach, Target, Watchers, survey};
use crate::telemetry;

const ENTER: &str = "enter the URL (runs-worker connect --show-url) in the template, under Settings > Webhooks, or register the \
                     organization with `runs-worker connect`";

pub(super) async fn look(
    loaded: &Loaded,
    organization: &Organization,
    client: &Client,
    timeout: Duration,
) -> (Vec<Finding>, Option<Coverage>) {
    let here = Here::new(loaded.config.receive.public_url.as_ref(), &organization.webhook_secrets);
    // A page of templates is a request, and the budget makes them wait.
    let found = match tokio::time::timeout(timeout * 6, survey(client, &here, None)).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            let failure = Finding::failure("registrations", telemetry::chain(&error)).of(client.org());
            let failure = match get::advice(&error) {
                Some(advice) => failure.hint(advice),
                None => failure,
            };
            return (vec![failure], None);
        }
        Err(_) => {
            let text = format!("the API has not listed what is registered within {:?}", timeout * 6);
            return (vec![Finding::failure("registrations", text).of(client.org())], None);
        }
    };
    let watchers = found.watchers.clone();
    let coverage = Coverage::of(found);
    let lost = Memory::read(&loaded.config.store.folder()).lost(client.org(), &coverage);
    let mut findings = of_watchers(&watchers, &coverage);
    findings.extend(
        coverage
            .templates
            .iter()
            .filter_map(|(template, reach)| of_template(template, reach)),
    );
    for trouble in lost.sentences() {
        let hint = "enter the URL again, or say that it is meant: runs-worker connect --accept";
        findings.push(Finding::failure("registrations", trouble).hint(hint));
    }
    findings.push(in_all(&coverage));
    let findings = findings.into_iter().map(|finding| finding.of(client.org())).collect();
    (findings, Some(coverage))
}

fn of_watchers(watchers: &Watchers, coverage: &Coverage) -> Vec<Finding> {
    if let Watchers::Unknown(reason) = watchers {
        let text = format!("whether the organization has a webhook cannot be seen: {reason}");
        return vec![Finding::ok("registrations", text)];
    }
    let mut findings = Vec::new();
    if coverage.organization > 1 {
        let text = format!(
            "the organization's webhook leads here {} times: each event comes as often",
            coverage.organization
        );
        findings.push(Finding::warning("registrations", text).hint("runs-worker disconnect, then runs-worker connect"));
    }
    for watcher in watchers.known().iter().filter(|watcher| !watcher.target.is_here()) {
        let text = format!("watcher {} of the organization leads {}", watcher.id, watcher.target);
        findings.push(match &watcher.target {
            Target::WrongSecret | Target::OldAddress(_) => Finding::warning("registrations", text)
                .hint("it is one of ours from before: remove it in Tallyfy, or by the secret and address that it has"),
            _ => Finding::ok("registrations", text),
        });
    }
    findings
}

/// What is worth saying of a template.
fn of_template(template: &FoundTemplate, reach: &Reach) -> Option<Finding> {
    let title = &template.title;
    let warning = |text: String| Finding::warning("registrations", text);
    match reach {
        Reach::Here | Reach::ByOrganization => match &template.webhook {
            Target::WrongSecret => Some(
                warning(format!("the webhook of template {title:?} leads here with a secret that is not configured: it is turned away"))
                    .hint("enter the URL with the secret of now: runs-worker connect --show-url"),
            ),
            _ => None,
        },
        Reach::Partly(steps) => Some(
            warning(format!("of template {title:?}, the webhooks of these steps go elsewhere: {}", steps.join(", ")))
                .hint("a step's own URL takes the place of the template's: take it away, or let the receiver there pass events on"),
        ),
        Reach::Twice => Some(
            warning(format!("webhooks of template {title:?} come twice: from the template and from the organization"))
                .hint("it costs nothing but requests; take one of the two away once the other is seen to come"),
        ),
        Reach::Not(Target::WrongSecret) => Some(
            Finding::failure(
                "registrations",
                format!("the webhook of template {title:?} leads here with a secret that is not configured: it is turned away"),
            )
            .hint("enter the URL with the secret of now: runs-worker connect --show-url"),
        ),
        Reach::Not(target) => {
            let automation = template.automations.iter().any(Target::is_here);
            let but = if automation { ", but an automation sends here" } else { "" };
            Some(warning(format!("the webhook of template {title:?} leads {}{but}", leads(target))).hint(ENTER))
        }
    }
}

fn leads(target: &Target) -> String {
    match target {
        Target::Nowhere => "nowhere".to_owned(),
        other => other.to_string(),
    }
}

fn in_all(coverage: &Coverage) -> Finding {
    let all = coverage.templates.len() as u64;
    let missing = coverage.missing().count() as u64;
    match (coverage.organization, missing) {
        (1.., _) => Finding::ok(
            "registrations",
            format!(
                "the organization's webhook leads here, for all of {}",
                plural(all, "template")
            ),
        ),
        (0, 0) => Finding::ok(
            "registrations",
            format!("the webhooks of all {} lead here", plural(all, "template")),
        ),
        (0, missing) if missing == all => Finding::failure(
            "registrations",
            "no webhook leads here: changes are found by sweeps alone",
        )
        .hint(ENTER),
        (0, missing) => Finding::warning(
            "registrations",
            format!(
                "the webhooks of {missing} of {} do not lead here",
                plural(all, "template")
            ),
        )
        .hint(ENTER),
    }
}
