//! Whole events, from the webhook to a handler that is called over HTTP.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use benches::{Limit, Table};
use system_tests::{WorkerProcess, WorkerSettings};

use super::Database;
use super::rate::middle;
use crate::api::{self, Server};
use crate::load::Load;
use crate::rate::{ORG, SECRET};

/// How many webhooks at a time, each of another run.
const EVENTS: usize = 5000;
/// How many times.
const TURNS: usize = 3;
/// How long a transaction is held open.
const HELD_OPEN: Duration = Duration::from_secs(600);
/// Nothing takes longer than this.
const MOST: Duration = Duration::from_secs(300);

/// Whoever counts events.
struct Sink {
    server: Server,
    came: Arc<AtomicUsize>,
}

impl Sink {
    async fn open() -> anyhow::Result<Self> {
        let came = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&came);
        let server = Server::start(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            String::new()
        });
        Ok(Self {
            server: server.await?,
            came,
        })
    }

    /// A configuration that sends events here.
    fn handler(&self, file: &Path) -> anyhow::Result<String> {
        let url = self.server.url();
        std::fs::write(
            file,
            format!("[[handlers]]\nname = \"sink\"\ntype = \"http\"\nurl = \"{url}/\"\n"),
        )?;
        Ok(file.display().to_string())
    }

    /// How many events come for each second of a burst of webhooks.
    async fn each_second(&self, load: &Load) -> anyhow::Result<f64> {
        let (began, before) = (Instant::now(), self.came.load(Ordering::Relaxed));
        let events = load.burst(EVENTS).await?;
        while self.came.load(Ordering::Relaxed) < before + events {
            let came = self.came.load(Ordering::Relaxed) - before;
            ensure!(began.elapsed() < MOST, "{came} of {events} events came");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(f64::from(u32::try_from(events)?) / began.elapsed().as_secs_f64())
    }
}

fn load(worker: &WorkerProcess) -> Load {
    Load {
        doors: [worker.receive_address()].into(),
        org: ORG.to_owned(),
        secret: SECRET,
        // More than a burst has, so that each webhook of one is of another run.
        runs: (0..2 * EVENTS).map(|number| format!("run{number}")).collect(),
        next: Arc::default(),
    }
}

pub(super) async fn measure(table: &mut Table, database: &Database) -> anyhow::Result<()> {
    let api = Server::start(api::run).await?;
    let (of_file, of_database) = (Sink::open().await?, Sink::open().await?);
    let folder = database.folder();
    let data = folder.join("file");
    let beside = super::on(WorkerSettings::new(ORG, "file", SECRET, &api.url(), &data))
        .with("RUNS_WORKER_CONFIG", &of_file.handler(&folder.join("file.toml"))?);
    let settings = database.worker("events", "one", &api.url()).with(
        "RUNS_WORKER_CONFIG",
        &of_database.handler(&folder.join("database.toml"))?,
    );
    let in_file = WorkerProcess::start(&beside).await?;
    let worker = WorkerProcess::start(&settings).await?;
    let (to_file, to_database) = (load(&in_file), load(&worker));
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        let file = of_file.each_second(&to_file).await?;
        let rate = of_database.each_second(&to_database).await?;
        // The first turn warms both up.
        if turn > 0 {
            ratios.push(rate / file);
            rates.push(rate);
            println!("  {file:.0} events a second with a file, {rate:.0} with the database");
        }
    }
    table.row(
        "events per second from webhook to handler, to a file on disk",
        middle(ratios),
        Limit::AtLeast(0.4),
    );
    drop(in_file);

    let before = middle(rates);
    let (client, connection) = tokio_postgres::connect(&database.server.url(), tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    client
        .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")
        .await?;
    let began = Instant::now();
    let mut last = Vec::new();
    while began.elapsed() < HELD_OPEN {
        last.push(of_database.each_second(&to_database).await?);
    }
    let after = middle(last.split_off(last.len().saturating_sub(TURNS)));
    table.row(
        "the same after ten minutes of a transaction held open, to before",
        after / before,
        Limit::AtLeast(0.7),
    );
    println!("  {before:.0} events a second before, {after:.0} after");
    client.batch_execute("COMMIT").await?;
    Ok(())
}
