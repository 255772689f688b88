//! Puts the worker together and starts it.

mod error;
mod listeners;
mod meters;
mod open;
pub(crate) mod stages;

use std::sync::Arc;

use runs_store::intake_log::{IntakeLog, IntakeLogError};
use runs_store::{HandlerName, Store, torture};
use tallyfy_transport::{CircuitBreaker, HttpTransport};
use tracing::info;

use crate::admin::RenderMetrics;
use crate::api;
use crate::clock::Clock;
use crate::config::{Config, ConfiguredHandler, Loaded, Organization};
use crate::deliver::HandlerHealth;
use crate::fetching::Fetching;
use crate::filter::EventFilter;
use crate::front_door::{HandedOver, Socket};
use crate::handler::{self, Handler};
use crate::identity::identity;
use crate::import::Progress;
use crate::receive::{First, Receiver, WayIn};
use crate::redact::PathSecrets;
use crate::registrations::Board;
use crate::reload::Reloads;
use crate::shared::late_store::LateStore;
use crate::shared::stage_names::named;
use crate::vitals::Vitals;
use crate::worker::{Addresses, Routes, Running, Worker};

pub use error::StartError;
use listeners::Listeners;
use open::Opener;
use stages::{NamedHandler, StoreStages};

/// A worker that is not started yet.
pub struct WorkerBuilder {
    config: Config,
    organizations: Vec<Organization>,
    configured: Vec<ConfiguredHandler>,
    handlers: Vec<NamedHandler>,
    store: Option<Arc<dyn Store>>,
    transport: Option<Arc<dyn HttpTransport>>,
    clock: Clock,
    metrics: Option<RenderMetrics>,
    sockets: HandedOver,
    listeners: Listeners,
}

impl WorkerBuilder {
    pub(crate) fn new(loaded: Loaded) -> Self {
        Self {
            config: loaded.config,
            organizations: loaded.organizations,
            configured: loaded.handlers,
            handlers: Vec::new(),
            store: None,
            transport: None,
            clock: Clock::system(),
            metrics: None,
            sockets: HandedOver::default(),
            listeners: Listeners::default(),
        }
    }

    /// Adds a handler. Its deliveries are kept under its name, which must stay the same from one start to the next.
    ///
    /// Without any, here or in the configuration, events go to the standard output.
    #[must_use]
    pub fn handler(self, name: impl Into<String>, handler: impl Handler + 'static) -> Self {
        self.filtered_handler(name, EventFilter::default(), handler)
    }

    /// Adds a handler that gets the events that a filter lets through.
    #[must_use]
    pub fn filtered_handler(
        mut self,
        name: impl Into<String>,
        filter: EventFilter,
        handler: impl Handler + 'static,
    ) -> Self {
        self.handlers.push(NamedHandler {
            name: HandlerName::new(name),
            filter,
            handler: Arc::new(handler),
            deliver: self.config.deliver.clone(),
        });
        self
    }

