//! The running worker.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runs_store::intake_log::IntakeLog;
use runs_store::torture;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::config::Loaded;
use crate::front_door::ListenAddress;
use crate::shared::late_store::LateStore;
use crate::start::{WorkerBuilder, stages};

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
    pub(crate) addresses: Addresses,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) running: Running,
}

/// Where the worker listens.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    pub(crate) receive: Vec<ListenAddress>,
    pub(crate) admin: Vec<ListenAddress>,
}

/// What runs, and what it runs on.
pub(crate) struct Running {
    pub(crate) store: LateStore,
    log: Option<Arc<IntakeLog>>,
    pub(crate) stages: JoinSet<&'static str>,
    pub(crate) admin: Option<JoinHandle<()>>,
    pub(crate) stop: CancellationToken,
    pub(crate) stop_admin: CancellationToken,
}

impl Worker {
    /// A worker with this configuration.
    pub fn builder(loaded: Loaded) -> WorkerBuilder {
        WorkerBuilder::new(loaded)
    }

    /// The addresses that webhooks are accepted on.
    pub fn receive_addresses(&self) -> &[ListenAddress] {
        &self.addresses.receive
    }

    /// The first of them that has a port; `0.0.0.0:0` if all are sockets in the file system.
    pub fn receive_address(&self) -> SocketAddr {
        first_port(&self.addresses.receive)
    }

    /// The address of the health checks and metrics; `0.0.0.0:0` if it is a socket in the file system.
    pub fn admin_address(&self) -> SocketAddr {
        first_port(&self.addresses.admin)
    }

    /// The folder of the durable state; none where the store was given.
    pub fn data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    /// Returns when a stage has ended although nobody stopped it, which only a defect can bring about, or a store that cannot
    /// be opened after all.
    pub async fn failed(&mut self) -> &'static str {
        self.running
            .stages
            .join_next()
            .await
            .map_or("every stage", stages::name)
    }

    /// Stops: accepts no more, finishes what is in hand, and leaves the rest in the store.
    pub async fn stop(self) {
        info!("stopping: finishing what is in hand");
        self.running.stop.cancel();
        torture::point("stop.begun");
        self.running.end().await;
        info!("stopped");
    }
}

impl Addresses {
    pub(crate) fn receive_text(&self) -> String {
        listed(&self.receive)
    }

    pub(crate) fn admin_text(&self) -> String {
        listed(&self.admin)
    }
}

fn first_port(addresses: &[ListenAddress]) -> SocketAddr {
    let port = |address: &ListenAddress| match address {
        ListenAddress::Tcp(address) => Some(*address),
        ListenAddress::Unix(_) => None,
    };
    let unspecified = || SocketAddr::from(([0, 0, 0, 0], 0));
    addresses.iter().find_map(port).unwrap_or_else(unspecified)
}

fn listed(addresses: &[ListenAddress]) -> String {
    let texts: Vec<_> = addresses.iter().map(ListenAddress::to_string).collect();
    texts.join(",")
}

impl Running {
    pub(crate) fn new(store: LateStore, log: Option<Arc<IntakeLog>>) -> Self {
        Self {
            store,
            log,
            stages: JoinSet::new(),
            admin: None,
            stop: CancellationToken::new(),
            stop_admin: CancellationToken::new(),
        }
    }

    /// Takes back a start that failed.
    pub(crate) async fn abandon(self) {
        self.stop.cancel();
        self.end().await;
    }

    /// Waits for the stages, which were told to stop, and lets go of what they ran on.
    async fn end(mut self) {
        while let Some(ended) = self.stages.join_next().await {
            stages::name(ended);
        }
        self.stop_admin.cancel();
        if let Some(admin) = self.admin
            && let Err(error) = admin.await
        {
            error!(%error, "the admin listener ended by a panic");
        }
        torture::point("stop.drained");
        if let Some(log) = &self.log {
            log.close().await;
        }
        if let Ok(store) = self.store.get() {
            store.close().await;
        }
    }
}
