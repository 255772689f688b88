//! A server of one's own, and the workers on it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use system_tests::{PgBouncer, PostgresServer, Relay};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls};

use crate::life::{Death, Process, until_listening};

/// How long a worker may take until it listens.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server of one's own that several rounds use, one after the other.
#[derive(Clone)]
pub struct Server {
    server: Arc<Mutex<PostgresServer>>,
    url: String,
    port: u16,
    pooler: Option<Arc<PgBouncer>>,
}

impl Server {
    /// Starts it, and a PgBouncer before it, which is left out, aloud, where it is not installed and nobody insists.
    ///
    /// # Errors
    /// If PostgreSQL is not installed, or in CI PgBouncer; if one of them does not start.
    pub async fn start() -> anyhow::Result<Self> {
        let server = spawn_blocking(PostgresServer::start).await??;
        let url = server.url();
        Ok(Self {
            pooler: spawn_blocking(move || pooler(&url)).await??.map(Arc::new),
            url: server.url(),
            port: server.port(),
            server: Arc::new(Mutex::new(server)),
        })
    }

    /// Stops it as a crash would, and starts it again.
    pub(super) async fn restart(&self, away: Duration) -> anyhow::Result<()> {
        let server = Arc::clone(&self.server);
        spawn_blocking(move || {
            let mut server = server.lock().unwrap_or_else(PoisonError::into_inner);
            server.stop_at_once()?;
            std::thread::sleep(away);
            server.start_again()
        })
        .await?
    }

    pub(super) async fn connect(&self) -> anyhow::Result<Client> {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Closes all connections of the workers in this schema.
    pub(super) async fn close_connections(&self, schema: &str) -> anyhow::Result<()> {
        let close = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1";
        self.connect().await?.query(close, &[&schema]).await?;
        Ok(())
    }

    /// Holds what is claimed from.
    pub(super) async fn lock_tables(&self, schema: &str, length: Duration) -> anyhow::Result<()> {
        let client = self.connect().await?;
        let lock = format!("BEGIN; LOCK TABLE {schema}.subjects, {schema}.cursors IN ACCESS EXCLUSIVE MODE");
        client.batch_execute(&lock).await?;
        tokio::time::sleep(length).await;
        Ok(client.batch_execute("ROLLBACK").await?)
    }

    pub(super) async fn drop_schema(&self, schema: &str) -> anyhow::Result<()> {
        let drop = format!("DROP SCHEMA IF EXISTS {schema} CASCADE");
        Ok(self.connect().await?.batch_execute(&drop).await?)
    }

    /// A link to it, or to the pooler before it.
    pub(super) async fn link(&self, is_pooled: bool) -> anyhow::Result<Relay> {
        let directly = (Ipv4Addr::LOCALHOST, self.port).into();
        let pooler = self.pooler.as_ref().filter(|_| is_pooled);
        Relay::to([pooler.map_or(directly, |pooler| pooler.address())]).await
    }

    /// How a schema is reached, over a link or directly.
    pub(super) fn url(&self, schema: &str, link: Option<SocketAddr>) -> String {
        let port = link.map_or(self.port, |link| link.port());
        format!(
            "postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable&application_name={schema}&\
             options=-csearch_path%3D{schema}"
        )
    }
}

#[expect(clippy::print_stderr, reason = "a person has to see what was not tried")]
fn pooler(server: &str) -> anyhow::Result<Option<PgBouncer>> {
    if PgBouncer::program().is_none() && std::env::var_os("CI").is_none() {
        eprintln!("SKIPPED: no worker reaches its server through PgBouncer, which is not installed");
        return Ok(None);
    }
    PgBouncer::start(server).map(Some)
}

/// A worker, dead or alive.
pub(super) struct Seat {
    pub(super) environment: BTreeMap<String, String>,
    /// Only in its first life.
    pub(super) crash: Option<(String, u64)>,
    pub(super) door: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) link: Arc<Relay>,
    pub(super) program: Option<PathBuf>,
    pub(super) log: PathBuf,
    pub(super) process: Option<Process>,
}

impl Seat {
    pub(super) fn start(&mut self) -> anyhow::Result<()> {
        let mut environment = self.environment.clone();
        if let Some((point, occurrence)) = self.crash.take() {
            environment.insert("TORTURE_CRASH_AT".to_owned(), format!("{point}:{occurrence}"));
        }
        let started = match &self.program {
            Some(program) => Process::start_program(program, &environment, &self.log),
            None => Process::start(&environment, &self.log),
        };
        self.process = Some(started?);
        Ok(())
    }

    /// Waits until it listens, unless that takes so long that it never will.
    pub(super) async fn is_up(&self) {
        let _: Result<(), _> = timeout(PATIENCE, until_listening(self.door)).await;
    }

    /// Kills it; how it had ended, if it had.
    pub(super) async fn kill(&mut self) -> anyhow::Result<Option<Death>> {
        match self.process.take() {
            Some(process) => process.kill().await.map(Some),
            None => Ok(None),
        }
    }

    /// Asks it to end.
    pub(super) async fn terminate(&mut self) -> anyhow::Result<Option<Death>> {
        match self.process.take() {
            Some(mut process) => process.terminate().await.map(Some),
            None => Ok(None),
        }
    }
}

/// What does not hold in the store that all these lives have left.
pub(super) async fn unsound(url: String) -> Vec<String> {
    let settings = runs_store::PostgresSettings::new(url);
    match runs_store::postgres::verify(&settings).await {
        Ok(Some(verification)) => {
            let findings = verification.findings.into_iter();
            findings.map(|finding| format!("store: {finding}")).collect()
        }
        Ok(None) => vec!["store: the workers left none".to_owned()],
        Err(error) => vec![format!("store: it cannot be verified: {error}")],
    }
}

/// Another worker's binary, for two versions at a time: what `TORTURE_OTHER_WORKER_BIN` names.
pub(super) fn other_program() -> Option<PathBuf> {
    std::env::var_os("TORTURE_OTHER_WORKER_BIN").map(PathBuf::from)
}

/// The file of a worker's log.
pub(super) fn log(folder: &Path, worker: usize) -> PathBuf {
    folder.join(format!("worker-{worker}.log"))
}

/// Makes a worker's clock wrong.
pub(super) fn set_clock(environment: &mut BTreeMap<String, String>, ahead: i64) -> anyhow::Result<()> {
    let shim = crate::binary::shim().context("a wrong clock needs a C compiler, and Linux")?;
    environment.insert("LD_PRELOAD".to_owned(), shim.display().to_string());
    environment.insert("CLOCK_AHEAD_SECONDS".to_owned(), ahead.to_string());
    Ok(())
}