    /// Uses this store in the place of SQLite in the data folder.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Sends requests through this transport in the place of the network. Tokens and budget are still applied.
    #[must_use]
    pub fn transport(mut self, transport: Arc<dyn HttpTransport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Uses this clock in the place of the system's.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Shows these metrics on the admin listener; see [`start_metrics`](crate::telemetry::start_metrics).
    #[cfg(feature = "prometheus")]
    #[cfg_attr(docsrs, doc(cfg(feature = "prometheus")))]
    #[must_use]
    pub fn metrics(mut self, metrics: metrics_exporter_prometheus::PrometheusHandle) -> Self {
        self.metrics = Some(Arc::new(move || {
            metrics.run_upkeep();
            metrics.render()
        }));
        self
    }

    /// Listens for no webhooks: they come by [`Worker::router`], through another server. `receive.listen` does not matter then.
    #[must_use]
    pub fn without_receive_listener(mut self) -> Self {
        self.listeners.receive = false;
        self
    }

    /// Listens for no health checks; see [`Worker::admin_router`].
    #[must_use]
    pub fn without_admin_listener(mut self) -> Self {
        self.listeners.admin = false;
        self
    }

    /// Accepts webhooks on this socket, which listens already, in the place of `receive.listen`. Several are all served.
    ///
    /// Whoever else holds it, systemd for example, keeps its queue over a restart: nobody is refused.
    #[must_use]
    pub fn receive_socket(mut self, socket: std::net::TcpListener) -> Self {
        self.sockets.public.push(Socket::Tcp(socket));
        self
    }

    /// The same with everything that was handed over.
    pub(crate) fn sockets(mut self, sockets: HandedOver) -> Self {
        self.sockets = sockets;
        self
    }

    /// The same for the health checks and metrics, in the place of `admin.listen`.
    #[must_use]
    pub fn admin_socket(mut self, socket: std::net::TcpListener) -> Self {
        self.sockets.admin.push(Socket::Tcp(socket));
        self
    }

    /// Starts the worker: it receives before its store is open.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then. What was received meanwhile is in the intake log, for the next start.
    pub async fn start(mut self) -> Result<Worker, StartError> {
        let doors = self.bind()?;
        torture::point("start.bound");
        let handlers = self.all_handlers()?;
        let mut opener = self.opener(&handlers)?;
        let log = self.open_log(&opener).await?;
        if let Some(log) = &log {
            opener.worker.id = log.id().as_uuid();
        }
        let opener = Arc::new(opener);
        let late = LateStore::default();
        let opened = match log {
            Some(_) => None,
            // Nothing could be kept before.
            None => Some(opener.open_now(&late).await?),
        };
        let way_in = self.way_in(log.clone(), late.clone(), &opener);
        let path_secrets = PathSecrets::new(&self.organizations);
        let vitals = Vitals::new(self.clock.wall());
        let receiver = self.receiver(&way_in, &path_secrets, &vitals);
        let progress = log.as_ref().map(|log| Arc::new(Progress::new(Arc::clone(log))));
        let parts = self.store_stages(
            handlers.clone(),
            log.clone().zip(progress.clone()),
            &receiver,
            &path_secrets,
            vitals,
        )?;
        let mut running = Running::new(late.clone(), log);
        let reloads = Reloads {
            authenticator: receiver.authenticator(),
            path_secrets,
            tokens: parts.fetchings.iter().map(Fetching::named_tokens).collect(),
            here: parts.fetchings.iter().map(Fetching::named_here).collect(),
        };
        meters::register(&self.organizations);
        let admin = Arc::new(self.admin(&running, &parts, progress, way_in));
        let beat = Arc::clone(&admin).beat(running.stop.clone());
        running.stages.spawn(named("beat", beat));
        let routes = Routes {
            webhooks: Arc::clone(&receiver).routes_to_mount(),
            admin: Arc::clone(&admin).routes(),
        };
        self.serve_admin(&mut running, &admin, routes.admin.clone(), doors.admin);
        self.receive(&mut running, receiver, doors.public);
        let opening = match opened {
            Some(opening) => Ok(opening),
            None => opener.begin(&late).await,
        };
        match opening {
            Ok(opening) => {
                let stop = running.stop.clone();
                let run = opener.run_when_open(opening, late, parts, stop);
                running.stages.spawn(run);
            }
            Err(error) => {
                running.abandon().await;
                return Err(error);
            }
        }
        self.tell(&doors.addresses, &handlers);
        Ok(Worker {
            addresses: doors.addresses,
            data_dir: self.store.is_none().then(|| self.config.store.folder()),
            routes,
            running,
            reloads,
            doors: doors.kept,
        })
    }

    /// Whether everything that the configuration describes can be set up. Nothing is started.
    #[cfg(feature = "cli")]
    pub(crate) fn check(&self) -> Result<(), StartError> {
        for handler in &self.configured {
            handler::set_up(handler.clone(), &self.clock)?;
        }
        Ok(())
    }

    /// The log is the way in, unless the store keeps what it has acknowledged on another machine.
    fn way_in(&self, log: Option<Arc<IntakeLog>>, store: LateStore, opener: &Opener) -> WayIn {
        let first = if opener.location.has_one_worker() {
            First::Log
        } else {
            First::Store
        };
        WayIn::new(log, store, self.clock.clone(), self.config.receive.store_timeout, first)
    }

    fn receiver(&self, way_in: &WayIn, path_secrets: &PathSecrets, vitals: &Arc<Vitals>) -> Arc<Receiver> {
        Arc::new(Receiver::new(
            way_in.clone(),
            self.clock.clone(),
            &self.organizations,
            path_secrets.clone(),
            &self.config.receive,
            Arc::clone(vitals),
        ))
    }

    fn opener(&self, handlers: &[NamedHandler]) -> Result<Opener, StartError> {
        Ok(Opener {
            folder: self.config.store.folder(),
            location: self.config.store.location()?,
            worker: identity(),
            given: self.store.clone(),
            handlers: handlers.iter().map(|handler| handler.name.clone()).collect(),
            clock: self.clock.clone(),
        })
    }

    /// Opens the intake log. A store that was given is asked itself, unless a folder of the log is configured.
    async fn open_log(&self, opener: &Opener) -> Result<Option<Arc<IntakeLog>>, StartError> {
        if self.store.is_some() && self.config.intake.dirs.is_empty() {
            return Ok(None);
        }
        match open::open_log(&self.config.intake, &self.config.store).await {
            Err(held @ StartError::IntakeLog(IntakeLogError::Held { .. })) if opener.location.has_one_worker() => {
                // The store says more of who holds it.
                Err(opener.open().await.err().unwrap_or(held))
            }
            opened => opened,
        }
    }

    fn store_stages(
        &self,
        handlers: Vec<NamedHandler>,
        import: Option<(Arc<IntakeLog>, Arc<Progress>)>,
        receiver: &Receiver,
        path_secrets: &PathSecrets,
        vitals: Arc<Vitals>,
    ) -> Result<StoreStages, StartError> {
        let transport = match &self.transport {
            Some(transport) => Arc::clone(transport),
            None => Arc::new(api::network(&self.config.api)?),
        };
        let breaker = CircuitBreaker::new(api::breaker_settings());
        let fetching = |organization| {
            let (transport, breaker) = (Arc::clone(&transport), breaker.clone());
            let (path_secrets, vitals) = (path_secrets.clone(), Arc::clone(&vitals));
            Fetching::new(&self.config, organization, transport, breaker, path_secrets, vitals)
        };
        let fetchings = self.organizations.iter().map(fetching).collect::<Result<_, _>>()?;
        let with_health = |handler: NamedHandler| {
            let health = Arc::new(HandlerHealth::new(handler.name.clone()));
            (handler, health)
        };
        Ok(StoreStages {
            config: self.config.clone(),
            clock: self.clock.clone(),
            vitals,
            breaker,
            fetchings,
            handlers: handlers.into_iter().map(with_health).collect(),
            import,
            registrations: Arc::new(Board::new(self.store.is_none().then(|| self.config.store.folder()))),
            losses: receiver.losses(),
        })
    }

    fn tell(&self, addresses: &Addresses, handlers: &[NamedHandler]) {
        let names = |names: Vec<&str>| names.join(",");
        info!(
            listen = addresses.receive_text(),
            admin = addresses.admin_text(),
            data_dir = self.store.is_none().then(|| self.config.store.folder().display().to_string()),
            base_url = %self.config.api.base_url,
            organizations = names(self.organizations.iter().map(|organization| organization.id.as_str()).collect()),
            handlers = names(handlers.iter().map(|handler| handler.name.as_str()).collect()),
            version = env!("CARGO_PKG_VERSION"),
            "started"
        );
    }

    fn all_handlers(&mut self) -> Result<Vec<NamedHandler>, StartError> {
        let mut configured = std::mem::take(&mut self.configured);
        if configured.is_empty() && self.handlers.is_empty() {
            configured.push(ConfiguredHandler::stdout(&self.config.deliver));
        }
        let mut handlers = Vec::new();
        for handler in configured {
            handlers.push(NamedHandler {
                name: handler.name.clone(),
                filter: handler.filter.clone(),
                deliver: handler.deliver.clone(),
                handler: handler::set_up(handler, &self.clock)?,
            });
        }
        handlers.extend(self.handlers.iter().cloned());
        for (position, NamedHandler { name, .. }) in handlers.iter().enumerate() {
            if handlers[..position].iter().any(|other| other.name == *name) {
                return Err(StartError::HandlerTwice(name.clone()));
            }
        }
        Ok(handlers)
    }
}

impl Worker {
    /// A worker with this configuration.
    pub fn builder(loaded: Loaded) -> WorkerBuilder {
        WorkerBuilder::new(loaded)
    }

    /// Takes over the path secrets and the tokens of a configuration that was read again. Everything else takes a restart.
    ///
    /// # Errors
    /// If a client for tokens cannot be made; nothing is replaced then.
    pub fn reload(&self, loaded: &Loaded) -> Result<(), StartError> {
        Ok(self.reloads.take(loaded)?)
    }
}
