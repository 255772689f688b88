//! From the webhook to the handler, and what a burst costs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use benches::{Limit, Table};
use system_tests::{WorkerProcess, WorkerSettings};
use tallyfy_sim::{SimConfig, Simulator};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::load::{Connection, Load};
use crate::place;
use crate::rate::SECRET;

const WEBHOOKS: usize = 300;
const BURST: usize = 10_000;
const RUNS: usize = 100;

/// A simulator, a worker that asks it, and a folder for both.
pub(crate) struct Scene {
    pub(crate) sim: Simulator,
    pub(crate) worker: WorkerProcess,
    pub(crate) settings: WorkerSettings,
    pub(crate) folder: TempDir,
}

impl Scene {
    /// Sets it up, with a configuration file.
    pub(crate) async fn set(config: &str, environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        let folder = place::folder()?;
        let sim = Simulator::start(SimConfig::default()).await?;
        let file = folder.path().join("worker.toml");
        std::fs::write(&file, config)?;
        let data_dir = folder.path().join("data");
        let mut settings = WorkerSettings::new(sim.org(), &sim.token(), SECRET, sim.base_url(), &data_dir)
            .with("RUNS_WORKER_CONFIG", &file.display().to_string())
            .with("RUNS_WORKER__API__REQUESTS_PER_FIVE_SECONDS", "0")
            .with("RUNS_WORKER__API__REQUESTS_PER_MINUTE", "0")
            .with("RUNS_WORKER__API__REQUESTS_PER_HOUR", "0")
            .with("RUNS_WORKER__RECONCILE__SCOPE", "off")
            .with("RUNS_WORKER__LOG__FILTER", "error,runs_worker::start=info");
        for (name, value) in environment {
            settings = settings.with(name, value);
        }
        let worker = WorkerProcess::start(&settings).await?;
        let settings = settings.at_the_addresses_of(&worker);
        Ok(Self {
            sim,
            worker,
            settings,
            folder,
        })
    }

    pub(crate) fn load(&self, runs: Vec<String>) -> Load {
        Load {
            doors: [self.worker.receive_address()].into(),
            org: self.sim.org().to_owned(),
            secret: SECRET,
            runs: runs.into(),
            next: Arc::default(),
        }
    }
}

pub(crate) async fn measure(table: &mut Table) -> anyhow::Result<()> {
    through(table).await?;
    burst(table).await
}

/// One webhook at a time, until the handler is called.
async fn through(table: &mut Table) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let config = format!("[[handlers]]\nname = \"measured\"\ntype = \"http\"\nurl = \"{url}\"\n");
    let scene = Scene::set(&config, &[("RUNS_WORKER__REFRESH__WINDOW", "0s")]).await?;
    let (called, mut calls) = mpsc::unbounded_channel();
    let handler = tokio::spawn(handle(listener, called));
    let run = scene.sim.launch("Measured")?;
    let load = scene.load(vec![run.clone()]);

    let mut api = Connection::to(scene.sim.address()).await?;
    let request = format!(
        "GET /organizations/{}/runs/{run}?with=checklist,tasks,tags,form_fields&form_fields_values=true HTTP/1.1\r\n\
         host: sim\r\nauthorization: Bearer {}\r\nx-tallyfy-client: bench\r\naccept: application/json\r\n\r\n",
        scene.sim.org(),
        scene.sim.token()
    );
    let path = scene.sim.api_url();
    let prefix = path
        .split_once("://")
        .and_then(|(_, rest)| rest.find('/').map(|at| rest[at..].trim_end_matches('/').to_owned()))
        .unwrap_or_default();
    let request = request.replace("GET /", &format!("GET {prefix}/"));

    let mut connection = load.connect(0).await?;
    let (mut through, mut round_trips) = (Vec::new(), Vec::new());
    for number in 0..WEBHOOKS {
        scene
            .sim
            .change(|world| world.rename(&run, &format!("Measured {number}")))?;
        let began = Instant::now();
        let status = api.ask(request.as_bytes()).await?;
        round_trips.push(began.elapsed());
        anyhow::ensure!(
            status == *b"200",
            "the simulator answers with {}",
            String::from_utf8_lossy(&status)
        );
        let began = Instant::now();
        load.one(&mut connection).await?;
        let at: Instant = tokio::time::timeout(Duration::from_secs(20), calls.recv())
            .await
            .context("the handler is not called")?
            .context("the handler has ended")?;
        through.push(at.duration_since(began));
        // What is left to do for this one is done before the next.
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    handler.abort();
    let (through, round_trip) = (place::middle(through), place::middle(round_trips));
    let fsync = place::fsync(scene.folder.path())?;
    table.row(
        "webhook to handler, p50, to 5 round trips and 2 fsyncs",
        place::ratio(through, round_trip * 5 + fsync * 2),
        Limit::AtMost(0.6),
    );
    println!("  webhook to handler {through:?}; round trip to the simulator {round_trip:?}, fsync {fsync:?}");
    Ok(())
}

/// Notes when it is called, and takes everything.
async fn handle(listener: TcpListener, called: mpsc::UnboundedSender<Instant>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(take(stream, called.clone()));
    }
}

async fn take(mut stream: TcpStream, called: mpsc::UnboundedSender<Instant>) {
    let mut request = Vec::new();
    loop {
        match stream.read_buf(&mut request).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if crate::load::whole(&request).is_some_and(|whole| request.len() >= whole) {
            // Whoever counts may have enough.
            let _: Result<(), _> = called.send(Instant::now());
            request.clear();
            let answer = b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n";
            if stream.write_all(answer).await.is_err() {
                return;
            }
        }
    }
}

/// Many webhooks of a few runs, all at once.
async fn burst(table: &mut Table) -> anyhow::Result<()> {
    let scene = Scene::set("", &[]).await?;
    let runs = (0..RUNS)
        .map(|number| scene.sim.launch(&format!("Burst {number}")))
        .collect::<Result<Vec<_>, _>>()?;
    let before = scene.sim.requests().total();
    let began = Instant::now();
    scene.load(runs).burst(BURST).await?;
    let lasted = began.elapsed();
    let told = |events: &[system_tests::ReceivedEvent]| {
        let notifications = events.iter().map(|event| event.notifications().len()).sum::<usize>();
        notifications >= BURST
    };
    scene.worker.wait_for_events(told).await?;
    let calls = scene.sim.requests().total() - before;
    // The default window is a second.
    let windows = lasted.as_secs();
    let most = 200 + windows * RUNS as u64;
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    table.row(
        "API calls for 10,000 webhooks of 100 runs, to what is allowed",
        calls as f64 / most as f64,
        Limit::AtMost(1.0),
    );
    println!("  {calls} calls; the burst took {lasted:?}, so that {most} are allowed");
    Ok(())
}
