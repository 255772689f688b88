//! One round, from an empty folder to the verdict.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use tallyfy_sim::clock::ManualClock;
use tallyfy_sim::quirks::QuirkMode;
use tallyfy_sim::{SimConfig, Simulator};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::handlers::Receivers;
use crate::history::{Arrival, History};
use crate::judge::{Promise, Violation, judge};
use crate::life::{Death, Process, waiting};
use crate::oracle::Oracle;
use crate::plan::{Life, Plan};

pub(crate) const SECRET: &str = "3b1f0c8e5a7d49629f8e7a6b5c4d3e2f";

/// Everything settles within this time once the faults have stopped.
const LIVENESS: Duration = Duration::from_secs(60);

/// How many webhooks may be on their way before the oracle waits.
const MOST_PENDING: usize = 40;

/// What came of a round.
#[derive(Debug, Default)]
pub struct Report {
    /// What a person calls it.
    pub name: String,
    /// How often the worker was killed, at points or by SIGKILL.
    pub kills: usize,
    /// How often the database server was stopped at once and started again.
    pub restarts: usize,
    /// Whether it died at the point that was named.
    pub has_crashed: bool,
    /// Webhooks sent.
    pub sent: usize,
    /// Webhooks answered with 2xx.
    pub acknowledged: usize,
    /// Different events, for each handler.
    pub events: usize,
    /// Events that came again.
    pub duplicates: usize,
    /// What was acknowledged and lost.
    pub lost: usize,
    /// Events that came out of order.
    pub out_of_order: usize,
    /// Events whose ids changed.
    pub ids_changed: usize,
    /// Calls to the API that were too many.
    pub above_budget: u64,
    /// What is wrong.
    pub wrong: Vec<String>,
    /// Where to look, if something is.
    pub folder: Option<PathBuf>,
}

struct Stage {
    plan: Plan,
    folder: PathBuf,
    sim: Simulator,
    receivers: Receivers,
    door: SocketAddr,
    admin: SocketAddr,
    environment: BTreeMap<String, String>,
}

/// Plays a round.
///
/// # Errors
/// If something else than the worker fails.
pub async fn play(plan: &Plan) -> anyhow::Result<Report> {
    let folder = crate::binary::folder()?.join(format!("{}-{}", std::process::id(), plan.name));
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let clock = ManualClock::at("2026-01-05T09:00:00Z".parse()?);
    let stage = Stage::set(plan, &clock, folder.clone()).await?;
    let oracle = Oracle::new(&stage.sim, &clock, plan);
    let mut report = Report {
        name: plan.name.clone(),
        ..Report::default()
    };
    let history = stage.play(oracle, &mut report).await?;
    stage.sim.shutdown().await;
    report.judge(&history);
    report.keep(folder, &format!("{plan:#?}\n{history:#?}"))?;
    Ok(report)
}

impl Report {
    /// Adds what the judge says.
    pub(crate) fn judge(&mut self, history: &History) {
        let verdict = judge(history);
        let wrong: Vec<&Violation> = verdict.contradictions.iter().chain(&verdict.owed).collect();
        let breaks = |promise: Promise| wrong.iter().filter(|it| it.promise() == promise).count();
        self.lost = breaks(Promise::Conservation);
        self.out_of_order = breaks(Promise::Order);
        self.ids_changed = breaks(Promise::Identity);
        self.wrong.extend(wrong.iter().map(ToString::to_string));
        self.sent = history.announcements.len();
        self.acknowledged = history.announcements.iter().filter(|sent| sent.is_acknowledged).count();
        (self.events, self.duplicates) = (verdict.events, verdict.duplicates);
    }

    /// Removes the folder of a round, unless something was wrong: then the story goes there.
    pub(crate) fn keep(&mut self, folder: PathBuf, story: &str) -> anyhow::Result<()> {
        if self.wrong.is_empty() {
            return std::fs::remove_dir_all(&folder).context("remove the folder of the round");
        }
        std::fs::write(folder.join("wrong.txt"), self.wrong.join("\n"))?;
        std::fs::write(folder.join("history.txt"), story)?;
        self.folder = Some(folder);
        Ok(())
    }
}

