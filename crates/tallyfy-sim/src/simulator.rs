//! The handle of a running simulator.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::clock::{Clock, SystemClock};
use crate::faults::Faults;
use crate::quirks::{QuirkMode, QuirkSource};
use crate::rate_limit::RateLimit;
use crate::replicas::{ReplicaSource, Replicas};
use crate::requests::Requests;
use crate::server::serve;
use crate::shared::{Caller, Shared};
use crate::webhooks::{Ledger, Sender, SenderConfig};
use crate::world::{Completion, Founding, Lag, Launch, Run, Task, TemplateDraft, World, WorldError};

/// How a simulator starts. Every field has a default that suits tests.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// Where it listens; by default a free port of 127.0.0.1.
    pub listen: SocketAddr,
    /// Seed of all ids.
    pub seed: u64,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Id of the organization.
    pub org: String,
    /// The token of its administrator.
    pub token: String,
    /// URL of the webhook of both templates.
    pub webhook_url: Option<String>,
    /// URL that gets the events of the organization.
    pub watcher_url: Option<String>,
    /// How responses are written.
    pub quirks: QuirkMode,
    /// By which replicas reads are answered; without them, all see the current state.
    pub replicas: Option<Replicas>,
    /// Calls for each minute.
    pub rate_limit: Option<NonZeroU32>,
    /// How long a webhook waits for its answer.
    pub webhook_timeout: Duration,
    /// How many webhooks are on their way at the same time. With 1 they arrive in order.
    pub webhook_concurrency: usize,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            seed: 1,
            clock: Arc::new(SystemClock),
            org: "northwind".to_owned(),
            token: "sim-token".to_owned(),
            webhook_url: None,
            watcher_url: None,
            quirks: QuirkMode::default(),
            replicas: None,
            rate_limit: None,
            webhook_timeout: Duration::from_secs(10),
            webhook_concurrency: 8,
        }
    }
}

/// Why a simulator cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The HTTP client for webhooks cannot be built.
    #[error("cannot build the client that sends webhooks")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The world refused its founding.
    #[error("cannot found the organization")]
    Founding(#[from] WorldError),
}

/// A running simulator. Clones are handles of the same one; it stops when the last is dropped.
#[derive(Debug, Clone)]
pub struct Simulator {
    shared: Arc<Shared>,
    address: SocketAddr,
    server: Arc<Mutex<Option<JoinHandle<()>>>>,
    _stop: Arc<DropGuard>,
}

impl Simulator {
    /// Founds an organization and serves it on the current tokio runtime.
    ///
    /// # Errors
    /// When the address is not free.
    pub async fn start(config: SimConfig) -> Result<Self, StartError> {
        let listen_error = |source| StartError::Listen {
            address: config.listen,
            source,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;

        let mut world = World::new(Arc::clone(&config.clock), config.seed);
        let founding = world.found(&config.org)?;
        for template in [&founding.onboarding, &founding.every_field] {
            world.set_template_webhook(template, config.webhook_url.as_deref())?;
        }
        if let Some(url) = &config.watcher_url {
            world.add_watcher(&config.org, url)?;
        }
        let admin = Caller {
            user: founding.admin,
            org: config.org.clone(),
        };

        let (ledger, faults, shutdown) = (Ledger::default(), Faults::default(), CancellationToken::new());
        let sender = SenderConfig {
            timeout: config.webhook_timeout,
            concurrency: config.webhook_concurrency,
            clock: Arc::clone(&config.clock),
            faults: faults.clone(),
            shutdown: shutdown.clone(),
        };
        let shared = Arc::new(Shared {
            world: Mutex::new(world),
            founding,
            clock: config.clock,
            quirks: QuirkSource::new(config.quirks),
            faults,
            requests: Requests::default(),
            rate_limit: RateLimit::default(),
            tokens: Mutex::new(BTreeMap::from([(config.token, admin)])),
            lag: Mutex::new(Lag::None),
            replicas: ReplicaSource::default(),
            sender: Sender::start(sender, ledger.clone()).map_err(StartError::Client)?,
            ledger,
            base_url: format!("http://{address}"),
            last_request: AtomicU64::new(0),
            shutdown: shutdown.clone(),
        });
        shared.rate_limit.set(config.rate_limit);
        shared.replicas.set(config.replicas);
        let server = tokio::spawn(serve(listener, Arc::clone(&shared)));
        tracing::debug!(%address, "simulator listens");
        Ok(Self {
            shared,
            address,
            server: Arc::new(Mutex::new(Some(server))),
            _stop: Arc::new(shutdown.drop_guard()),
        })
    }

    /// Stops it: no new connection, no new webhook; what is on its way ends within seconds.
    pub async fn shutdown(&self) {
        self.shared.shutdown.cancel();
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(server) = server
            && let Err(error) = server.await
        {
            tracing::error!(%error, "the server ended badly");
        }
        self.shared.sender.join().await;
    }

    /// `http://127.0.0.1:PORT`, the root form of the API.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.shared.base_url
    }

    /// `http://127.0.0.1:PORT/api`, the other form.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("{}/api", self.shared.base_url)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The organization and what it was founded with.
    #[must_use]
    pub fn founding(&self) -> &Founding {
        &self.shared.founding
    }

