//! How soon another worker fetches when one is killed, and whether a budget stays one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use benches::{Limit, Table};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use system_tests::{WorkerProcess, WorkerSettings};
use tokio::task::JoinHandle;

use super::Database;
use crate::api::{self, Server};
use crate::load::Load;
use crate::{place, rate};

/// How many workers are killed, and how often a seat moves under a budget.
const KILLS: usize = 40;
const MOVES: usize = 50;
/// The budget.
const IN_FIVE_SECONDS: usize = 10;
const IN_A_MINUTE: usize = 100;
/// How long a move may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// When which worker asked the API for something.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<(Instant, bool)>>>);

impl Asked {
    fn note(&self, head: &str) {
        let first = head.contains("Bearer one");
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((Instant::now(), first));
    }

    fn all(&self) -> Vec<(Instant, bool)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the first request of a worker after a time.
    async fn by(&self, first: bool, after: Instant) -> anyhow::Result<Instant> {
        loop {
            let asked = self.all();
            let found = asked.iter().find(|(at, of)| *of == first && *at > after);
            if let Some((at, _)) = found {
                return Ok(*at);
            }
            ensure!(after.elapsed() < PATIENCE, "no worker fetches");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// How many requests were made in the fullest time of this length.
    fn most_within(&self, long: Duration) -> usize {
        let asked = self.all();
        let from = |(number, (at, _)): (usize, &(Instant, bool))| {
            asked[number..]
                .iter()
                .take_while(|(later, _)| *later - *at < long)
                .count()
        };
        asked.iter().enumerate().map(from).max().unwrap_or(0)
    }
}

/// Two workers, an API that notes who asks, and somebody who announces changes all the time.
struct Scene {
    settings: [WorkerSettings; 2],
    workers: [Option<WorkerProcess>; 2],
    asked: Asked,
    sending: JoinHandle<()>,
    _api: Server,
}

impl Scene {
    async fn set(database: &Database, schema: &str, environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        let asked = Asked::default();
        let noted = asked.clone();
        let api = Server::start(move |head| {
            noted.note(head);
            api::run(head)
        })
        .await?;
        let settings = ["one", "two"].map(|name| {
            let settings = database.worker(schema, name, &api.url());
            environment
                .iter()
                .fold(settings, |settings, (name, value)| settings.with(name, value))
        });
        let [one, two] = &settings;
        let (one, two) = (WorkerProcess::start(one).await?, WorkerProcess::start(two).await?);
        let settings = {
            let [first, second] = settings;
            [first.at_the_addresses_of(&one), second.at_the_addresses_of(&two)]
        };
        let mut load = rate::load(&one);
        load.doors = [one.receive_address(), two.receive_address()].into();
        Ok(Self {
            settings,
            sending: tokio::spawn(send(load)),
            workers: [Some(one), Some(two)],
            asked,
            _api: api,
        })
    }

    /// Ends the worker that asked last. How long after that the other one asked.
    async fn end_the_one_that_fetches(&mut self, is_killed: bool) -> anyhow::Result<Duration> {
        let last = self.asked.all().last().map(|(_, first)| *first);
        let is_first = last.context("nobody has fetched")?;
        let number = usize::from(!is_first);
        let mut worker = self.workers[number].take().context("the worker that fetches is away")?;
        let began = Instant::now();
        if is_killed {
            worker.kill().await?;
        } else {
            worker.terminate().await?;
        }
        let taken = self.asked.by(!is_first, began).await? - began;
        self.workers[number] = Some(WorkerProcess::start(&self.settings[number]).await?);
        Ok(taken)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.sending.abort();
    }
}

/// Announces something to one of the workers every few milliseconds, if it is there.
async fn send(load: Load) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    for number in 0.. {
        ticks.tick().await;
        let load = load.clone();
        tokio::spawn(async move {
            // One that is killed does not answer.
            let mut connection = load.connect(number).await?;
            load.one(&mut connection).await
        });
    }
}

pub(super) async fn measure(table: &mut Table, database: &Database) -> anyhow::Result<()> {
    let mut scene = Scene::set(database, "killed", &[]).await?;
    let mut random = StdRng::seed_from_u64(1);
    scene
        .asked
        .by(true, Instant::now())
        .await
        .or(scene.asked.by(false, Instant::now()).await)?;
    let mut times = Vec::new();
    for _ in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(random.random_range(500..3000))).await;
        times.push(scene.end_the_one_that_fetches(true).await?);
    }
    let [p50, p99] = [50, 99].map(|percent| place::percentile(times.clone(), percent));
    table.row(
        "seconds from SIGKILL of who fetches to the next fetch, p99",
        p99.as_secs_f64(),
        Limit::AtMost(10.0),
    );
    println!("  of {KILLS} kills, p50 {p50:?}, p99 {p99:?}");
    drop(scene);

    let (in_five_seconds, in_a_minute) = (IN_FIVE_SECONDS.to_string(), IN_A_MINUTE.to_string());
    let budget = [
        ("RUNS_WORKER__API__REQUESTS_PER_FIVE_SECONDS", in_five_seconds.as_str()),
        ("RUNS_WORKER__API__REQUESTS_PER_MINUTE", in_a_minute.as_str()),
        ("RUNS_WORKER__STORE__SEAT_TERM", "2s"),
    ];
    let mut scene = Scene::set(database, "moved", &budget).await?;
    scene
        .asked
        .by(true, Instant::now())
        .await
        .or(scene.asked.by(false, Instant::now()).await)?;
    for number in 0..MOVES {
        tokio::time::sleep(Duration::from_millis(random.random_range(200..2000))).await;
        scene.end_the_one_that_fetches(number % 2 == 0).await?;
    }
    let within = |seconds| scene.asked.most_within(Duration::from_secs(seconds));
    let (five, minute) = (within(5), within(60));
    let above = five.saturating_sub(IN_FIVE_SECONDS) + minute.saturating_sub(IN_A_MINUTE);
    table.row(
        "API calls above the budget during 50 moves of a seat",
        f64::from(u32::try_from(above)?),
        Limit::AtMost(0.0),
    );
    println!("  at most {five} of {IN_FIVE_SECONDS} in five seconds, {minute} of {IN_A_MINUTE} in a minute");
    Ok(())
}
