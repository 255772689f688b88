//! `cargo xtask demo`: the whole product at work, for a person to see.

mod report;
mod several;

use std::num::NonZeroUsize;

use anyhow::{Context, bail};
use clap::Args;
use system_tests::{Account, ReceivedEvent, Stage, burst};
use tallyfy_sim::faults::{Fault, FaultRule};
use tallyfy_sim::{SimConfig, Simulator};

use report::Report;

/// How many webhooks the burst has, over how many runs at a time.
const BURST: usize = 300;
const BURST_RUNS: usize = 20;
/// After how many acknowledged webhooks of the burst the worker is killed.
const KILL_AFTER: usize = 120;

#[derive(Args)]
pub(crate) struct Demo {
    /// Leave everything running at the end, to try things by hand
    #[arg(long)]
    keep: bool,
    /// So many workers on one PostgreSQL database, which is started for this
    #[arg(long, value_name = "N", conflicts_with = "keep")]
    workers: Option<NonZeroUsize>,
}

impl Demo {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        println!("building the worker …");
        system_tests::binary()?;
        let runtime = tokio::runtime::Runtime::new()?;
        match self.workers {
            None => runtime.block_on(self.show()),
            Some(workers) => runtime.block_on(several::show(workers.get())),
        }
    }

    async fn show(&self) -> anyhow::Result<()> {
        let sim = SimConfig {
            webhook_concurrency: 16,
            ..SimConfig::default()
        };
        let mut stage = Stage::set(sim, &[("RUNS_WORKER__REFRESH__WINDOW", "100ms")]).await?;
        let mut report = Report::default();
        println!("\nsimulator  {}   a stand-in Tallyfy", stage.sim.base_url());
        println!(
            "worker     http://{}   process {}",
            stage.worker.receive_address(),
            stage.worker.id().unwrap_or_default()
        );
        println!("data       {}   SQLite, on disk", stage.folder().join("data").display());

        println!("\n== Three runs are launched, some of their tasks completed. Tallyfy says so by webhook.");
        stage.connect_templates()?;
        launch_and_complete(&stage, &mut report).await?;

        println!("\n== The same through the webhook of a whole organization, whose events may name only a task.");
        stage.sim.set_webhook_url(None)?;
        let watcher = stage.connect_organization()?;
        let run = stage.sim.launch("Offboarding of Initech")?;
        stage.sim.complete_next(&run)?;
        report.settle(&stage).await?;

        println!("\n== A webhook comes twice. Both are taken, and nobody is told twice.");
        stage
            .sim
            .change(|world| world.remove_watcher(stage.sim.org(), watcher))?;
        stage.connect_templates()?;
        stage.sim.faults().add(FaultRule::once(Fault::WebhookDuplicated));
        stage.sim.launch("Audit of Hooli")?;
        report.settle(&stage).await?;

        let account = burst_and_kill(&mut stage).await?;
        conclude(&stage.sim, &account)?;
        if self.keep {
            keep(&stage).await?;
        }
        stage.worker.terminate().await?;
        stage.sim.shutdown().await;
        Ok(())
    }
}

/// Launches runs, completes some of their tasks, and shows each step when its event has come.
async fn launch_and_complete(stage: &Stage, report: &mut Report) -> anyhow::Result<()> {
    for (name, tasks) in [
        ("Onboarding of Globex", 0),
        ("Onboarding of Umbrella", 1),
        ("Onboarding of Wayne", 3),
    ] {
        let run = stage.sim.launch(name)?;
        report.settle(stage).await?;
        for _ in 0..tasks {
            stage.sim.complete_next(&run)?;
            report.settle(stage).await?;
        }
    }
    Ok(())
}

/// Sends many webhooks, kills the worker while they come, starts it again, and waits for what was acknowledged.
async fn burst_and_kill(stage: &mut Stage) -> anyhow::Result<Account> {
    println!("\n== A burst of {BURST} webhooks. In its middle the worker is killed with SIGKILL, and started again.");
    let (sim, door) = (stage.sim.clone(), stage.worker.receive_address());
    let burst = tokio::spawn(async move { burst(&sim, door, BURST, BURST_RUNS).await });
    let acknowledged_before = stage.sim.ledger().acknowledged().len();
    stage
        .sim
        .ledger()
        .wait_for_acknowledged(acknowledged_before + KILL_AFTER)
        .await;
    let id = stage.worker.id().unwrap_or_default();
    let first = stage.kill_and_restart().await?;
    println!(
        "   process {id} killed by SIGKILL; process {} goes on",
        stage.worker.id().unwrap_or_default()
    );
    tokio::time::timeout(std::time::Duration::from_secs(30), burst)
        .await
        .context("the burst does not end")???;
    stage.sim.settle().await;

    let mut account = Account::default();
    account.add(&first.events());
    println!("   {} events before the kill", first.events().len());
    let acknowledged = stage.sim.ledger().acknowledged();
    let complete = |events: &[ReceivedEvent]| {
        let mut account = account.clone();
        account.add(events);
        account.missing(&acknowledged).is_empty()
    };
    // Not an error yet: what is missing is said at the end.
    let events = stage
        .worker
        .wait_for_events(complete)
        .await
        .unwrap_or_else(|_| stage.worker.events());
    println!("   {} events after it", events.len());
    account.add(&events);
    Ok(account)
}

fn conclude(sim: &Simulator, account: &Account) -> anyhow::Result<()> {
    let ledger = sim.ledger();
    let acknowledged = ledger.acknowledged();
    let missing = account.missing(&acknowledged);
    let contradictions = account.contradictions();
    println!("\n== The account");
    println!("   webhooks sent                    {:>6}", ledger.len());
    println!("   answered with 2xx                {:>6}", acknowledged.len());
    println!(
        "   not answered: a worker was down  {:>6}",
        ledger.len() - acknowledged.len()
    );
    println!("   API calls                        {:>6}", sim.requests().total());
    println!(
        "   events                           {:>6}   ({} of them again after the kill)",
        account.distinct_events(),
        account.events() - account.distinct_events()
    );
    println!("   answered, but in no event        {:>6}", missing.len());
    println!("   out of order, or with another id {:>6}", contradictions.len());
    for missing in &missing {
        println!("   MISSING: {missing:?}");
    }
    for contradiction in &contradictions {
        println!("   WRONG: {contradiction}");
    }
    if !missing.is_empty() || !contradictions.is_empty() {
        bail!("promises were broken");
    }
    println!("\nNothing that was answered is missing.");
    Ok(())
}

async fn keep(stage: &Stage) -> anyhow::Result<()> {
    let (sim, worker) = (&stage.sim, &stage.worker);
    println!("\nEverything goes on until Ctrl-C. Try:");
    println!(
        "  curl -i {} -H 'X-Tallyfy-orgID: {}' -d '{{\"event\":\"task.completed\",\"task\":{{\"id\":\"t1\"}}}}'",
        stage.webhook_url(),
        sim.org()
    );
    println!("  cargo xtask send --kind process {}", stage.webhook_url());
    println!("  curl -s http://{}/health/ready", worker.admin_address());
    println!("  curl -s http://{}/metrics", worker.admin_address());
    println!("  curl -s {}/_sim", sim.base_url());
    let mut shown = worker.events().len();
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            events = worker.wait_for_events(|events| events.len() > shown) => {
                if let Ok(events) = events {
                    for event in events.iter().skip(shown) {
                        report::print_event(event);
                    }
                    shown = events.len();
                }
            }
        }
    }
}
