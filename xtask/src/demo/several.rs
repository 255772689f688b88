//! `cargo xtask demo --workers 3`: several real workers on a real PostgreSQL database, of which one is killed, and then the
//! database.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use system_tests::{PostgresServer, Relay, Sink, WorkerProcess, WorkerSettings, burst, run};
use tallyfy_sim::{SimConfig, Simulator};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use super::{BURST, BURST_RUNS, KILL_AFTER, conclude};

/// The secret in the path of the webhook URL.
const SECRET: &str = "3b1f0c8e5a7d49629f8e7a6b5c4d3e2f";
/// After how many acknowledged webhooks of the burst the database is stopped.
const STOP_AFTER: usize = 200;
/// How long it is away.
const AWAY: Duration = Duration::from_secs(3);

struct Fleet {
    sim: Simulator,
    workers: Vec<(WorkerSettings, WorkerProcess)>,
    balancer: Relay,
    sink: Sink,
    database: PostgresServer,
    _folder: TempDir,
}

/// Shows it.
pub(super) async fn show(workers: usize) -> anyhow::Result<()> {
    let mut fleet = Fleet::start(workers).await?;
    fleet.introduce().await?;
    println!("\n== A burst of {BURST} webhooks through the balancer, which retries nothing.");
    let (sim, door) = (fleet.sim.clone(), fleet.balancer.address());
    let burst = tokio::spawn(async move { burst(&sim, door, BURST, BURST_RUNS).await });
    fleet.sim.ledger().wait_for_acknowledged(KILL_AFTER).await;
    fleet.kill_one().await?;
    fleet.sim.ledger().wait_for_acknowledged(STOP_AFTER).await;
    fleet.restart_the_database().await?;
    burst.await??;
    fleet.sim.settle().await;
    // Not an error yet: what is missing is said at the end.
    let _: anyhow::Result<()> = fleet.sink.has_all(&fleet.sim.ledger().acknowledged()).await;
    conclude(&fleet.sim, &fleet.sink.account())?;
    for (_, mut worker) in fleet.workers {
        worker.terminate().await?;
    }
    fleet.sim.shutdown().await;
    Ok(())
}

impl Fleet {
    async fn start(workers: usize) -> anyhow::Result<Self> {
        ensure!(workers > 1, "one worker is shown without --workers");
        let folder = tempfile::tempdir().context("make a temporary folder")?;
        let database = spawn_blocking(PostgresServer::start).await??;
        let sim = Simulator::start(SimConfig {
            webhook_concurrency: 16,
            ..SimConfig::default()
        });
        let sim = sim.await.context("start the simulator")?;
        let sink = Sink::default();
        let handlers = folder.path().join("worker.toml");
        let url = sink.open().await?;
        std::fs::write(
            &handlers,
            format!("[[handlers]]\nname = \"sink\"\ntype = \"http\"\nurl = \"{url}\"\n"),
        )?;
        let mut running = Vec::new();
        for number in 1..=workers {
            let settings = settings(&sim, &database, folder.path(), number)
                .with("RUNS_WORKER_CONFIG", &handlers.display().to_string());
            let worker = WorkerProcess::start(&settings).await?;
            running.push((settings.at_the_addresses_of(&worker), worker));
        }
        let doors: Vec<SocketAddr> = running.iter().map(|(_, worker)| worker.receive_address()).collect();
        let balancer = Relay::to(doors).await?;
        sim.set_webhook_url(Some(&format!("http://{}/webhooks/{SECRET}", balancer.address())))?;
        Ok(Self {
            sim,
            workers: running,
            balancer,
            sink,
            database,
            _folder: folder,
        })
    }

    async fn introduce(&self) -> anyhow::Result<()> {
        println!("\nsimulator  {}   a stand-in Tallyfy", self.sim.base_url());
        println!("database   {}   PostgreSQL, started for this", self.database.url());
        println!("balancer   http://{}", self.balancer.address());
        for (_, worker) in &self.workers {
            println!(
                "worker     http://{}   process {}",
                worker.receive_address(),
                worker.id().unwrap_or_default()
            );
        }
        self.list("\n== `runs-worker workers list`: one of them fetches for the organization.")
            .await
    }

    async fn list(&self, title: &str) -> anyhow::Result<()> {
        println!("{title}");
        let (settings, _) = self.workers.first().context("there is a worker")?;
        for line in run(settings, &["workers", "list"]).await?.stdout {
            println!("   {line}");
        }
        Ok(())
    }

    /// Kills the first worker, which has the seat, and starts it again as a service manager would.
    async fn kill_one(&mut self) -> anyhow::Result<()> {
        let (settings, worker) = self.workers.first_mut().context("there is a worker")?;
        let id = worker.id().unwrap_or_default();
        worker.kill().await?;
        println!("   process {id}, which fetches, killed by SIGKILL; the others go on");
        *worker = WorkerProcess::start(settings).await?;
        println!("   process {} is started in its place", worker.id().unwrap_or_default());
        Ok(())
    }

    async fn restart_the_database(&mut self) -> anyhow::Result<()> {
        self.database.stop_at_once()?;
        println!("   the database is stopped at once; each worker takes webhooks into its own log");
        tokio::time::sleep(AWAY).await;
        self.database.start_again()?;
        println!("   the database is there again, {} s later", AWAY.as_secs());
        Ok(())
    }
}

fn settings(sim: &Simulator, database: &PostgresServer, folder: &Path, number: usize) -> WorkerSettings {
    let data = folder.join(format!("worker-{number}"));
    WorkerSettings::new(sim.org(), &sim.token(), SECRET, sim.base_url(), &data)
        .with("RUNS_WORKER__API__REQUESTS_PER_FIVE_SECONDS", "0")
        .with("RUNS_WORKER__API__REQUESTS_PER_MINUTE", "0")
        .with("RUNS_WORKER__API__REQUESTS_PER_HOUR", "0")
        .with("RUNS_WORKER__REFRESH__WINDOW", "100ms")
        .with("RUNS_WORKER__STORE__URL", &database.url())
}
