//! When the last webhook came, held against when a run last began or ended.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use runs_store::{NotificationSummary, Query, StoreError};
use tallyfy_model::{ApiTime, Run};
use tallyfy_runs::{Archived, Client, Error, ListRunsOptions, RunOrder};

use super::finding::Finding;
use crate::config::Loaded;
use crate::registrations::Coverage;
use crate::telemetry;

/// How many notifications are looked at for the last of each kind.
const LOOKED_AT: usize = 500;
/// A webhook that is this late counts as one that did not come.
const LATE: SignedDuration = SignedDuration::from_mins(10);

/// When the last webhook came, of any kind and of the organization as a whole.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    any: Option<Timestamp>,
    of_organization: Option<Timestamp>,
}

pub(super) async fn look(loaded: &Loaded, client: &Client, coverage: Option<&Coverage>, timeout: Duration) -> Finding {
    let finding = match (last(loaded, client).await, changed(client, timeout).await) {
        (Ok(last), Ok(changed)) => judge(last, changed, coverage),
        (Err(error), _) => Finding::warning("webhooks", telemetry::chain(&error)),
        (_, Err(reason)) => Finding::warning("webhooks", reason),
    };
    finding.of(client.org())
}

async fn last(loaded: &Loaded, client: &Client) -> Result<Last, StoreError> {
    let store = match loaded.config.store.location()?.open_beside().await {
        Ok(store) => store,
        Err(StoreError::Missing { .. }) => return Ok(Last::default()),
        Err(error) => return Err(error),
    };
    let mut query = Query::default();
    query.org = Some(client.org().clone());
    let found = store.notifications(&query, LOOKED_AT).await;
    store.close().await;
    let found = found?;
    let newest = |wanted: &dyn Fn(&NotificationSummary) -> bool| {
        let times = found.iter().filter(|notification| wanted(notification));
        times.map(|notification| notification.received_at).max()
    };
    Ok(Last {
        any: newest(&|_| true),
        of_organization: newest(&|notification| notification.kind == "organization"),
    })
}

/// When a run last began or ended, among the newest: that is what every webhook tells of.
async fn changed(client: &Client, timeout: Duration) -> Result<Option<Timestamp>, String> {
    let options = ListRunsOptions::default()
        .with_order(RunOrder::NewestFirst)
        .with_archived(Archived::Also);
    let page = tokio::time::timeout(timeout, client.list_runs(&options).next()).await;
    let page = page.map_err(|_| format!("the API has not listed its runs within {timeout:?}"))?;
    let page = page.map_err(|error: Error| telemetry::chain(&error))?;
    let time = |time: &tallyfy_model::Field<ApiTime>| time.get().and_then(ApiTime::timestamp);
    let of_run = |run: &Run| time(&run.created_at).max(time(&run.completed_at));
    Ok(page.iter().flat_map(|page| &page.items).filter_map(of_run).max())
}

fn judge(last: Last, changed: Option<Timestamp>, coverage: Option<&Coverage>) -> Finding {
    let shown = |time: Timestamp| time.strftime("%F %R UTC").to_string();
    let by_organization = coverage.is_some_and(|coverage| coverage.organization > 0);
    let came = if by_organization {
        last.of_organization
    } else {
        last.any
    };
    let what = if by_organization {
        "webhook of the organization"
    } else {
        "webhook"
    };
    let Some(changed) = changed else {
        return Finding::ok("webhooks", "there is no run yet of which one could tell");
    };
    let missed = came.is_none_or(|came| changed.duration_since(came) > LATE);
    let text = match came {
        Some(came) => format!(
            "the last {what} came at {}, a run last began or ended at {}",
            shown(came),
            shown(changed)
        ),
        None => format!(
            "no {what} has come yet, a run last began or ended at {}",
            shown(changed)
        ),
    };
    match (missed, by_organization) {
        (false, _) => Finding::ok("webhooks", text),
        (true, true) => Finding::warning("webhooks", text).hint(
            "it is registered, and may not be sent yet: Tallyfy is still introducing these webhooks. Enter the URL in the \
             templates too (runs-worker connect --show-url)",
        ),
        (true, false) => Finding::warning("webhooks", text)
            .hint("if that run was of a template whose webhook leads here, look at the toggle beside its URL, and at the proxy"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_that_is_later_than_a_run_by_much_did_not_come() {
        let at = |text: &str| Some(format!("2026-11-27T{text}:00Z").parse::<Timestamp>().unwrap());
        let last = |any| Last {
            any,
            of_organization: None,
        };
        let organization = Coverage {
            organization: 1,
            templates: Vec::new(),
        };
        let shown = [
            judge(last(None), None, None),
            judge(last(at("12:00")), at("12:09"), None),
            judge(last(at("12:00")), at("12:11"), None),
            judge(last(None), at("12:11"), None),
            judge(last(at("12:11")), at("12:11"), Some(&organization)),
        ]
        .map(|finding| serde_json::to_string(&finding).unwrap());
        insta::assert_snapshot!(shown.join("\n"));
    }
}
