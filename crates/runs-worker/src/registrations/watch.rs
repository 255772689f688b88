//! Looks once a day whether webhooks still come here.

use std::sync::Arc;
use std::time::Duration;

use metrics::gauge;
use tallyfy_model::OrgId;
use tallyfy_runs::{Client, Error};
use tallyfy_transport::RateLimiter;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::board::Board;
use super::coverage::{Coverage, Reach};
use super::memory::Lost;
use super::survey::survey;
use super::target::Here;
use crate::refresh::TokenGate;
use crate::telemetry;

/// How long after the start the first look is, at most.
const FIRST: Duration = Duration::from_secs(60);

/// Looks at the registrations of one organization.
pub(crate) struct Watch {
    /// Shows URLs as they are.
    pub(crate) client: Client,
    pub(crate) here: Here,
    /// The sweeps' share of the budget.
    pub(crate) share: RateLimiter,
    pub(crate) gate: Arc<TokenGate>,
    /// How long from one look to the next; zero is never.
    pub(crate) every: Duration,
    pub(crate) board: Arc<Board>,
}

impl Watch {
    /// Runs until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        if self.every.is_zero() {
            stop.cancelled().await;
            return;
        }
        let mut wait = self.every.min(FIRST);
        while stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_some() {
            let look = async {
                self.gate.passage(&stop).await?;
                Some(survey(&self.client, &self.here, Some(&self.share)).await)
            };
            let Some(Some(found)) = stop.run_until_cancelled(look).await else {
                return;
            };
            match found {
                Ok(found) => self.judge(&Coverage::of(found)),
                Err(error) => self.failed(&error),
            }
            wait = self.every;
        }
    }

    fn judge(&self, coverage: &Coverage) {
        let org = self.client.org();
        let lost = self.board.take(org, coverage);
        measure(org, coverage, &lost);
        for trouble in lost.sentences() {
            warn!(%org, trouble, "webhooks do not come any more; `runs-worker check` says more");
        }
        if lost.is_empty() {
            info!(
                %org, organization_webhooks = coverage.organization, templates = coverage.templates.len(),
                not_here = coverage.missing().count(), "the registered webhooks were looked at"
            );
        }
    }

    fn failed(&self, error: &Error) {
        let (org, reason) = (self.client.org(), telemetry::chain(error));
        warn!(%org, reason, again_in = ?self.every, "the registered webhooks cannot be looked at");
    }
}

fn measure(org: &OrgId, coverage: &Coverage, lost: &Lost) {
    let count = |wanted: fn(&Reach) -> bool| coverage.templates.iter().filter(|(_, reach)| wanted(reach)).count();
    for (webhook, templates) in [
        ("here", count(|reach| matches!(reach, Reach::Here | Reach::Twice))),
        ("partly", count(|reach| matches!(reach, Reach::Partly(_)))),
        ("by organization", count(|reach| matches!(reach, Reach::ByOrganization))),
        ("not here", count(|reach| matches!(reach, Reach::Not(_)))),
    ] {
        #[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
        gauge!("runs_worker_templates", "org" => org.to_string(), "webhook" => webhook).set(templates as f64);
    }
    #[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
    gauge!("runs_worker_registrations_lost", "org" => org.to_string()).set(lost.count() as f64);
}
