//! `cargo xtask worker`

use std::time::Duration;

use anyhow::Context;
use clap::Args;
use system_tests::binary;
use tallyfy_sim::{SimConfig, Simulator};
use tokio::process::Command;

const SECRET: &str = "a-secret-for-development-only";
const WORKER: &str = "127.0.0.1:8080";

#[derive(Args)]
pub(crate) struct Worker {
    /// Launch a run, or complete a task, this often; 0 leaves the simulator alone
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    every: u64,
    /// Where the simulator listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4010")]
    sim_listen: std::net::SocketAddr,
}

impl Worker {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        tokio::runtime::Runtime::new()?.block_on(self.serve())
    }

    async fn serve(&self) -> anyhow::Result<()> {
        let webhook_url = format!("http://{WORKER}/webhooks/{SECRET}");
        let sim = Simulator::start(SimConfig {
            listen: self.sim_listen,
            webhook_url: Some(webhook_url.clone()),
            ..SimConfig::default()
        })
        .await?;
        eprintln!("simulator  {}  (GET /_sim lists what it can be told)", sim.base_url());
        eprintln!("webhooks   {webhook_url}");
        eprintln!(
            "data       target/dev-data  (delete it to start afresh: the simulator forgets, the worker does not)"
        );
        let mut worker = Command::new(binary()?)
            .arg("serve")
            .env("TALLYFY_ORG_ID", sim.org())
            .env("TALLYFY_TOKEN", sim.token())
            .env("TALLYFY_WEBHOOK_SECRET", SECRET)
            .env("TALLYFY_BASE_URL", sim.base_url())
            .env("RUNS_WORKER_LISTEN", WORKER)
            .env("RUNS_WORKER_DATA_DIR", crate::root().join("target/dev-data"))
            .spawn()
            .context("start the worker")?;
        let life = tokio::spawn(live(sim.clone(), self.every));
        tokio::select! {
            status = worker.wait() => println!("the worker ended with {}", status?),
            // The terminal has told the worker, too.
            _ = tokio::signal::ctrl_c() => {
                worker.wait().await?;
            }
        }
        life.abort();
        sim.shutdown().await;
        Ok(())
    }
}

/// Makes something happen now and then.
async fn live(sim: Simulator, every: u64) -> anyhow::Result<()> {
    if every == 0 {
        return Ok(());
    }
    let mut interval = tokio::time::interval(Duration::from_secs(every));
    for number in 1.. {
        interval.tick().await;
        let run = sim.launch(&format!("Onboarding {number}"))?;
        loop {
            interval.tick().await;
            if sim.complete_next(&run)?.is_none() {
                break;
            }
        }
    }
    Ok(())
}
