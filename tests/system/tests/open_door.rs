//! Restart without a closed door: somebody else holds the listening socket, so that senders wait in its queue.
//!
//! `RESTARTS=100 RATE=500 cargo nextest run -p system-tests --test open_door --no-capture` prints the figure.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use system_tests::{Door, Exit, HonestSender, Stage, Told, WorkerProcess, WorkerSettings};
use tallyfy_sim::SimConfig;
use tokio::net::TcpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A sender that waits longer than this gives up.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn while_a_worker_is_stopped_and_started_again_nobody_is_refused_and_nothing_is_lost() -> anyhow::Result<()> {
    let told = restart_under_load(Door::listen_fds, async |worker| worker.terminate().await).await?;
    told.report("stopped");
    ensure!(
        told.count(&Told::Refused) == 0 && told.count(&Told::Unanswered) == 0,
        "{told:?}"
    );
    ensure!(told.lost == 0, "{told:?}");
    Ok(())
}

#[tokio::test]
async fn while_a_worker_is_killed_and_started_again_nobody_is_refused() -> anyhow::Result<()> {
    let told = restart_under_load(Door::listen_fd, async |worker| worker.kill().await).await?;
    told.report("killed");
    // Whoever was being answered at that moment gets no answer; nobody who did get one is forgotten.
    ensure!(told.count(&Told::Refused) == 0 && told.lost == 0, "{told:?}");
    Ok(())
}

#[tokio::test]
async fn a_descriptor_that_does_not_listen_is_refused() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[]).await?;
    let connected = std::net::TcpStream::connect(stage.worker.receive_address())?;
    let settings = free_ports(&stage).through(Door::listen_fds(connected));
    let Err(refusal) = WorkerProcess::start(&settings).await else {
        anyhow::bail!("it started");
    };
    assert!(format!("{refusal:#}").contains("does not listen"), "{refusal:#}");
    Ok(())
}

#[tokio::test]
async fn a_socket_that_is_called_admin_is_for_health_checks_and_metrics() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[]).await?;
    let socket = socket()?;
    let address = socket.local_addr()?;
    let settings = free_ports(&stage).through(Door::listen_fds(socket));
    let mut worker = WorkerProcess::start(&settings.with("LISTEN_FDNAMES", "admin")).await?;
    assert_eq!(worker.admin_address(), address);
    assert_ne!(worker.receive_address(), address);
    worker.terminate().await?;
    Ok(())
}

fn setting(name: &str, default: u32) -> u32 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

fn free_ports(stage: &Stage) -> WorkerSettings {
    let data = stage.folder().join("another").display().to_string();
    let settings = stage.settings().clone().with("RUNS_WORKER_DATA_DIR", &data);
    settings
        .with("RUNS_WORKER_LISTEN", "127.0.0.1:0")
        .with("RUNS_WORKER_ADMIN_LISTEN", "127.0.0.1:0")
}

/// A socket as systemd would make it.
fn socket() -> anyhow::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    Ok(socket.listen(4096)?.into_std()?)
}

/// What the sender was told.
#[derive(Debug)]
struct Account {
    restarts: u32,
    told: BTreeMap<String, usize>,
    lost: usize,
    slowest: Duration,
}

impl Account {
    fn count(&self, told: &Told) -> usize {
        self.told.get(&format!("{told:?}")).copied().unwrap_or_default()
    }

    #[expect(clippy::print_stderr, reason = "a figure for whoever asks for it")]
    fn report(&self, how: &str) {
        let Self {
            restarts,
            told,
            lost,
            slowest,
        } = self;
        eprintln!("{how} and started again {restarts} times: {told:?}, {lost} lost, the slowest took {slowest:?}");
    }
}

/// Sends webhooks at a steady rate, each on a connection of its own, while workers come and go.
async fn restart_under_load(
    door: fn(TcpListener) -> Door,
    end: impl AsyncFn(&mut WorkerProcess) -> anyhow::Result<Exit>,
) -> anyhow::Result<Account> {
    let (restarts, rate) = (setting("RESTARTS", 4), setting("RATE", 100));
    let quiet = [("RUNS_WORKER__LOG__FILTER", "warn,runs_worker::start=info")];
    let stage = Stage::set(SimConfig::default(), &quiet).await?;
    // This is about receiving: nothing is fetched meanwhile.
    stage.sim.revoke_tokens();
    let socket = socket()?;
    let path = stage
        .webhook_url()
        .rsplit_once('/')
        .map(|(_, secret)| secret.to_owned())
        .unwrap_or_default();
    let url = format!("http://{}/webhooks/{path}", socket.local_addr()?);
    let sender = Arc::new(HonestSender::new(&url, stage.sim.org())?);
    let settings = free_ports(&stage).through(door(socket));

    let mut worker = WorkerProcess::start(&settings).await?;
    let (stop, stopped) = watch::channel(false);
    let sending = tokio::spawn(send_steadily(Arc::clone(&sender), rate, stopped));
    for _ in 0..restarts {
        tokio::time::sleep(Duration::from_millis(rand::random_range(50..500))).await;
        end(&mut worker).await?;
        worker = WorkerProcess::start(&settings).await?;
    }
    stop.send(true)?;
    let sent = sending.await??;

    let mut account = Account {
        restarts,
        told: BTreeMap::new(),
        lost: 0,
        slowest: Duration::ZERO,
    };
    for (number, told, took) in sent {
        *account.told.entry(format!("{told:?}")).or_default() += 1;
        account.slowest = account.slowest.max(took);
        if told == Told::Answered(202) {
            // What was kept the first time is a duplicate now.
            let (again, _) = sender.send(number, PATIENCE).await;
            ensure!(again == Told::Answered(202), "{again:?}");
        }
    }
    let kept = told_twice(&stage, account.count(&Told::Answered(202))).await?;
    account.lost = account.count(&Told::Answered(202)) - kept;
    worker.terminate().await?;
    Ok(account)
}

/// How many notifications are in the store of which a duplicate came: waits for so many, as long as the import may take.
async fn told_twice(stage: &Stage, expected: usize) -> anyhow::Result<usize> {
    let database = rusqlite::Connection::open(stage.folder().join("another/runs.db"))?;
    let count = || {
        database.query_row("SELECT count(*) FROM notifications WHERE duplicates > 0", [], |row| {
            row.get::<_, i64>(0)
        })
    };
    for _ in 0..200 {
        if usize::try_from(count()?)? >= expected {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(usize::try_from(count()?)?.min(expected))
}

/// Until it is stopped; then waits for what is under way.
async fn send_steadily(
    sender: Arc<HonestSender>,
    rate: u32,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<Vec<(usize, Told, Duration)>> {
    let mut tick = tokio::time::interval(Duration::from_secs(1) / rate);
    let mut under_way = JoinSet::new();
    let mut number = 0;
    while !*stopped.borrow() {
        tick.tick().await;
        let sender = Arc::clone(&sender);
        under_way.spawn(async move {
            let (told, took) = sender.send(number, PATIENCE).await;
            (number, told, took)
        });
        number += 1;
    }
    let mut sent = Vec::new();
    while let Some(one) = under_way.join_next().await {
        sent.push(one?);
    }
    Ok(sent)
}
