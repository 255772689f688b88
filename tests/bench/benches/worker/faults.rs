//! What goes wrong around it, counted.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use benches::{Limit, Table};
use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use runs_store::sqlite;
use system_tests::{Door, HalfOpen, HonestSender, NeverReading, Told, WorkerProcess, run};
use tallyfy_sim::faults::{Fault, FaultRule, RetryAfter};
use tokio::task::JoinSet;

use crate::latency::Scene;
use crate::place;

const RESTARTS: usize = 100;
const EACH_SECOND: u32 = 500;
const HALF_OPEN: usize = 10_000;
const NEVER_READING: usize = 500;
const HONEST: usize = 3000;
const RUNS: usize = 200;
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn measure(table: &mut Table) -> anyhow::Result<()> {
    restarts(table).await?;
    half_open(table).await?;
    never_reading(table).await?;
    dropped(table).await?;
    too_many_requests(table).await
}

/// A worker behind a socket that outlives it is stopped and started, while somebody sends.
async fn restarts(table: &mut Table) -> anyhow::Result<()> {
    let folder = place::folder()?;
    let data_dir = folder.path().join("data");
    let socket = std::net::TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/webhooks/{}", socket.local_addr()?, crate::rate::SECRET);
    let settings = crate::rate::settings(&data_dir).through(Door::listen_fds(socket));
    let mut worker = WorkerProcess::start(&settings).await?;
    let sender = Arc::new(HonestSender::new(&url, crate::rate::ORG)?);
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let sending = tokio::spawn(async move {
        let mut senders = JoinSet::new();
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / EACH_SECOND);
        let mut number = 0;
        while !*stopped.borrow_and_update() {
            ticks.tick().await;
            let sender = Arc::clone(&sender);
            senders.spawn(async move { sender.send(number, PATIENCE).await.0 });
            number += 1;
        }
        senders.join_all().await
    });
    for _ in 0..RESTARTS {
        tokio::time::sleep(Duration::from_millis(50)).await;
        worker.terminate().await?;
        worker = WorkerProcess::start(&settings).await?;
    }
    stop.send_replace(true);
    let told = sending.await?;
    worker.terminate().await?;
    let acknowledged = told.iter().filter(|told| **told == Told::Answered(202)).count();
    let kept = sqlite::verify(data_dir.join("runs.db"))?.map_or(0, |store| store.notifications);
    let refused = told.len() - acknowledged;
    let lost = acknowledged.saturating_sub(usize::try_from(kept)?);
    table.row(
        "100 restarts at 500/s behind a socket: refused or lost",
        f64::from(u32::try_from(refused + lost)?),
        Limit::AtMost(0.0),
    );
    println!("  {} webhooks, {acknowledged} taken, {kept} kept", told.len());
    Ok(())
}

/// Connections that begin a request and never end it.
async fn half_open(table: &mut Table) -> anyhow::Result<()> {
    let folder = place::folder()?;
    let settings = crate::rate::settings(&folder.path().join("data"));
    let worker = WorkerProcess::start(&settings).await?;
    let url = format!("http://{}/webhooks/{}", worker.receive_address(), crate::rate::SECRET);
    let sender = Arc::new(HonestSender::new(&url, crate::rate::ORG)?);
    let alone = honest(&sender, 0).await?;
    let attackers = HalfOpen::hold(worker.receive_address(), HALF_OPEN).await;
    let beside = honest(&sender, HONEST).await?;
    drop(attackers);
    table.row(
        "p99 beside 10,000 half-open connections, to none",
        place::ratio(beside, alone),
        Limit::AtMost(2.0),
    );
    println!("  p99 {alone:?} alone, {beside:?} beside them");
    Ok(())
}

/// Connections that send a thousand requests each and never read, at the default size and with few places.
async fn never_reading(table: &mut Table) -> anyhow::Result<()> {
    for (places, what) in [
        (None, "slowest of 200 beside 500 who never read, in s"),
        (Some("256"), "the same with 256 places, in s"),
    ] {
        let folder = place::folder()?;
        let mut settings = crate::rate::settings(&folder.path().join("data"));
        if let Some(places) = places {
            settings = settings.with("RUNS_WORKER__RECEIVE__MAX_CONNECTIONS", places);
        }
        let worker = WorkerProcess::start(&settings).await?;
        let url = format!("http://{}/webhooks/{}", worker.receive_address(), crate::rate::SECRET);
        let sender = HonestSender::new(&url, crate::rate::ORG)?;
        let attackers = NeverReading::begin(worker.receive_address(), NEVER_READING);
        let mut slowest = Duration::ZERO;
        for number in 0..200 {
            let (told, took) = sender.send(number, PATIENCE).await;
            anyhow::ensure!(told == Told::Answered(202), "{told:?} after {took:?}");
            slowest = slowest.max(took);
        }
        drop(attackers);
        table.row(what, slowest.as_secs_f64(), Limit::AtMost(1.0));
    }
    Ok(())
}

