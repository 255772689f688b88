//! The stages that live on the store: import, refresh, reconcile, deliver and prune.

use std::sync::Arc;

use runs_store::intake_log::IntakeLog;
use runs_store::{HandlerName, Store};
use tallyfy_transport::CircuitBreaker;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::{Config, DeliverConfig};
use crate::deliver::{self, Deliverer, HandlerHealth};
use crate::fetching::Fetching;
use crate::filter::EventFilter;
use crate::handler::Handler;
use crate::import::{Importer, Progress};
use crate::prune::Pruner;
use crate::registrations::Board;
use crate::seats::{Bench, FetchingParts, Seating};
use crate::shared::grace::GRACE;
use crate::shared::stage_names::{first_to_end, named};
use crate::vitals::Vitals;

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
    pub(crate) vitals: Arc<Vitals>,
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
        let parts = FetchingParts {
            config: Arc::new(self.config.clone()),
            filters,
            registrations: self.registrations,
            losses: self.losses,
            vitals: Arc::clone(&self.vitals),
        };
        let benches = self
            .fetchings
            .into_iter()
            .map(|fetching| Bench::new(fetching, parts.clone()));
        let seating = Seating {
            store: Arc::clone(&store),
            clock: self.clock.clone(),
            term: self.config.store.seat_term,
            benches: benches.collect(),
            has_lost_trust: false,
        };
        stages.spawn(named("fetching", seating.run(stop.clone())));
        for (handler, health) in self.handlers {
            let deliverer = Deliverer {
                health,
                outbox: deliver::guarded(Arc::clone(&store) as _),
                wakeup: store.wakeups().deliverable,
                clock: self.clock.clone(),
                name: handler.name,
                vitals: Arc::clone(&self.vitals),
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
        first_to_end(stages, stop).await
    }
}