    /// Id of the organization.
    #[must_use]
    pub fn org(&self) -> &str {
        &self.shared.founding.org
    }

    /// A token that is good now; empty when all were revoked.
    #[must_use]
    pub fn token(&self) -> String {
        self.shared.tokens().keys().next().cloned().unwrap_or_default()
    }

    /// Makes all tokens useless and this one good.
    pub fn replace_token(&self, token: &str) {
        let admin = Caller {
            user: self.shared.founding.admin,
            org: self.org().to_owned(),
        };
        *self.shared.tokens() = BTreeMap::from([(token.to_owned(), admin)]);
    }

    /// Gives a member of an organization one more token.
    pub fn add_token(&self, token: &str, org: &str, user: i64) {
        self.shared.tokens().insert(
            token.to_owned(),
            Caller {
                user,
                org: org.to_owned(),
            },
        );
    }

    /// Makes all tokens useless, as a logout does.
    pub fn revoke_tokens(&self) {
        self.shared.tokens().clear();
    }

    /// The faults in force.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// How responses are written.
    #[must_use]
    pub fn quirks(&self) -> &QuirkSource {
        &self.shared.quirks
    }

    /// The calls to the API so far.
    #[must_use]
    pub fn requests(&self) -> &Requests {
        &self.shared.requests
    }

    /// The webhooks so far.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    /// Waits until no webhook is on its way.
    pub async fn settle(&self) {
        self.shared.sender.settle().await;
    }

    /// Lets reads show an earlier state.
    pub fn set_lag(&self, lag: Lag) {
        self.shared.set_lag(lag);
    }

    /// Lets reads be answered by replicas, or no longer. They come before a lag of their own.
    pub fn set_replicas(&self, replicas: Option<Replicas>) {
        self.shared.replicas.set(replicas);
    }

    /// Limits the calls for each minute, or lifts the limit. Earlier calls are forgotten.
    pub fn set_rate_limit(&self, calls_per_minute: Option<NonZeroU32>) {
        self.shared.rate_limit.set(calls_per_minute);
    }

    /// Reads the world.
    pub fn read<T>(&self, read: impl FnOnce(&World) -> T) -> T {
        read(&self.shared.world())
    }

    /// Changes the world with any of its operations; webhooks go out.
    ///
    /// # Errors
    /// When the operation is refused.
    pub fn change<T>(&self, change: impl FnOnce(&mut World) -> Result<T, WorldError>) -> Result<T, WorldError> {
        self.shared.change(change)
    }

    /// The URL of the webhook of both founding templates.
    ///
    /// # Errors
    /// When a template is gone.
    pub fn set_webhook_url(&self, url: Option<&str>) -> Result<(), WorldError> {
        let founding = self.founding();
        self.change(|world| {
            world.set_template_webhook(&founding.onboarding, url)?;
            world.set_template_webhook(&founding.every_field, url)
        })
    }

    /// Launches "Client onboarding" under this name and returns the run's id.
    ///
    /// # Errors
    /// When the name is too long.
    pub fn launch(&self, name: &str) -> Result<String, WorldError> {
        self.launch_with(&Launch::of(&self.founding().onboarding).named(name))
    }

    /// Launches a run and returns its id.
    ///
    /// # Errors
    /// When the launch is refused.
    pub fn launch_with(&self, launch: &Launch) -> Result<String, WorldError> {
        self.change(|world| world.launch(self.org(), launch))
    }

    /// Makes a template and returns its id.
    ///
    /// # Errors
    /// None in practice.
    pub fn add_template(&self, draft: &TemplateDraft) -> Result<String, WorldError> {
        self.change(|world| world.add_template(self.org(), draft))
    }

    /// Completes a task, its fields filled with examples.
    ///
    /// # Errors
    /// When the completion is refused.
    pub fn complete(&self, task: &str) -> Result<(), WorldError> {
        self.complete_with(task, &Completion::new().filled())
    }

    /// Completes a task.
    ///
    /// # Errors
    /// When the completion is refused.
    pub fn complete_with(&self, task: &str, completion: &Completion) -> Result<(), WorldError> {
        self.change(|world| world.complete(task, completion))
    }

    /// Completes the open task of a run that comes first and returns its id; `None` when all are done.
    ///
    /// # Errors
    /// When the completion is refused.
    pub fn complete_next(&self, run: &str) -> Result<Option<String>, WorldError> {
        self.change(|world| {
            let open = world.run(run)?.tasks.iter().find(|task| !task.status.is_settled());
            let Some(task) = open.map(|task| task.id.clone()) else {
                return Ok(None);
            };
            world.complete(&task, &Completion::new().filled())?;
            Ok(Some(task))
        })
    }

    /// A run as it is now.
    ///
    /// # Errors
    /// When there is no such run.
    pub fn run(&self, run: &str) -> Result<Arc<Run>, WorldError> {
        self.read(|world| world.run(run).cloned())
    }

    /// The tasks of a run as they are now.
    ///
    /// # Errors
    /// When there is no such run.
    pub fn tasks(&self, run: &str) -> Result<Vec<Arc<Task>>, WorldError> {
        Ok(self.run(run)?.tasks.clone())
    }
}