impl Stage {
    async fn set(plan: &Plan, clock: &ManualClock, folder: PathBuf) -> anyhow::Result<Self> {
        let host = own_host();
        let addresses = free_addresses(host, 2)?;
        let (door, admin) = (addresses[0], addresses[1]);
        let url = format!("http://{door}/webhooks/{SECRET}");
        let sim = simulator(plan, clock, url).await?;
        let receivers = Receivers::start(plan.seed).await?;
        let place = Place {
            config: folder.join("worker.toml"),
            data: folder.join("data"),
            journal: Some(folder.join("journal.jsonl")),
            door,
            admin,
        };
        let environment = environment(plan, &place, &sim, receivers.address)?;
        Ok(Self {
            plan: plan.clone(),
            folder,
            sim,
            receivers,
            door,
            admin,
            environment,
        })
    }

    async fn play(&self, oracle: Oracle, report: &mut Report) -> anyhow::Result<History> {
        let (alive, is_alive) = watch::channel(false);
        let (stop, is_stopped) = watch::channel(false);
        let driver = tokio::spawn(drive(oracle, self.sim.clone(), is_alive, is_stopped));
        for life in &self.plan.lives {
            self.live(life, &alive, report).await?;
            sleep(life.gap).await;
        }
        stop.send_replace(true);
        let mut oracle = driver.await?;
        oracle.calm();
        self.receivers.calm();
        let mut environment = self.environment.clone();
        if let Some(defect) = self.plan.sabotage {
            environment.insert("TORTURE_SABOTAGE".to_owned(), defect.to_owned());
        }
        let mut worker = Process::start(&environment, &self.log())?;
        self.sim.settle().await;
        let deadline = Instant::now() + LIVENESS;
        while waiting(self.admin).await != Some(0.0) {
            if worker.has_ended() {
                // Its port may have been taken for an instant by a connection of somebody else.
                worker = Process::start(&environment, &self.log())?;
            }
            if Instant::now() > deadline {
                let left = waiting(self.admin).await;
                report
                    .wrong
                    .push(format!("liveness: after {LIVENESS:?} there waits {left:?}"));
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
        if worker.terminate().await? != (Death::Ended { success: true }) {
            report
                .wrong
                .push("the worker did not end well when it was asked to".to_owned());
        }
        report.wrong.extend(unsound(&self.folder.join("data/runs.db")));
        let mut arrivals = self.receivers.arrivals();
        arrivals.insert("journal".to_owned(), read_journal(&self.journal())?);
        Ok(History {
            runs: oracle.issued(),
            announcements: oracle.announcements(),
            arrivals,
            without_sweeps: !self.plan.sweeps,
        })
    }

    async fn live(&self, life: &Life, alive: &watch::Sender<bool>, report: &mut Report) -> anyhow::Result<()> {
        let mut environment = self.environment.clone();
        hold(&self.plan, &mut environment);
        let mut set = |name: &str, value: String| drop(environment.insert(name.to_owned(), value));
        if let Some((point, occurrence)) = &life.crash {
            set("TORTURE_CRASH_AT", format!("{point}:{occurrence}"));
        }
        if let Some(defect) = self.plan.sabotage {
            set("TORTURE_SABOTAGE", defect.to_owned());
        }
        let shim = life.io.as_ref().zip(crate::binary::shim());
        if let Some((fault, shim)) = shim {
            set("LD_PRELOAD", shim.display().to_string());
            set("IO_FAULT_FOLDER", self.folder.display().to_string());
            set("IO_FAULT_CALL", fault.call.to_owned());
            set("IO_FAULT_AT", fault.at.to_string());
            set("IO_FAULT_TIMES", fault.times.to_string());
            set("IO_FAULT_ERRNO", fault.error.to_owned());
            set(
                "IO_FAULT_REPORT",
                self.folder.join("io-fault-struck").display().to_string(),
            );
        }
        let worker = Process::start(&environment, &self.log())?;
        match worker.live(life, self.door, alive).await? {
            Death::Killed => report.kills += 1,
            Death::Crashed if life.crash.is_some() => {
                report.kills += 1;
                report.has_crashed = true;
            }
            Death::Crashed => report.wrong.push("the worker aborted".to_owned()),
            // It may refuse to go on with a disk that fails, or its port may be taken for an instant.
            Death::Ended { .. } => {}
            Death::Stuck => report
                .wrong
                .push("the worker did not end when it was asked to".to_owned()),
        }
        // What it has sent is taken before the next one sends.
        sleep(Duration::from_millis(20)).await;
        Ok(())
    }

    fn log(&self) -> PathBuf {
        self.folder.join("worker.log")
    }

    fn journal(&self) -> PathBuf {
        self.folder.join("journal.jsonl")
    }
}

/// Lets threads of a worker stand still, if the plan says so.
pub(crate) fn hold(plan: &Plan, environment: &mut BTreeMap<String, String>) {
    let Some(hold) = &plan.hold else { return };
    let mut set = |name: &str, value: String| drop(environment.insert(name.to_owned(), value));
    set("TORTURE_HOLD_AT", format!("{}:{}", hold.point, hold.each));
    set("TORTURE_HOLD_MILLIS", hold.length.as_millis().to_string());
    // The others go on: with as few threads as this machine has processors, all might stand still.
    set("TOKIO_WORKER_THREADS", "8".to_owned());
}

/// Lets the oracle work while somebody listens, and now and then while nobody does.
pub(crate) async fn drive(
    mut oracle: Oracle,
    sim: Simulator,
    mut is_alive: watch::Receiver<bool>,
    mut is_stopped: watch::Receiver<bool>,
) -> Oracle {
    while !*is_stopped.borrow_and_update() {
        let alive = is_alive.wait_for(|alive| *alive);
        if timeout(Duration::from_millis(150), alive).await.is_ok() {
            while sim.ledger().pending() > MOST_PENDING && *is_alive.borrow() {
                sleep(Duration::from_millis(2)).await;
            }
        }
        oracle.step();
        sleep(oracle.pause()).await;
    }
    oracle
}

/// What does not hold in the store that all these lives have left.
fn unsound(file: &Path) -> Vec<String> {
    match runs_store::sqlite::verify(file) {
        Ok(Some(verification)) => {
            let findings = verification.findings.into_iter();
            findings.map(|finding| format!("store: {finding}")).collect()
        }
        Ok(None) => vec!["store: the worker left none".to_owned()],
        Err(error) => vec![format!("store: it cannot be verified: {error}")],
    }
}

fn read_journal(path: &Path) -> anyhow::Result<Vec<Arrival>> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).context("read the journal"),
    };
    let lines = bytes.split(|byte| *byte == b'\n');
    Ok(lines
        .filter_map(|line| Arrival::read(Bytes::copy_from_slice(line), true))
        .collect())
}

