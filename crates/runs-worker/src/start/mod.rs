//! Puts the worker together and starts it.

mod error;
mod open;
pub(crate) mod stages;

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use runs_store::intake_log::{IntakeLog, IntakeLogError};
use runs_store::{HandlerName, Store, torture};
use tallyfy_transport::{CircuitBreaker, HttpTransport};
use tracing::info;

use crate::admin::Admin;
use crate::api;
use crate::clock::Clock;
use crate::config::{Config, ConfiguredHandler, Loaded, Organization};
use crate::deliver::HandlerHealth;
use crate::fetching::Fetching;
use crate::filter::EventFilter;
use crate::front_door::{self, HandedOver, Limits, ListenAddress, Socket, Sockets};
use crate::handler::{self, Handler};
use crate::import::Progress;
use crate::receive::{Receiver, WayIn};
use crate::shared::late_store::LateStore;
use crate::worker::{Addresses, Running, Worker};

pub use error::StartError;
use open::{Opener, Opening};
use stages::{GRACE, NamedHandler, StoreStages, named};

/// A worker that is not started yet.
pub struct WorkerBuilder {
    config: Config,
    organizations: Vec<Organization>,
    configured: Vec<ConfiguredHandler>,
    handlers: Vec<NamedHandler>,
    store: Option<Arc<dyn Store>>,
    transport: Option<Arc<dyn HttpTransport>>,
    clock: Clock,
    metrics: Option<PrometheusHandle>,
    sockets: HandedOver,
}

/// The sockets that the worker accepts on.
struct Doors {
    public: Sockets,
    admin: Sockets,
    addresses: Addresses,
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
    #[must_use]
    pub fn metrics(mut self, metrics: PrometheusHandle) -> Self {
        self.metrics = Some(metrics);
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
        let opener = Arc::new(self.opener(&handlers));
        let log = self.open_log(&opener).await?;
        let late = LateStore::default();
        let mut opening = None;
        if log.is_none() {
            // Nothing could be kept before.
            let store = opener.open().await?;
            late.opened(Arc::clone(&store));
            opening = Some(Opening::Open(store));
        }
        let way_in = WayIn::new(
            log.clone(),
            late.clone(),
            self.clock.clone(),
            self.config.receive.store_timeout,
        );
        let receiver = Receiver::new(way_in, self.clock.clone(), &self.organizations, &self.config.receive);
        let progress = log.as_ref().map(|log| Arc::new(Progress::new(Arc::clone(log))));
        let parts = self.store_stages(handlers.clone(), log.clone().zip(progress.clone()), &receiver)?;
        let mut running = Running::new(late.clone(), log);
        self.serve_admin(&mut running, &parts, progress, doors.admin);
        self.receive(&mut running, receiver, doors.public);
        let opening = match opening {
            Some(opening) => opening,
            None => match opener.begin(&late).await {
                Ok(opening) => opening,
                Err(error) => {
                    running.abandon().await;
                    return Err(error);
                }
            },
        };
        let stop = running.stop.clone();
        running.stages.spawn(async move {
            match opener.finish(opening, &late, &stop).await {
                Some(store) => parts.run(store, stop).await,
                None => "open",
            }
        });
        self.tell(&doors.addresses, &handlers);
        Ok(Worker {
            addresses: doors.addresses,
            data_dir: self.store.is_none().then(|| self.config.store.folder()),
            running,
        })
    }

    /// Opens the sockets before anything else: while that takes time, senders wait instead of being refused.
    fn bind(&mut self) -> Result<Doors, StartError> {
        let sockets = std::mem::take(&mut self.sockets);
        let (public, receive) = listen(&self.config.receive.listen, "receive.listen", sockets.public)?;
        let operators = [ListenAddress::Tcp(self.config.admin.listen)];
        let (operators, admin) = listen(&operators, "admin.listen", sockets.admin)?;
        Ok(Doors {
            public,
            admin: operators,
            addresses: Addresses { receive, admin },
        })
    }

