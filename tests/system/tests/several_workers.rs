//! Several workers on one PostgreSQL database, which `RUNS_STORE_POSTGRES_URL` names: the real binary, killed and cut off.

use std::env;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use system_tests::{Account, ReceivedEvent, Stage, WorkerProcess, WorkerSettings, burst, run};
use tallyfy_sim::SimConfig;
use tallyfy_sim::webhooks::Notification;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_postgres::NoTls;
use uuid::Uuid;

const VARIABLE: &str = "RUNS_STORE_POSTGRES_URL";

/// A schema of its own, and a link to the server that can be cut.
struct Database {
    schema: String,
    server: tokio_postgres::Config,
    link: Link,
}

impl Database {
    /// `None`, and a word about it, where there is no server.
    #[expect(clippy::print_stderr, reason = "a person has to see that nothing was tested")]
    async fn new() -> anyhow::Result<Option<Self>> {
        let Ok(url) = env::var(VARIABLE) else {
            anyhow::ensure!(env::var_os("CI").is_none(), "{VARIABLE} has to name a server in CI");
            eprintln!("SKIPPED: nothing was tested on PostgreSQL, because {VARIABLE} names no server");
            return Ok(None);
        };
        let server: tokio_postgres::Config = url.parse()?;
        let port = server.get_ports().first().copied().unwrap_or(5432);
        Ok(Some(Self {
            schema: format!("test_{}", Uuid::now_v7().simple()),
            link: Link::to(port).await?,
            server,
        }))
    }

    /// Where it is reached, over the link.
    fn url(&self) -> String {
        let user = self.server.get_user().unwrap_or("postgres");
        let database = self.server.get_dbname().unwrap_or("postgres");
        format!(
            "postgres://{user}@127.0.0.1:{}/{database}?sslmode=disable&options=-csearch_path%3D{}",
            self.link.port, self.schema
        )
    }

    async fn drop(self) -> anyhow::Result<()> {
        let (client, connection) = self.server.connect(NoTls).await?;
        tokio::spawn(connection);
        client
            .batch_execute(&format!("DROP SCHEMA IF EXISTS {} CASCADE", self.schema))
            .await?;
        Ok(())
    }
}

/// Passes connections on to the server while it is up.
struct Link {
    port: u16,
    up: watch::Sender<bool>,
}

impl Link {
    async fn to(server: u16) -> anyhow::Result<Self> {
        let door = TcpListener::bind("127.0.0.1:0").await?;
        let port = door.local_addr()?.port();
        let up = watch::Sender::new(true);
        let seen = up.subscribe();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = door.accept().await {
                let mut seen = seen.clone();
                tokio::spawn(async move {
                    if !*seen.borrow() {
                        return;
                    }
                    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)).await else {
                        return;
                    };
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        _ = seen.wait_for(|up| !up) => {}
                    }
                });
            }
        });
        Ok(Self { port, up })
    }

    fn set(&self, up: bool) {
        self.up.send_replace(up);
    }
}

/// Takes events over HTTP, from whichever worker, in the order in which they come.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<ReceivedEvent>>>);

