//! The running worker.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use runs_store::intake_log::IntakeLog;
use runs_store::torture;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::front_door::{HandedOver, ListenAddress};
use crate::reload::Reloads;
use crate::shared::late_store::LateStore;
use crate::shared::stage_names;

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
    pub(crate) routes: Routes,
    pub(crate) running: Running,
    pub(crate) reloads: Reloads,
    /// Its sockets once more, for the next worker of this process.
    pub(crate) doors: HandedOver,
}

/// The routes, for other servers.
pub(crate) struct Routes {
    pub(crate) webhooks: Router,
    pub(crate) admin: Router,
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
    /// The route `POST /webhooks/SECRET`, to be mounted in an axum server of your own, at its top or nested under any path.
    ///
    /// ```no_run
    /// # async fn serve(loaded: runs_worker::config::Loaded) -> Result<(), Box<dyn std::error::Error>> {
    /// use runs_worker::Worker;
    ///
    /// let worker = Worker::builder(loaded).without_receive_listener().start().await?;
    /// // Webhooks are sent to https://…/tallyfy/webhooks/SECRET then.
    /// let app = axum::Router::new().nest("/tallyfy", worker.router());
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    /// axum::serve(listener, app).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The limits on bodies come along: their size, the time in which they must arrive, how many bytes of them are in memory,
    /// and how many wait to be stored. What is about connections is for the server around it to limit: how many there are, how
    /// long a header takes, and who does not read answers. A layer that limits or decompresses bodies changes what is stored.
    ///
    /// Once the worker is stopped, webhooks are answered with 503.
    pub fn router(&self) -> Router {
        self.routes.webhooks.clone()
    }

    /// The routes `/health/live`, `/health/ready` and `/metrics`, to be mounted likewise; not where strangers come.
    pub fn admin_router(&self) -> Router {
        self.routes.admin.clone()
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
            .map_or("every stage", stage_names::name)
    }

    /// Stops: accepts no more, finishes what is in hand, and leaves the rest in the store.
    pub async fn stop(mut self) {
        // A socket of our own is closed at once, and others connect elsewhere.
        drop(std::mem::take(&mut self.doors));
        self.stop_behind_open_doors().await;
    }

    /// The same, but that senders wait at the sockets for the next worker.
    pub(crate) async fn stop_behind_open_doors(self) -> HandedOver {
        info!("stopping: finishing what is in hand");
        self.running.stop.cancel();
        torture::point("stop.begun");
        self.running.end().await;
        info!("stopped");
        self.doors
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
            stage_names::name(ended);
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
