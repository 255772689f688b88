//! Puts the stages together, starts them, and stops them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use runs_store::{HandlerName, JournalError, Store, StoreError, torture};
use tallyfy_transport::{BuildError, CircuitBreaker, HttpTransport};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::admin::Admin;
use crate::api;
use crate::clock::Clock;
use crate::config::{Config, ConfigError, Loaded, Organization};
use crate::deliver::HandlerHealth;
use crate::descriptors;
use crate::fetching::Fetching;
use crate::filter::EventFilter;
use crate::handler::{self, Handler, StdoutHandler};
use crate::listener::{self, Limits};
use crate::opening::{LateStore, Opened, Opener};
use crate::overflow::Inbox;
use crate::receive::Receiver;
use crate::stages::{self, GRACE, NamedHandler, StoreStages, named};

/// The whole worker: receive, refresh and deliver around one store.
///
/// ```no_run
/// use runs_worker::{Event, Handler, HandlerError, Worker, config};
///
/// struct Print;
///
/// #[async_trait::async_trait]
/// impl Handler for Print {
///     async fn handle(&self, event: &Event) -> Result<(), HandlerError> {
///         println!("{} of {}", event.event_type(), event.run_id());
///         Ok(())
///     }
/// }
///
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let loaded = config::load(&config::Flags::default(), &std::env::vars().collect(), true)?;
/// let worker = Worker::builder(loaded).handler("print", Print).start().await?;
/// tokio::signal::ctrl_c().await?;
/// worker.stop().await;
/// # Ok(())
/// # }
/// ```
pub struct Worker {
    receive_address: SocketAddr,
    admin_address: SocketAddr,
    data_dir: Option<PathBuf>,
    store: LateStore,
    stages: JoinSet<&'static str>,
    admin: tokio::task::JoinHandle<()>,
    stop: CancellationToken,
    stop_admin: CancellationToken,
}

/// A worker that is not started yet.
pub struct WorkerBuilder {
    config: Config,
    organizations: Vec<Organization>,
    handlers: Vec<NamedHandler>,
    store: Option<Arc<dyn Store>>,
    transport: Option<Arc<dyn HttpTransport>>,
    clock: Clock,
    metrics: Option<PrometheusHandle>,
    receive_socket: Option<std::net::TcpListener>,
    admin_socket: Option<std::net::TcpListener>,
}

