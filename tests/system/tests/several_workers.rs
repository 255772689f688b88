//! Several workers on one PostgreSQL database, which `RUNS_STORE_POSTGRES_URL` names, and
//! through a pooler, which `RUNS_STORE_PGBOUNCER_URL` names: the real binary, killed and cut off.

use std::env;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use system_tests::{Passing, Relay, Sink, Stage, WorkerProcess, WorkerSettings, burst, run};
use tallyfy_sim::SimConfig;
use tokio_postgres::NoTls;
use uuid::Uuid;

const DIRECTLY: &str = "RUNS_STORE_POSTGRES_URL";
const THROUGH_A_POOLER: &str = "RUNS_STORE_PGBOUNCER_URL";

/// A schema of its own, and a link to the server that can be cut.
struct Database {
    schema: String,
    server: tokio_postgres::Config,
    link: Relay,
}

impl Database {
    /// `None`, and a word about it, where there is no server.
    #[expect(clippy::print_stderr, reason = "a person has to see that nothing was tested")]
    async fn of(variable: &str) -> anyhow::Result<Option<Self>> {
        let Ok(url) = env::var(variable) else {
            anyhow::ensure!(env::var_os("CI").is_none(), "{variable} has to name a server in CI");
            eprintln!("SKIPPED: nothing was tested on PostgreSQL, because {variable} names no server");
            return Ok(None);
        };
        let server: tokio_postgres::Config = url.parse()?;
        let port = server.get_ports().first().copied().unwrap_or(5432);
        Ok(Some(Self {
            schema: format!("test_{}", Uuid::now_v7().simple()),
            link: Relay::to([(Ipv4Addr::LOCALHOST, port).into()]).await?,
            server,
        }))
    }

    /// Where it is reached, over the link.
    fn url(&self) -> String {
        let user = self.server.get_user().unwrap_or("postgres");
        let database = self.server.get_dbname().unwrap_or("postgres");
        format!(
            "postgres://{user}@127.0.0.1:{}/{database}?sslmode=disable&options=-csearch_path%3D{}",
            self.link.address().port(),
            self.schema
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
    match Database::of(DIRECTLY).await? {
        Some(database) => kill_the_one_that_fetches(database).await,
        None => Ok(()),
    }
}

#[tokio::test]
async fn the_same_through_a_pooler_in_transaction_mode() -> anyhow::Result<()> {
    match Database::of(THROUGH_A_POOLER).await? {
        Some(database) => kill_the_one_that_fetches(database).await,
        None => Ok(()),
    }
}

async fn kill_the_one_that_fetches(database: Database) -> anyhow::Result<()> {
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
    let Some(database) = Database::of(DIRECTLY).await? else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let sink = Sink::default();
    database.link.set(Passing::Cut);
    let stage = stage(&database, &sink, folder.path()).await?;
    stage.connect_templates()?;
    let door = stage.worker.receive_address();
    burst(&stage.sim, door, 20, 5).await?;
    database.link.set(Passing::Through);
    sink.has_all(&stage.sim.ledger().acknowledged()).await?;
    database.link.set(Passing::Cut);
    burst(&stage.sim, door, 20, 5).await?;
    database.link.set(Passing::Through);
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
    let Some(database) = Database::of(DIRECTLY).await? else {
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