/// The simulator of a round, which sends its webhooks there.
pub(crate) async fn simulator(plan: &Plan, clock: &ManualClock, url: String) -> anyhow::Result<Simulator> {
    Simulator::start(SimConfig {
        seed: plan.seed,
        clock: Arc::new(clock.clone()),
        webhook_url: Some(url.clone()),
        watcher_url: Some(url),
        webhook_timeout: Duration::from_secs(5),
        quirks: if plan.has_quirks {
            QuirkMode::Fixed(tallyfy_sim::quirks::Quirks {
                extra_fields: true,
                pretty: true,
                ..Default::default()
            })
        } else {
            QuirkMode::default()
        },
        ..SimConfig::default()
    })
    .await
    .context("start the simulator")
}

/// An address of this machine that no other round has: while a worker is dead, somebody else could take its port.
pub(crate) fn own_host() -> Ipv4Addr {
    static ROUNDS: AtomicU32 = AtomicU32::new(0);
    if !cfg!(target_os = "linux") {
        // Elsewhere there is only one, as a rule.
        return Ipv4Addr::LOCALHOST;
    }
    let round = ROUNDS.fetch_add(1, Ordering::Relaxed);
    let [.., a, b] = std::process::id().to_be_bytes();
    let [.., c] = round.to_be_bytes();
    // 127.0.0.1 is everybody's.
    Ipv4Addr::new(127, a | 0x80, b, c)
}

/// Addresses that nobody listens on, each another. The same are used by every life of the worker.
pub(crate) fn free_addresses(host: Ipv4Addr, count: usize) -> anyhow::Result<Vec<SocketAddr>> {
    // All are held until the last is found: a port that is free again may be given once more.
    let held: Vec<_> = (0..count)
        .map(|_| std::net::TcpListener::bind((host, 0)).context("find a free port"))
        .collect::<Result<_, _>>()?;
    held.iter().map(|listener| Ok(listener.local_addr()?)).collect()
}

