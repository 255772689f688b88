//! Kill -9 and restart: what was answered with 2xx is in an event afterwards.

use std::path::Path;
use system_tests::{Account, Stage, burst};
use tallyfy_sim::SimConfig;

/// How many webhooks are sent, and how many runs are open at a time.
const WEBHOOKS: usize = 1000;
const RUNS: usize = 50;

#[tokio::test]
async fn every_webhook_that_got_a_2xx_is_in_an_event_after_kill_9_at_any_moment() -> anyhow::Result<()> {
    let sim = SimConfig {
        webhook_concurrency: 32,
        ..SimConfig::default()
    };
    let mut stage = Stage::set(sim, &[("RUNS_WORKER__REFRESH__WINDOW", "50ms")]).await?;
    stage.connect_templates()?;
    let mut account = Account::default();
    let (sim, door) = (stage.sim.clone(), stage.worker.receive_address());
    let burst = tokio::spawn(async move { burst(&sim, door, WEBHOOKS, RUNS).await });

    for acknowledged in [50, 400, 800] {
        stage.sim.ledger().wait_for_acknowledged(acknowledged).await;
        account.add(&stage.kill_and_restart().await?.events());
    }
    burst.await??;
    stage.sim.settle().await;
    let acknowledged = stage.sim.ledger().acknowledged();
    assert!(
        acknowledged.len() >= 500,
        "{} of {} were acknowledged",
        acknowledged.len(),
        stage.sim.ledger().len()
    );

    let before = account;
    let events = stage
        .worker
        .wait_for_events(|events| {
            let mut account = before.clone();
            account.add(events);
            account.missing(&acknowledged).is_empty()
        })
        .await?;
    let mut account = before;
    account.add(&events);
    assert_eq!(account.contradictions(), [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_second_worker_on_the_same_data_is_refused_and_told_who_has_it() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[]).await?;
    let second = stage
        .settings()
        .clone()
        .with("RUNS_WORKER_LISTEN", "127.0.0.1:0")
        .with("RUNS_WORKER_ADMIN_LISTEN", "127.0.0.1:0");
    let Err(refusal) = system_tests::WorkerProcess::start(&second).await else {
        anyhow::bail!("it started");
    };
    let refusal = format!("{refusal:#}");
    let holder = stage.worker.id().map(|id| id.to_string()).unwrap_or_default();
    assert!(
        refusal.contains("is in use by") && refusal.contains(&holder),
        "{refusal}"
    );
    // A rolling update starts the new one first.
    assert!(
        refusal.contains("rolling update") && refusal.contains("One at a time"),
        "{refusal}"
    );
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/moving.md"))?;
    for word in ["## One at a time", "Recreate", "StatefulSet"] {
        assert!(page.contains(word), "{word}");
    }
    Ok(())
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_leaves_the_rest_to_the_next() -> anyhow::Result<()> {
    let mut stage = Stage::set(SimConfig::default(), &[]).await?;
    stage.connect_templates()?;
    // Nothing can be fetched before the stop.
    stage.sim.revoke_tokens();
    let run = stage.sim.launch("Onboarding of Globex")?;
    stage.sim.settle().await;
    assert_eq!(stage.sim.ledger().acknowledged().len(), 1);
    let exit = stage.worker.terminate().await?;
    assert!(exit.status.success(), "{:?}", exit.stderr);
    assert!(exit.events().is_empty());

    stage.sim.replace_token("sim-token");
    stage.worker = system_tests::WorkerProcess::start(stage.settings()).await?;
    let events = stage.worker.wait_for_events(|events| !events.is_empty()).await?;
    assert_eq!(events[0].run(), run);
    Ok(())
}
