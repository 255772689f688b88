//! What is done for one organization while its seat is held.

use std::sync::Arc;

use runs_store::{HandlerName, Store};
use tallyfy_model::OrgId;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::Ended;
use crate::clock::Clock;
use crate::config::Config;
use crate::fetching::Fetching;
use crate::filter::EventFilter;
use crate::registrations::Board;
use crate::shared::grace::GRACE;
use crate::shared::stage_names::{first_to_end, named};
use crate::vitals::Vitals;

/// What the stages of every organization share.
#[derive(Clone)]
pub(crate) struct FetchingParts {
    pub(crate) config: Arc<Config>,
    pub(crate) filters: Arc<[(HandlerName, EventFilter)]>,
    pub(crate) registrations: Arc<Board>,
    pub(crate) losses: watch::Receiver<u64>,
    pub(crate) vitals: Arc<Vitals>,
}

/// An organization, and the stages that fetch for it while this worker holds its seat.
pub(crate) struct Bench {
    fetching: Arc<Fetching>,
    parts: FetchingParts,
    work: Option<Work>,
}

/// Stages that run.
struct Work {
    stop: CancellationToken,
    abort: AbortHandle,
}

impl Bench {
    pub(crate) fn new(fetching: Fetching, parts: FetchingParts) -> Self {
        Self {
            fetching: Arc::new(fetching),
            parts,
            work: None,
        }
    }

    pub(super) fn org(&self) -> &OrgId {
        self.fetching.org()
    }

    pub(super) fn is_at_work(&self) -> bool {
        self.work.is_some()
    }

    /// Begins to fetch, with what is left of the budget.
    pub(super) fn begin(
        &mut self,
        store: &Arc<dyn Store>,
        clock: &Clock,
        at_work: &mut JoinSet<Ended>,
        stop: CancellationToken,
    ) {
        let (fetching, parts) = (Arc::clone(&self.fetching), self.parts.clone());
        let (store, clock, told) = (Arc::clone(store), clock.clone(), stop.clone());
        let abort = at_work.spawn(async move {
            let org = fetching.org().clone();
            (org, fetch(&fetching, parts, store, clock, told).await)
        });
        self.work = Some(Work { stop, abort });
    }

    /// Finishes what is in hand and then ends.
    pub(super) fn end(&self) {
        if let Some(work) = &self.work {
            work.stop.cancel();
        }
    }

    /// Ends at once.
    pub(super) fn abort(&mut self) {
        if let Some(work) = self.work.take() {
            work.abort.abort();
        }
    }

    /// Whether it was told to end, and has.
    pub(super) fn has_ended(&mut self) -> bool {
        self.work
            .as_ref()
            .is_none_or(|work| work.stop.is_cancelled() && work.abort.is_finished())
    }

    /// The organization, once, if it was told to end, and has.
    pub(super) fn take_ended(&mut self) -> Option<OrgId> {
        if self.work.is_none() || !self.has_ended() {
            return None;
        }
        self.work = None;
        Some(self.org().clone())
    }
}

/// Runs the stages until `stop`. The name of the first that ended.
async fn fetch(
    fetching: &Fetching,
    parts: FetchingParts,
    store: Arc<dyn Store>,
    clock: Clock,
    stop: CancellationToken,
) -> &'static str {
    let keeper = fetching.budget_keeper(Arc::clone(&store), clock.clone(), parts.config.store.seat_term);
    keeper.resume().await;
    let mut stages = JoinSet::new();
    stages.spawn(named("budget", keeper.clone().run(stop.clone())));
    let FetchingParts {
        config,
        filters,
        registrations,
        losses,
        vitals,
    } = parts;
    let reconciler = fetching.reconciler(&config, Arc::clone(&store), clock.clone(), losses);
    stages.spawn(named("reconcile", reconciler.run(stop.clone())));
    let watch = fetching.watch(&config, registrations);
    stages.spawn(named("registrations", watch.run(stop.clone())));
    let refresher = fetching.refresher(&config, store, clock, filters, vitals);
    stages.spawn(named("refresh", refresher.run(stop.clone(), GRACE)));
    let first = first_to_end(stages, stop).await;
    keeper.end().await;
    first
}
