//! Puts the stages together, starts them, and stops them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use runs_store::{HandlerName, SqliteStore, Store, StoreError};
use tallyfy_transport::{BuildError, HttpTransport, RateLimiter};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::admin::Admin;
use crate::api;
use crate::clock::Clock;
use crate::config::{Config, ConfigError, DeliverConfig, HandlerKind, Loaded, Organization};
use crate::data_folder;
use crate::deliver::{Deliverer, HandlerHealth};
use crate::filter::EventFilter;
use crate::handler::{CommandHandler, FileHandler, Handler, HttpHandler, StdoutHandler};
use crate::listener::{self, Limits};
use crate::prune::Pruner;
use crate::receive::Receiver;
use crate::refresh::{Refresher, TokenGate};

/// How long what is in hand may take once the worker stops. Service managers kill after longer than this.
const GRACE: Duration = Duration::from_secs(20);

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
    store: Arc<dyn Store>,
    stages: JoinSet<&'static str>,
    admin: tokio::task::JoinHandle<()>,
    stop: CancellationToken,
    stop_admin: CancellationToken,
}

type NamedHandlers = Vec<NamedHandler>;

#[derive(Clone)]
struct NamedHandler {
    name: HandlerName,
    filter: EventFilter,
    handler: Arc<dyn Handler>,
    deliver: DeliverConfig,
}

/// A worker that is not started yet.
pub struct WorkerBuilder {
    config: Config,
    organizations: Vec<Organization>,
    handlers: NamedHandlers,
    store: Option<Arc<dyn Store>>,
    transport: Option<Arc<dyn HttpTransport>>,
    clock: Clock,
    metrics: Option<PrometheusHandle>,
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

    /// Starts the worker.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start(self) -> Result<Worker, StartError> {
        let config = &self.config;
        let handlers = self.all_handlers()?;
        let transport = match &self.transport {
            Some(transport) => Arc::clone(transport),
            None => Arc::new(api::network(&config.api)?),
        };
        // Bound before the store is opened: while a large store recovers, senders wait instead of being refused.
        let public = bind(config.receive.listen, "receive.listen").await?;
        let admin = bind(config.admin.listen, "admin.listen").await?;
        let (store, data_dir) = self.open_store().await?;
        let names: Vec<HandlerName> = handlers.iter().map(|handler| handler.name.clone()).collect();
        let filters: Arc<[(HandlerName, EventFilter)]> = handlers
            .iter()
            .map(|handler| (handler.name.clone(), handler.filter.clone()))
            .collect();
        store.set_handlers(&names, self.clock.now()).await?;
        warn_of_leftovers(store.as_ref(), self.clock.now()).await?;