/// Why a worker did not start. Nothing was changed but the data folder.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}, configured as {key}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The key that sets it.
        key: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The data folder cannot be made or used.
    #[error("cannot use the data folder {}", path.display())]
    DataFolder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The overflow journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The API client cannot be made.
    #[error("cannot set up the API client")]
    Client(#[from] BuildError),
    /// Opening the store panicked, or the runtime is shutting down.
    #[error("the start was interrupted")]
    Interrupted(#[source] JoinError),
    /// A handler is not described well; loading the configuration would have said so.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A handler cannot be set up.
    #[error("cannot set up the handler `{0}`")]
    Handler(String, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// Two handlers have one name.
    #[error("two handlers are called `{0}`")]
    HandlerTwice(HandlerName),
}

impl WorkerBuilder {
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

    /// Accepts webhooks on this socket, which listens already, in the place of `receive.listen`.
    ///
    /// Whoever else holds it, systemd for example, keeps its queue over a restart: nobody is refused.
    #[must_use]
    pub fn receive_socket(mut self, socket: std::net::TcpListener) -> Self {
        self.receive_socket = Some(socket);
        self
    }

    /// The same for the health checks and metrics, in the place of `admin.listen`.
    #[must_use]
    pub fn admin_socket(mut self, socket: std::net::TcpListener) -> Self {
        self.admin_socket = Some(socket);
        self
    }

    /// Starts the worker.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start(mut self) -> Result<Worker, StartError> {
        let (receive_socket, admin_socket) = (self.receive_socket.take(), self.admin_socket.take());
        let config = &self.config;
        let handlers = self.all_handlers()?;
        let transport = match &self.transport {
            Some(transport) => Arc::clone(transport),
            None => Arc::new(api::network(&config.api)?),
        };
        // Bound before the store is opened: while a large store recovers, senders wait instead of being refused.
        let public = bind(config.receive.listen, "receive.listen", receive_socket)?;
        let admin = bind(config.admin.listen, "admin.listen", admin_socket)?;
        torture::point("start.bound");
        let names: Vec<HandlerName> = handlers.iter().map(|handler| handler.name.clone()).collect();
        let opener = Opener {
            config: config.store.clone(),
            given: self.store.clone(),
            handlers: names.clone(),
            clock: self.clock.clone(),
        };
        let Opened { late, store, journal } = opener.open_or_wait().await?;
        let patience = config.receive.store_timeout;
        let inbox = Inbox::new(late.clone(), journal, self.clock.clone(), patience);
        let receiver = Receiver::new(inbox.clone(), self.clock.clone(), &self.organizations, &config.receive);
        let stop = CancellationToken::new();
        let stop_admin = CancellationToken::new();
        let breaker = CircuitBreaker::new(api::breaker_settings());
        let mut fetchings = Vec::new();
        let mut gates = Vec::new();
        for organization in &self.organizations {
            let fetching = Fetching::new(config, organization, Arc::clone(&transport), breaker.clone())?;
            gates.push((organization.id.to_string(), Arc::clone(&fetching.gate)));
            fetchings.push(fetching);
        }
        let with_health = |handler: NamedHandler| {
            let health = Arc::new(HandlerHealth::new(handler.name.clone()));
            (handler, health)
        };
        let handlers: Vec<_> = handlers.into_iter().map(with_health).collect();
        let health = handlers
            .iter()
            .map(|(handler, health)| (handler.name.to_string(), Arc::clone(health)))
            .collect();
        let of_store = StoreStages {
            config: config.clone(),
            clock: self.clock.clone(),
            fetchings,
            handlers,
            losses: receiver.losses(),
        };
        let limits = Limits {
            header_timeout: config.receive.header_timeout,
            write_timeout: config.receive.write_timeout,
            max_connections: descriptors::connections(config.receive.max_connections.get()),
            grace: GRACE,
        };
        let receive_address = local_address(&public, "receive.listen", config.receive.listen)?;
        let admin_address = local_address(&admin, "admin.listen", config.admin.listen)?;
        let mut stages = JoinSet::new();
        stages.spawn({
            let (late, stop) = (late.clone(), stop.clone());
            async move {
                let store = match store {
                    Some(store) => Some(store),
                    None => opener.keep_trying(&late, &stop).await,
                };
                match store {
                    Some(store) => of_store.run(store, stop).await,
                    None => "open",
                }
            }
        });
        if let Some(drain) = inbox.drain() {
            stages.spawn(named("overflow", drain.run(stop.clone())));
        }
        for silence in receiver.silences() {
            stages.spawn(named("silence", silence.run(stop.clone())));
        }
        stages.spawn(named(
            "receive",
            listener::serve(public, receiver.routes(), limits, stop.clone()),
        ));
        let routes = Admin {
            store: late.clone(),
            inbox,
            clock: self.clock.clone(),
            breaker,
            gates,
            health,
            metrics: self.metrics.clone(),
            stop: stop.clone(),
        }
        .routes();
        let admin = tokio::spawn(listener::serve(admin, routes, limits, stop_admin.clone()));
        let data_dir = self.store.is_none().then(|| config.store.folder());

        info!(
            listen = %receive_address,
            admin = %admin_address,
            data_dir = data_dir.as_ref().map(|folder| folder.display().to_string()),
            base_url = %config.api.base_url,
            organizations = self.organizations.iter().map(|organization| organization.id.as_str()).collect::<Vec<_>>().join(","),
            handlers = names.iter().map(HandlerName::as_str).collect::<Vec<_>>().join(","),
            version = env!("CARGO_PKG_VERSION"),
            "started"
        );
        Ok(Worker {
            receive_address,
            admin_address,
            data_dir,
            store: late,
            stages,
            admin,
            stop,
            stop_admin,
        })
    }

    fn all_handlers(&self) -> Result<Vec<NamedHandler>, StartError> {
        let organizations: Vec<&str> = self
            .organizations
            .iter()
            .map(|organization| organization.id.as_str())
            .collect();
        let mut handlers = Vec::new();
        for (position, handler) in self.config.handlers.iter().enumerate() {
            let place = format!("handlers[{position}]");
            let (filter, problems) = handler.filter.filter(&place, &organizations);
            if !problems.is_empty() {
                return Err(ConfigError::from(problems).into());
            }
            let deliver = handler.deliver(&self.config.deliver);
            let made = handler::set_up(handler, &place, &deliver, &self.clock)?;
            handlers.push(NamedHandler {
                name: HandlerName::new(handler.name.clone()),
                filter,
                handler: made,
                deliver,
            });
        }
        handlers.extend(self.handlers.iter().cloned());
        if handlers.is_empty() {
            handlers.push(NamedHandler {
                name: HandlerName::new("stdout"),
                filter: EventFilter::default(),
                handler: Arc::new(StdoutHandler::new()),
                deliver: self.config.deliver.clone(),
            });
        }
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
        WorkerBuilder {
            config: loaded.config,
            organizations: loaded.organizations,
            handlers: Vec::new(),
            store: None,
            transport: None,
            clock: Clock::system(),
            metrics: None,
            receive_socket: None,
            admin_socket: None,
        }
    }

    /// The address that webhooks are accepted on.
    pub fn receive_address(&self) -> SocketAddr {
        self.receive_address
    }

    /// The address of the health checks and metrics.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// The folder of the durable state; none where the store was given.
    pub fn data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    /// Returns when a stage has ended although nobody stopped it, which only a defect can bring about.
    pub async fn failed(&mut self) -> &'static str {
        self.stages.join_next().await.map_or("every stage", stages::name)
    }

    /// Stops: accepts no more, finishes what is in hand, and leaves the rest in the store.
    pub async fn stop(mut self) {
        info!("stopping: finishing what is in hand");
        self.stop.cancel();
        torture::point("stop.begun");
        while let Some(ended) = self.stages.join_next().await {
            stages::name(ended);
        }
        self.stop_admin.cancel();
        if let Err(error) = (&mut self.admin).await {
            error!(%error, "the admin listener ended by a panic");
        }
        torture::point("stop.drained");
        if let Ok(store) = self.store.get() {
            store.close().await;
        }
        info!("stopped");
    }
}

fn bind(
    address: SocketAddr,
    key: &'static str,
    inherited: Option<std::net::TcpListener>,
) -> Result<TcpListener, StartError> {
    let bound = match inherited {
        Some(socket) => listener::adopt(socket),
        None => listener::bind(address),
    };
    bound.map_err(|source| StartError::Listen { address, key, source })
}

fn local_address(listener: &TcpListener, key: &'static str, address: SocketAddr) -> Result<SocketAddr, StartError> {
    listener
        .local_addr()
        .map_err(|source| StartError::Listen { address, key, source })
}