    fn opener(&self, handlers: &[NamedHandler]) -> Opener {
        Opener {
            config: self.config.store.clone(),
            given: self.store.clone(),
            handlers: handlers.iter().map(|handler| handler.name.clone()).collect(),
            clock: self.clock.clone(),
        }
    }

    /// Opens the intake log. A store that was given is asked itself, unless a folder of the log is configured.
    async fn open_log(&self, opener: &Opener) -> Result<Option<Arc<IntakeLog>>, StartError> {
        if self.store.is_some() && self.config.intake.dirs.is_empty() {
            return Ok(None);
        }
        match open::open_log(&self.config.intake, &self.config.store).await {
            Err(held @ StartError::IntakeLog(IntakeLogError::Held { .. })) => {
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
    ) -> Result<StoreStages, StartError> {
        let transport = match &self.transport {
            Some(transport) => Arc::clone(transport),
            None => Arc::new(api::network(&self.config.api)?),
        };
        let breaker = CircuitBreaker::new(api::breaker_settings());
        let fetching =
            |organization| Fetching::new(&self.config, organization, Arc::clone(&transport), breaker.clone());
        let fetchings = self.organizations.iter().map(fetching).collect::<Result<_, _>>()?;
        let with_health = |handler: NamedHandler| {
            let health = Arc::new(HandlerHealth::new(handler.name.clone()));
            (handler, health)
        };
        Ok(StoreStages {
            config: self.config.clone(),
            clock: self.clock.clone(),
            breaker,
            fetchings,
            handlers: handlers.into_iter().map(with_health).collect(),
            import,
            losses: receiver.losses(),
        })
    }

    fn receive(&self, running: &mut Running, receiver: Receiver, public: Sockets) {
        for silence in receiver.silences() {
            running
                .stages
                .spawn(named("silence", silence.run(running.stop.clone())));
        }
        let routes = receiver.routes();
        let serving = front_door::serve(public, routes, self.limits(), running.stop.clone());
        running.stages.spawn(named("receive", serving));
    }

    fn serve_admin(
        &self,
        running: &mut Running,
        stages: &StoreStages,
        progress: Option<Arc<Progress>>,
        sockets: Sockets,
    ) {
        let gates = stages.fetchings.iter().map(Fetching::named_gate).collect();
        let health = stages
            .handlers
            .iter()
            .map(|(handler, health)| (handler.name.to_string(), Arc::clone(health)))
            .collect();
        let admin = Admin {
            store: running.store.clone(),
            progress,
            clock: self.clock.clone(),
            breaker: stages.breaker.clone(),
            gates,
            health,
            metrics: self.metrics.clone(),
            stop: running.stop.clone(),
        };
        let serving = front_door::serve(sockets, admin.routes(), self.limits(), running.stop_admin.clone());
        running.admin = Some(tokio::spawn(serving));
    }

    fn limits(&self) -> Limits {
        let config = &self.config.receive;
        Limits {
            header_timeout: config.header_timeout,
            write_timeout: config.write_timeout,
            max_connections: front_door::connections_that_fit(config.max_connections.get()),
            grace: GRACE,
        }
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

/// Opens or takes over the sockets of one listener, and says where they are.
fn listen(
    addresses: &[ListenAddress],
    key: &'static str,
    handed_over: Vec<Socket>,
) -> Result<(Sockets, Vec<ListenAddress>), StartError> {
    let failed = |(address, source): (Option<ListenAddress>, _)| StartError::Listen {
        address: address.map_or_else(
            || "the socket that was handed over".to_owned(),
            |address| address.to_string(),
        ),
        key,
        source,
    };
    let sockets = Sockets::open(addresses, handed_over).map_err(failed)?;
    let bound = sockets.addresses().map_err(|source| failed((None, source)))?;
    Ok((sockets, bound))
}