impl Sink {
    async fn open(&self) -> anyhow::Result<String> {
        async fn take(State(sink): State<Sink>, body: Bytes) {
            let line = String::from_utf8_lossy(&body).into_owned();
            let json = serde_json::from_str(&line).unwrap_or_default();
            let event = ReceivedEvent { line, json };
            sink.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let routes = Router::new().route("/", post(take)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(format!("http://{address}/"))
    }

    fn account(&self) -> Account {
        let mut account = Account::default();
        account.add(&self.0.lock().unwrap_or_else(PoisonError::into_inner));
        account
    }

    /// Waits until all of these are in events.
    async fn has_all(&self, acknowledged: &[Notification]) -> anyhow::Result<()> {
        let arrives = async {
            while !self.account().missing(acknowledged).is_empty() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        // What a killed worker was delivering is leased for a minute longer than the handler's time-out.
        let arrived = tokio::time::timeout(Duration::from_secs(75), arrives).await;
        arrived.with_context(|| format!("missing: {:?}", self.account().missing(acknowledged)))
    }
}

/// A worker on the database that sends events to the sink.
async fn stage(database: &Database, sink: &Sink, folder: &Path) -> anyhow::Result<Stage> {
    let file = folder.join("worker.toml");
    let handler = format!(
        "[[handlers]]\nname = \"sink\"\ntype = \"http\"\nurl = \"{}\"\n",
        sink.open().await?
    );
    std::fs::write(&file, handler)?;
    let environment = [
        ("RUNS_WORKER_CONFIG", file.display().to_string()),
        ("RUNS_WORKER__STORE__URL", database.url()),
        ("RUNS_WORKER__REFRESH__WINDOW", "50ms".to_owned()),
        ("RUNS_WORKER__RECEIVE__STORE_TIMEOUT", "500ms".to_owned()),
        ("RUNS_WORKER__STORE__SEAT_TERM", "2s".to_owned()),
        ("RUNS_WORKER__DELIVER__TIMEOUT", "1s".to_owned()),
    ];
    let environment: Vec<(&str, &str)> = environment
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    Stage::set(SimConfig::default(), &environment).await
}

/// What another worker beside the one of a stage is started with.
fn another(stage: &Stage, folder: &Path) -> WorkerSettings {
    stage
        .settings()
        .clone()
        .with("RUNS_WORKER_LISTEN", "127.0.0.1:0")
        .with("RUNS_WORKER_ADMIN_LISTEN", "127.0.0.1:0")
        .with("RUNS_WORKER_DATA_DIR", &folder.join("another").display().to_string())
}

#[tokio::test]
async fn when_the_worker_that_fetches_is_killed_another_goes_on_and_nothing_is_lost() -> anyhow::Result<()> {
    let Some(database) = Database::new().await? else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let sink = Sink::default();
    let mut stage = stage(&database, &sink, folder.path()).await?;
    let survivor = WorkerProcess::start(&another(&stage, folder.path())).await?;
    stage.connect_templates()?;
    let listed = stage.command(&["workers", "list", "--json"]).await?.stdout;
    assert_eq!(listed.len(), 2, "{listed:?}");

    burst(&stage.sim, stage.worker.receive_address(), 60, 10).await?;
    let door = survivor.receive_address();
    stage.sim.set_webhook_url(Some(
        &stage
            .webhook_url()
            .replace(&stage.worker.receive_address().to_string(), &door.to_string()),
    ))?;
    stage.worker.kill().await?;
    burst(&stage.sim, door, 60, 10).await?;
    sink.has_all(&stage.sim.ledger().acknowledged()).await?;
    assert_eq!(stage.sim.ledger().acknowledged().len(), stage.sim.ledger().len());
    assert_eq!(sink.account().contradictions(), [""; 0]);
    let verified = stage.command(&["verify-store"]).await?;
    assert!(verified.status.success(), "{verified:?}");
    drop(survivor);
    database.drop().await
}

#[tokio::test]
async fn webhooks_are_kept_while_the_database_is_away() -> anyhow::Result<()> {
    let Some(database) = Database::new().await? else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let sink = Sink::default();
    database.link.set(false);
    let stage = stage(&database, &sink, folder.path()).await?;
    stage.connect_templates()?;
    let door = stage.worker.receive_address();
    burst(&stage.sim, door, 20, 5).await?;
    database.link.set(true);
    sink.has_all(&stage.sim.ledger().acknowledged()).await?;
    database.link.set(false);
    burst(&stage.sim, door, 20, 5).await?;
    database.link.set(true);
    burst(&stage.sim, door, 20, 5).await?;
    sink.has_all(&stage.sim.ledger().acknowledged()).await?;
    assert_eq!(stage.sim.ledger().acknowledged().len(), stage.sim.ledger().len());
    assert_eq!(sink.account().contradictions(), [""; 0]);
    drop(stage);
    database.drop().await
}

/// Events wait for handlers that only some of the workers have.
#[tokio::test]
async fn the_doctor_tells_workers_of_other_settings() -> anyhow::Result<()> {
    let Some(database) = Database::new().await? else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let stage = stage(&database, &Sink::default(), folder.path()).await?;
    // The first word of the worker is in the database.
    let is_there = async {
        while !stage.command(&["status"]).await?.stdout.concat().contains("sink") {}
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(60), is_there).await??;
    let check = ["check", "--only", "workers"];
    let alike = stage.command(&check).await?;
    assert!(alike.status.success(), "{alike:?}");
    let other = folder.path().join("other.toml");
    std::fs::write(&other, "[[handlers]]\nname = \"journal\"\ntype = \"stdout\"\n")?;
    let settings = stage.settings().clone();
    let other = settings.with("RUNS_WORKER_CONFIG", &other.display().to_string());
    let told = run(&other, &check).await?;
    let said = told.stdout.join("\n");
    assert!(said.contains("the handlers sink, here they are journal"), "{told:?}");
    assert!(!said.contains("the organizations"), "{said}");
    let elsewhere = stage.settings().clone().with("TALLYFY_ORG_ID", "elsewhere");
    let said = run(&elsewhere, &check).await?.stdout.join("\n");
    assert!(said.contains("here they are elsewhere"), "{said}");
    drop(stage);
    database.drop().await
}

#[tokio::test]
async fn a_database_that_does_not_do_is_told_in_a_sentence() -> anyhow::Result<()> {
    let Some(database) = Database::new().await? else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let settings = WorkerSettings::new(
        "org",
        "token",
        "3b1f0c8e5a7d49629f8e7a6b5c4d3e2f",
        "http://127.0.0.1:1/api",
        folder.path(),
    );
    let url = database.url();
    let (server, schema) = url.split_once('?').unwrap_or((&url, ""));
    let (server, _) = server.rsplit_once('/').unwrap_or((server, ""));
    let no_database = format!("{server}/no_such_database?{schema}");
    for (url, said) in [
        (no_database.as_str(), "there is no database no_such_database"),
        ("mysql://host/s3cret", "does not begin with postgres://"),
        ("postgres://u:s3cret@host/d?sslmode=perhaps", "sslmode=perhaps"),
    ] {
        for command in [&["serve"] as &[&str], &["events", "list"]] {
            let exit = run(&settings.clone().with("RUNS_WORKER__STORE__URL", url), command).await?;
            let told = exit.stderr.join("\n");
            assert_eq!(exit.status.code(), Some(2), "{url}: {told}");
            assert!(told.contains(said) && !told.contains("s3cret"), "{url}: {told}");
        }
    }
    Ok(())
}