/// The p99 of webhooks that are sent eight at a time. All of them are taken.
async fn honest(sender: &Arc<HonestSender>, from: usize) -> anyhow::Result<Duration> {
    const AT_A_TIME: usize = 8;
    let mut senders = JoinSet::new();
    for first in 0..AT_A_TIME {
        let sender = Arc::clone(sender);
        senders.spawn(async move {
            let mut times = Vec::new();
            for round in 0..HONEST / AT_A_TIME {
                let (told, took) = sender.send(from + first + round * AT_A_TIME, PATIENCE).await;
                anyhow::ensure!(told == Told::Answered(202), "{told:?} after {took:?}");
                times.push(took);
            }
            Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(sent) = senders.join_next().await {
        times.extend(sent??);
    }
    Ok(place::percentile(times, 99))
}

/// A tenth of the webhooks never come, and one sweep.
async fn dropped(table: &mut Table) -> anyhow::Result<()> {
    let environment = [
        ("RUNS_WORKER__REFRESH__WINDOW", "0s"),
        ("RUNS_WORKER__RECONCILE__SCOPE", "all"),
        ("RUNS_WORKER__RECONCILE__INTERVAL", "24h"),
    ];
    let scene = Scene::set("", &environment).await?;
    let (sim, mut rng) = (&scene.sim, StdRng::seed_from_u64(6));
    let url = format!(
        "http://{}/webhooks/{}",
        scene.worker.receive_address(),
        crate::rate::SECRET
    );
    sim.set_webhook_url(Some(&url))?;
    let mut runs = Vec::new();
    let mut lose = || {
        if rng.random_bool(0.1) {
            sim.faults().once(Fault::WebhookLost);
        }
    };
    for number in 0..RUNS {
        lose();
        let run = sim.launch(&format!("Order {number}"))?;
        for _ in 0..=number % 4 {
            lose();
            sim.complete_next(&run)?;
        }
        runs.push(run);
    }
    sim.settle().await;
    let lost = sim.ledger().len() - sim.ledger().acknowledged().len();
    let exit = run(&scene.settings, &["sync"]).await?;
    anyhow::ensure!(exit.status.success(), "{:?}", exit.stderr);
    let mut wanted = std::collections::BTreeMap::new();
    for run in runs {
        let completed = sim
            .tasks(&run)?
            .iter()
            .filter(|task| task.completed_at.is_some())
            .count();
        wanted.insert(run, completed);
    }
    let converged = |events: &[system_tests::ReceivedEvent]| {
        let has_its_state = |(run, completed): &(&String, &usize)| {
            let last = events.iter().rfind(|event| event.run() == run.as_str());
            let tasks = last.map(|event| &event.json["data"]["run"]["tasks"]);
            let tasks = tasks.and_then(|tasks| tasks["data"].as_array().or_else(|| tasks.as_array()));
            let done = |task: &&serde_json::Value| task["completed_at"].is_string();
            tasks.is_some_and(|tasks| tasks.iter().filter(done).count() == **completed)
        };
        wanted.iter().filter(has_its_state).count()
    };
    // The sweep waits for its fetches; what they lead to is handed out right after.
    let all = scene.worker.wait_for_events(|events| converged(events) == RUNS);
    let _: Result<_, _> = tokio::time::timeout(PATIENCE, all).await;
    let share = converged(&scene.worker.events()) * 100 / RUNS;
    table.row(
        "a tenth of the webhooks dropped, one sweep: converged, %",
        f64::from(u32::try_from(share)?),
        Limit::AtLeast(100.0),
    );
    println!("  {lost} of {} webhooks lost", sim.ledger().len());
    Ok(())
}

/// The API asks for a pause, again and again.
async fn too_many_requests(table: &mut Table) -> anyhow::Result<()> {
    const ASKED: Duration = Duration::from_secs(2);
    // What was on its way already when the answer came.
    const UNDER_WAY: Duration = Duration::from_millis(50);
    let scene = Scene::set("", &[("RUNS_WORKER__REFRESH__WINDOW", "0s")]).await?;
    let runs = (0..60)
        .map(|number| scene.sim.launch(&format!("Order {number}")))
        .collect::<Result<Vec<_>, _>>()?;
    scene.sim.set_rate_limit(NonZeroU32::new(100_000));
    let seconds = RetryAfter::Seconds(u32::try_from(ASKED.as_secs())?);
    let load = scene.load(runs);
    for _ in 0..5 {
        scene
            .sim
            .faults()
            .add(FaultRule::times(1, Fault::TooManyRequests { retry_after: seconds }));
        load.burst(500).await?;
        tokio::time::sleep(ASKED + Duration::from_millis(300)).await;
    }
    let calls = scene.sim.requests().calls();
    let refused: Vec<_> = calls.iter().filter(|call| call.status == Some(429)).collect();
    let too_early = calls.iter().filter(|call| {
        refused.iter().any(|refused| {
            let after = call.at.duration_since(refused.at);
            after > UNDER_WAY.try_into().unwrap_or_default() && after < ASKED.try_into().unwrap_or_default()
        })
    });
    table.row(
        "calls after a 429 and before its Retry-After has passed",
        f64::from(u32::try_from(too_early.count())?),
        Limit::AtMost(0.0),
    );
    println!("  {} calls, {} of them refused", calls.len(), refused.len());
    Ok(())
}
