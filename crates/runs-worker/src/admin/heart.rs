//! Says now and then, in the store, that this worker is there, how it stands and what it has done; and writes into the journal
//! when something goes wrong, and when it is over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use runs_store::{Beat, JournalEntry, Store};
use tallyfy_transport::CircuitState;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{Admin, trouble_of};
use crate::telemetry;
use crate::tell::{Budget, HandlerReport, OrgReport, WorkerReport};

/// How often.
const EVERY: Duration = Duration::from_secs(5);
/// How soon it is looked again whether the store is open.
const UNTIL_OPEN: Duration = Duration::from_millis(100);

/// What the journal calls these entries.
const KIND: &str = "worker";

impl Admin {
    /// Runs until `stop`.
    pub(crate) async fn beat(self: Arc<Self>, stop: CancellationToken) {
        let mut known: Option<BTreeMap<String, String>> = None;
        loop {
            let mut pause = UNTIL_OPEN;
            if let Ok(store) = self.store.get() {
                pause = EVERY;
                let store = Arc::clone(store);
                let report = self.report(store.as_ref()).await;
                if let Err(error) = self.say(store.as_ref(), &report, &mut known).await {
                    debug!(error = telemetry::chain(&error), "cannot say that the worker is there");
                }
            }
            if stop.is_cancelled() {
                break;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn say(
        &self,
        store: &dyn Store,
        report: &WorkerReport,
        known: &mut Option<BTreeMap<String, String>>,
    ) -> Result<(), runs_store::StoreError> {
        let at = self.clock.wall();
        let beat = Beat {
            worker: self.vitals.name().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.vitals.started_at(),
            at,
            report: serde_json::to_string(report).unwrap_or_default(),
            done: self.vitals.take(),
        };
        store.beat(beat).await?;
        let troubles = troubles(report);
        let entry = |text: String| JournalEntry::new(at, self.vitals.name(), KIND, text);
        let Some(before) = known.replace(troubles.clone()) else {
            let text = format!("the worker started, version {}", env!("CARGO_PKG_VERSION"));
            store.note(entry(text)).await?;
            for (what, trouble) in &troubles {
                store.note(entry(format!("{what}: {trouble}"))).await?;
            }
            return Ok(());
        };
        for (what, trouble) in troubles.iter().filter(|(what, _)| !before.contains_key(*what)) {
            store.note(entry(format!("{what}: {trouble}"))).await?;
        }
        for what in before.keys().filter(|what| !troubles.contains_key(*what)) {
            store.note(entry(format!("{what}: it is over"))).await?;
        }
        Ok(())
    }

    /// How this worker stands.
    async fn report(&self, store: &dyn Store) -> WorkerReport {
        let api = match self.breaker.state() {
            CircuitState::Closed => None,
            _ => Some("the API does not answer; now and then it is tried".to_owned()),
        };
        WorkerReport {
            door: self.way_in.trouble().await,
            store: trouble_of(store).await,
            api,
            import: self.progress.as_ref().and_then(|progress| progress.problem()),
            intake_waiting: self.progress.as_ref().map_or(0, |progress| progress.waiting()),
            intake_bytes: self.progress.as_ref().map_or(0, |progress| progress.waiting_bytes()),
            orgs: self
                .gates
                .iter()
                .map(|(org, gate)| OrgReport {
                    org: org.clone(),
                    trouble: gate.trouble(),
                    last_webhook: self.vitals.last_webhook(org),
                    silence_seconds: self.silence.as_secs(),
                    budget: self.budget(org),
                })
                .collect(),
            handlers: self
                .health
                .iter()
                .map(|(handler, health)| HandlerReport {
                    handler: handler.clone(),
                    trouble: health.trouble(),
                })
                .collect(),
        }
    }

    /// What is left of an organization's requests, for each stretch of time that has a limit.
    pub(super) fn budget(&self, org: &str) -> Vec<Budget> {
        let Some((_, limiter)) = self.limiters.iter().find(|(of, _)| of == org) else {
            return Vec::new();
        };
        let windows = [
            (5, self.limits.per_five_seconds),
            (60, self.limits.per_minute),
            (3600, self.limits.per_hour),
        ];
        let windows = windows
            .into_iter()
            .filter_map(|(seconds, most)| Some((seconds, u64::from(most?.get()))));
        windows
            .zip(limiter.used().until_full)
            .map(|((seconds, most), until_full)| {
                let used = most.saturating_mul(u64::try_from(until_full.as_millis()).unwrap_or(u64::MAX));
                let used = used.div_ceil(seconds * 1000).min(most);
                Budget {
                    seconds,
                    left: most - used,
                    most,
                }
            })
            .collect()
    }
}

/// What is wrong, under a name that stays the same while it is.
fn troubles(report: &WorkerReport) -> BTreeMap<String, String> {
    let parts = [
        ("receiving", &report.door),
        ("the store", &report.store),
        ("the API", &report.api),
        ("the import", &report.import),
    ];
    let parts = parts.into_iter().map(|(what, trouble)| (what.to_owned(), trouble));
    let orgs = report
        .orgs
        .iter()
        .map(|org| (format!("organization {}", org.org), &org.trouble));
    let handlers = report
        .handlers
        .iter()
        .map(|of| (format!("handler {}", of.handler), &of.trouble));
    parts
        .chain(orgs)
        .chain(handlers)
        .filter_map(|(what, trouble)| Some((what, trouble.clone()?)))
        .collect()
}
