//! Thousands of connections that begin a request and never end it, and honest senders among them.
//!
//! `HALF_OPEN=10000 cargo nextest run -p system-tests --test half_open --no-capture` prints the figure.

use std::sync::Arc;
use std::time::Duration;

use system_tests::{HalfOpen, HonestSender, Stage, Told};
use tallyfy_sim::SimConfig;
use tokio::task::JoinSet;

/// How many webhooks are sent for each figure, and how many at a time.
const WEBHOOKS: usize = 2000;
const AT_A_TIME: usize = 8;
/// Whoever waits longer than this is starved.
const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn honest_senders_are_answered_while_thousands_of_connections_are_half_open() -> anyhow::Result<()> {
    let half_open = std::env::var("HALF_OPEN")
        .ok()
        .and_then(|number| number.parse().ok())
        .unwrap_or(600);
    // Fewer places than attackers, whatever their number.
    let places = (half_open / 3).to_string();
    let mut environment = vec![
        ("RUNS_WORKER__API__REQUESTS_PER_MINUTE", "1"),
        ("RUNS_WORKER__LOG__FILTER", "warn,runs_worker::start=info"),
    ];
    if std::env::var_os("DEFAULT_PLACES").is_none() {
        environment.push(("RUNS_WORKER__RECEIVE__MAX_CONNECTIONS", &places));
    }
    let stage = Stage::set(SimConfig::default(), &environment).await?;
    let sender = Arc::new(HonestSender::new(&stage.webhook_url(), stage.sim.org())?);

    let before = p99(&sender, 0).await?;
    let attackers = HalfOpen::hold(stage.worker.receive_address(), half_open).await;
    let during = p99(&sender, WEBHOOKS).await?;
    report(half_open, before, during, attackers.opened());
    Ok(())
}

/// Sends webhooks and gives the time within which 99 of 100 were answered. All of them must be.
async fn p99(sender: &Arc<HonestSender>, from: usize) -> anyhow::Result<Duration> {
    let mut senders = JoinSet::new();
    for first in 0..AT_A_TIME {
        let sender = Arc::clone(sender);
        senders.spawn(async move {
            let mut took = Vec::new();
            for round in 0..WEBHOOKS / AT_A_TIME {
                let (told, time) = sender.send(from + first + round * AT_A_TIME, PATIENCE).await;
                anyhow::ensure!(told == Told::Answered(202), "{told:?} after {time:?}");
                took.push(time);
            }
            Ok(took)
        });
    }
    let mut took = Vec::new();
    while let Some(times) = senders.join_next().await {
        took.extend(times??);
    }
    took.sort_unstable();
    Ok(took[took.len() * 99 / 100])
}

#[expect(clippy::print_stderr, reason = "a figure for whoever asks for it")]
fn report(half_open: usize, before: Duration, during: Duration, opened: usize) {
    let ratio = during.as_secs_f64() / before.as_secs_f64();
    eprintln!(
        "p99 of honest senders: {before:?} alone, {during:?} beside {half_open} half-open connections \
         ({opened} were opened): {ratio:.2} times"
    );
}