        let stop = CancellationToken::new();
        let stop_admin = CancellationToken::new();
        let mut stages = JoinSet::new();
        let mut gates = Vec::new();
        for organization in &self.organizations {
            let refresher = self.refresher(
                organization,
                Arc::clone(&transport),
                Arc::clone(&store),
                Arc::clone(&filters),
            );
            gates.push((organization.id.to_string(), Arc::clone(&refresher.gate)));
            stages.spawn(named("refresh", refresher.run(stop.clone(), GRACE)));
        }
        let mut health = Vec::new();
        for NamedHandler {
            name, handler, deliver, ..
        } in handlers
        {
            let of_handler = Arc::new(HandlerHealth::new(name.clone()));
            health.push((name.to_string(), Arc::clone(&of_handler)));
            let deliverer = Deliverer {
                health: of_handler,
                store: Arc::clone(&store),
                clock: self.clock.clone(),
                name,
                handler,
                config: deliver,
            };
            stages.spawn(named("deliver", deliverer.run(stop.clone(), GRACE)));
        }
        let pruner = Pruner {
            store: Arc::clone(&store),
            clock: self.clock.clone(),
            config: config.retention.clone(),
        };
        stages.spawn(named("prune", pruner.run(stop.clone())));
        let limits = Limits {
            header_timeout: config.receive.header_timeout,
            max_connections: config.receive.max_connections.get(),
            grace: GRACE,
        };
        let receive_address = local_address(&public, "receive.listen", config.receive.listen)?;
        let admin_address = local_address(&admin, "admin.listen", config.admin.listen)?;
        let receiver = Receiver::new(
            Arc::clone(&store),
            self.clock.clone(),
            &self.organizations,
            &config.receive,
        );
        stages.spawn(named(
            "receive",
            listener::serve(public, receiver.routes(), limits, stop.clone()),
        ));
        let routes = Admin {
            store: Arc::clone(&store),
            clock: self.clock.clone(),
            gates,
            health,
            metrics: self.metrics.clone(),
            stop: stop.clone(),
        }
        .routes();
        let admin = tokio::spawn(listener::serve(admin, routes, limits, stop_admin.clone()));

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
            store,
            stages,
            admin,
            stop,
            stop_admin,
        })
    }

    fn all_handlers(&self) -> Result<NamedHandlers, StartError> {
        let organizations: Vec<&str> = self
            .organizations
            .iter()
            .map(|organization| organization.id.as_str())
            .collect();
        let mut handlers = NamedHandlers::new();
        for (position, handler) in self.config.handlers.iter().enumerate() {
            let place = format!("handlers[{position}]");
            let (filter, problems) = handler.filter.filter(&place, &organizations);
            if !problems.is_empty() {
                return Err(ConfigError::from(problems).into());
            }
            let deliver = handler.deliver(&self.config.deliver);
            let made: Arc<dyn Handler> = match handler.kind(&place).map_err(ConfigError::from)? {
                HandlerKind::Stdout => Arc::new(StdoutHandler::new()),
                HandlerKind::File(path) => Arc::new(FileHandler::new(path)),
                HandlerKind::Http(target) => {
                    let made = HttpHandler::new(*target, deliver.timeout, self.clock.clone());
                    Arc::new(made.map_err(|error| StartError::Handler(handler.name.clone(), error.into()))?)
                }
                HandlerKind::Command(line) => Arc::new(CommandHandler::new(handler.name.clone(), line)),
            };
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

    async fn open_store(&self) -> Result<(Arc<dyn Store>, Option<PathBuf>), StartError> {
        if let Some(store) = &self.store {
            return Ok((Arc::clone(store), None));
        }
        let folder = self.config.store.folder();
        data_folder::make_private(&folder).map_err(|source| StartError::DataFolder {
            path: folder.clone(),
            source,
        })?;
        let (file, now) = (data_folder::store_file(&folder), self.clock.now());
        let opened = tokio::task::spawn_blocking(move || SqliteStore::open(file, now)).await;
        let store = opened.map_err(StartError::Interrupted)??;
        Ok((Arc::new(store), Some(folder)))
    }

    fn refresher(
        &self,
        organization: &Organization,
        transport: Arc<dyn HttpTransport>,
        store: Arc<dyn Store>,
        handlers: Arc<[(HandlerName, EventFilter)]>,
    ) -> Refresher {
        let limiter = RateLimiter::new(self.config.api.rate_limits());
        let tokens = api::token_source(organization);
        let client = api::client(organization, transport, Arc::clone(&tokens), limiter.clone());
        let gate = TokenGate::new(organization.id.clone(), tokens, self.config.api.token_retry);
        Refresher {
            store,
            clock: self.clock.clone(),
            client,
            limiter,
            gate: Arc::new(gate),
            config: self.config.refresh.clone(),
            guest_links: self.config.events.guest_links,
            handlers,
        }
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
        match self.stages.join_next().await {
            Some(Ok(stage)) => stage,
            Some(Err(error)) => {
                error!(%error, "a stage ended by a panic");
                "a stage that panicked"
            }
            None => "every stage",
        }
    }

    /// Stops: accepts no more, finishes what is in hand, and leaves the rest in the store.
    pub async fn stop(mut self) {
        info!("stopping: finishing what is in hand");
        self.stop.cancel();
        while let Some(ended) = self.stages.join_next().await {
            log_panic(ended.map(|_| ()));
        }
        self.stop_admin.cancel();
        log_panic((&mut self.admin).await);
        self.store.close().await;
        info!("stopped");
    }
}

/// What waits for a handler that is not configured any more would otherwise wait unseen.
async fn warn_of_leftovers(store: &dyn Store, now: jiff::Timestamp) -> Result<(), StoreError> {
    for left in store.stats(now).await?.handlers {
        if !left.active && left.waiting > 0 {
            warn!(
                handler = %left.handler, events = left.waiting,
                "events wait for a handler that is not configured; they are kept, and delivered when it is back"
            );
        }
    }
    Ok(())
}

fn log_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        error!(%error, "a stage ended by a panic");
    }
}

async fn named(stage: &'static str, run: impl Future<Output = ()>) -> &'static str {
    run.await;
    stage
}

async fn bind(address: SocketAddr, key: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen { address, key, source })
}

fn local_address(listener: &TcpListener, key: &'static str, address: SocketAddr) -> Result<SocketAddr, StartError> {
    listener
        .local_addr()
        .map_err(|source| StartError::Listen { address, key, source })
}
