//! The stages that live on the store: import, refresh, reconcile, deliver and prune.

use std::sync::Arc;
use std::time::Duration;

use runs_store::intake_log::IntakeLog;
use runs_store::{HandlerName, Store};
use tallyfy_transport::CircuitBreaker;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::clock::Clock;
use crate::config::{Config, DeliverConfig};
use crate::deliver::{self, Deliverer, HandlerHealth};
use crate::fetching::Fetching;
use crate::filter::EventFilter;
use crate::handler::Handler;
use crate::import::{Importer, Progress};
use crate::prune::Pruner;
use crate::registrations::Board;
use crate::shared::stage_names::{name, named};
use crate::shared::worker_name::worker_name;

/// How long what is in hand may take once the worker stops. Service managers kill after longer than this.
pub(crate) const GRACE: Duration = Duration::from_secs(20);

/// A handler, and what it gets.
#[derive(Clone)]
pub(crate) struct NamedHandler {
    pub(crate) name: HandlerName,
    pub(crate) filter: EventFilter,
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) deliver: DeliverConfig,
}

/// What these stages are made of.
pub(crate) struct StoreStages {
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) breaker: CircuitBreaker,
    pub(crate) fetchings: Vec<Fetching>,
    pub(crate) handlers: Vec<(NamedHandler, Arc<HandlerHealth>)>,
    /// The intake log, if there is one, and how far it is imported.
    pub(crate) import: Option<(Arc<IntakeLog>, Arc<Progress>)>,
    /// What the looks at registered webhooks find.
    pub(crate) registrations: Arc<Board>,
    /// Counts the genuine webhooks that were turned away.
    pub(crate) losses: watch::Receiver<u64>,
}

impl StoreStages {
    /// Runs them all until `stop`. One that ends before, which only a defect can bring about, stops the worker. Returns the
    /// name of the first that ended.
    pub(crate) async fn run(self, store: Arc<dyn Store>, stop: CancellationToken) -> &'static str {
        let mut stages = JoinSet::new();
        let worker = worker_name();
        let filters: Arc<[(HandlerName, EventFilter)]> = self
            .handlers
            .iter()
            .map(|(handler, _)| (handler.name.clone(), handler.filter.clone()))
            .collect();
        if let Some((log, progress)) = self.import {
            let importer = Importer {
                log,
                store: Arc::clone(&store),
                clock: self.clock.clone(),
                progress,
            };
            stages.spawn(named("import", importer.run(stop.clone())));
        }
        for fetching in self.fetchings {
            let keeper = fetching.budget_keeper(Arc::clone(&store), self.clock.clone());
            keeper.resume().await;
            stages.spawn(named("budget", keeper.run(stop.clone())));
            let reconciler = fetching.reconciler(
                &self.config,
                Arc::clone(&store),
                self.clock.clone(),
                self.losses.clone(),
            );
            stages.spawn(named("reconcile", reconciler.run(stop.clone())));
            let watch = fetching.watch(&self.config, Arc::clone(&self.registrations));
            stages.spawn(named("registrations", watch.run(stop.clone())));
            let refresher = fetching.refresher(
                &self.config,
                Arc::clone(&store),
                self.clock.clone(),
                Arc::clone(&filters),
                Arc::clone(&worker),
            );
            stages.spawn(named("refresh", refresher.run(stop.clone(), GRACE)));
        }
        for (handler, health) in self.handlers {
            let deliverer = Deliverer {
                health,
                outbox: deliver::guarded(Arc::clone(&store) as _),
                wakeup: store.wakeups().deliverable,
                clock: self.clock.clone(),
                name: handler.name,
                worker: Arc::clone(&worker),
                handler: handler.handler,
                config: handler.deliver,
            };
            stages.spawn(named("deliver", deliverer.run(stop.clone(), GRACE)));
        }
        let pruner = Pruner {
            store,
            clock: self.clock,
            config: self.config.retention,
        };
        stages.spawn(named("prune", pruner.run(stop.clone())));
        until_all_end(stages, stop).await
    }
}

/// The name of the first that ended.
async fn until_all_end(mut stages: JoinSet<&'static str>, stop: CancellationToken) -> &'static str {
    let mut first = None;
    while let Some(ended) = stages.join_next().await {
        let stage = name(ended);
        if !stop.is_cancelled() {
            error!(stage, "a stage ended although nobody stopped it");
            stop.cancel();
        }
        first.get_or_insert(stage);
    }
    first.unwrap_or("every stage")
}
