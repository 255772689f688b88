//! The request budget, and a pause that the API asked for, outlive the process.

use std::time::{Duration, Instant};

use system_tests::{Stage, WorkerProcess, WorkerSettings, words};
use tallyfy_sim::SimConfig;
use tallyfy_sim::faults::{Fault, FaultRule, RetryAfter};

const SECRET: &str = "3b1f0c8e5a7d49629f8e7a6b5c4d3e2f";
const WEBHOOKS_ONLY: (&str, &str) = ("RUNS_WORKER__RECONCILE__SCOPE", "off");

#[tokio::test]
async fn twelve_restarts_within_a_minute_make_no_more_requests_than_one_life() -> anyhow::Result<()> {
    let environment = [WEBHOOKS_ONLY, ("RUNS_WORKER__API__REQUESTS_PER_MINUTE", "60")];
    let mut stage = Stage::set(SimConfig::default(), &environment).await?;
    stage.connect_templates()?;
    let began = Instant::now();
    for number in 0..60 {
        stage.sim.launch(&format!("Run {number}"))?;
    }
    stage.sim.settle().await;
    for _ in 0..12 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        stage.kill_and_restart().await?;
    }
    stage.sim.requests().wait_until_idle().await;
    // A fifth at once, the rest as time passes, and what was sent in the last moment of each life.
    let most = 12 + began.elapsed().as_secs() + 12;
    let calls = stage.sim.requests().total();
    assert!(calls <= most, "{calls} calls in {:?}", began.elapsed());
    Ok(())
}

/// The vendor allows about twelve within five seconds, whatever a minute allows.
#[tokio::test]
async fn by_default_a_burst_is_spread_over_the_vendors_shortest_window() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let sim = tallyfy_sim::Simulator::start(SimConfig::default()).await?;
    let settings = WorkerSettings::new(sim.org(), &sim.token(), SECRET, sim.base_url(), folder.path());
    let settings = settings.with(WEBHOOKS_ONLY.0, WEBHOOKS_ONLY.1);
    let worker = WorkerProcess::start(&settings).await?;
    sim.set_webhook_url(Some(&format!("http://{}/webhooks/{SECRET}", worker.receive_address())))?;
    let began = Instant::now();
    for number in 0..30 {
        sim.launch(&format!("Run {number}"))?;
    }
    sim.requests().wait_for_total(12).await;
    let (calls, took) = (sim.requests().total(), began.elapsed());
    let most = 10 + 2 * (took.as_secs() + 1);
    assert!(calls <= most, "{calls} calls in {took:?}");
    // Neither more at once than the window has, nor as slowly as the hour would have it.
    sim.requests().wait_for_total(16).await;
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_pause_of_an_hour_is_kept_over_a_restart() -> anyhow::Result<()> {
    let mut stage = Stage::set(SimConfig::default(), &[WEBHOOKS_ONLY]).await?;
    stage.connect_templates()?;
    let retry_after = RetryAfter::Seconds(3600);
    stage
        .sim
        .faults()
        .add(FaultRule::once(Fault::TooManyRequests { retry_after }));
    stage.sim.launch("Paused")?;
    stage.worker.wait_for_log(|line| line.contains("rate limited")).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    stage.kill_and_restart().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(stage.sim.requests().total(), 1);
    let ready = stage.get("/health/ready").await?;
    assert!(ready.contains("the API asked for a pause"), "{ready}");
    let metrics = stage.get("/metrics").await?;
    for metric in ["runs_worker_api_pause_seconds", "runs_worker_oldest_due_seconds"] {
        let value = metrics.lines().find(|line| line.starts_with(metric));
        assert!(value.is_some_and(|line| !line.ends_with(" 0")), "{value:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_run_that_alone_is_answered_with_401_stops_only_itself() -> anyhow::Result<()> {
    let environment = [
        WEBHOOKS_ONLY,
        ("RUNS_WORKER__API__TOKEN_RETRY", "200ms"),
        ("RUNS_WORKER__REFRESH__WINDOW", "0s"),
    ];
    let stage = Stage::set(SimConfig::default(), &environment).await?;
    let refused = stage.sim.launch("Refused")?;
    let rule = FaultRule::always(Fault::Unauthorized).on_run(&refused);
    let rule = stage.sim.faults().add(rule);
    stage
        .tell(&format!(
            r#"{{"event":"process.updated","process":{{"id":"{refused}"}}}}"#
        ))
        .await?;
    rule.wait_for_hits(1).await;
    stage.connect_templates()?;
    for number in 0..5 {
        let other = stage.sim.launch(&format!("Run {number}"))?;
        stage
            .worker
            .wait_for_events(|events| words(events, &other).first() == Some(&"seen"))
            .await?;
    }
    let ready = stage.get("/health/ready").await?;
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    Ok(())
}