/// Where a worker is.
pub(crate) struct Place {
    pub(crate) config: PathBuf,
    pub(crate) data: PathBuf,
    /// The file of a handler that writes to one.
    pub(crate) journal: Option<PathBuf>,
    pub(crate) door: SocketAddr,
    pub(crate) admin: SocketAddr,
}

pub(crate) fn environment(
    plan: &Plan,
    place: &Place,
    sim: &Simulator,
    receivers: SocketAddr,
) -> anyhow::Result<BTreeMap<String, String>> {
    let journal = place.journal.iter().map(|file| {
        let file = file.display().to_string();
        format!("[[handlers]]\nname = \"journal\"\ntype = \"file\"\npath = {file:?}\n")
    });
    let mut config: String = journal.collect();
    for name in Receivers::NAMES {
        config.push_str(&format!(
            "[[handlers]]\nname = {name:?}\ntype = \"http\"\nurl = \"http://{receivers}/{name}\"\n"
        ));
    }
    std::fs::write(&place.config, config)?;
    // Leases must be longer than the longest call; with short ones, a worker that was stopped for a while has lost them.
    let (api_timeout, lease) = if plan.short_leases {
        ("300ms", "310ms")
    } else {
        ("2s", "3s")
    };
    let second_look = if plan.lags || plan.has_replicas { "5s" } else { "300ms" };
    // Without quick tries, what is behind is told at once, and is owed from then on.
    let (stale_retries, missing_tries) = if plan.has_replicas { ("0", "40") } else { ("6", "12") };
    let scope = if plan.sweeps { "all" } else { "off" };
    let mut environment: BTreeMap<String, String> = [
        ("TALLYFY_ORG_ID", sim.org()),
        ("TALLYFY_TOKEN", &sim.token()),
        ("TALLYFY_WEBHOOK_SECRET", SECRET),
        ("TALLYFY_BASE_URL", sim.base_url()),
        ("RUNS_WORKER_CONFIG", &place.config.display().to_string()),
        ("RUNS_WORKER_DATA_DIR", &place.data.display().to_string()),
        ("RUNS_WORKER_LISTEN", &place.door.to_string()),
        ("RUNS_WORKER_ADMIN_LISTEN", &place.admin.to_string()),
        ("RUNS_WORKER__API__REQUESTS_PER_FIVE_SECONDS", "0"),
        ("RUNS_WORKER__API__REQUESTS_PER_MINUTE", "0"),
        ("RUNS_WORKER__API__REQUESTS_PER_HOUR", "0"),
        ("RUNS_WORKER__API__TIMEOUT", api_timeout),
        ("RUNS_WORKER__API__TOKEN_RETRY", "300ms"),
        ("RUNS_WORKER__REFRESH__LEASE", lease),
        ("RUNS_WORKER__REFRESH__WINDOW", "50ms"),
        ("RUNS_WORKER__REFRESH__RETRY_INITIAL", "20ms"),
        ("RUNS_WORKER__REFRESH__RETRY_MAX", "300ms"),
        ("RUNS_WORKER__REFRESH__MISSING_TRIES", missing_tries),
        ("RUNS_WORKER__REFRESH__STALE_RETRIES", stale_retries),
        ("RUNS_WORKER__RECONCILE__SCOPE", scope),
        ("RUNS_WORKER__REFRESH__SECOND_LOOK", second_look),
        ("RUNS_WORKER__DELIVER__TIMEOUT", "2s"),
        ("RUNS_WORKER__DELIVER__RETRY_INITIAL", "20ms"),
        ("RUNS_WORKER__DELIVER__RETRY_MAX", "200ms"),
        ("RUNS_WORKER__DELIVER__MAX_ATTEMPTS", "1000000"),
        ("RUNS_WORKER__LOG__FORMAT", "json"),
        // So small that segments are used again within a round.
        ("RUNS_WORKER__INTAKE__RESERVE_MEGABYTES", "0"),
        ("TORTURE_SEGMENT_BYTES", "16384"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    if let Some(pages) = plan.checkpoint_pages {
        environment.insert("TORTURE_CHECKPOINT_PAGES".to_owned(), pages.to_string());
    }
    Ok(environment)
}
