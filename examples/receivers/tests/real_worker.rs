//! Each receiver, run as its reader would run it, against the real worker and the simulator.
//!
//! `RUNS_WORKER_PYTHON` and `RUNS_WORKER_NODE_MODULES` say where `standardwebhooks` is for Python and Node. Where it is missing, a
//! test fails in CI, and says elsewhere that it was skipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use system_tests::Stage;
use tallyfy_sim::SimConfig;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PATIENCE: Duration = Duration::from_secs(60);

/// A receiver that runs, and what it says. It ends with this.
struct Receiver {
    said: Lines<BufReader<ChildStdout>>,
    address: String,
    _process: Child,
}

impl Receiver {
    async fn start(mut command: Command, address: &str, store: &Path) -> anyhow::Result<Self> {
        command.arg(address).arg(store).env("WEBHOOK_KEY", KEY);
        let mut process = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let stdout = process.stdout.take().context("its standard output")?;
        let mut said = BufReader::new(stdout).lines();
        let first = tokio::time::timeout(PATIENCE, said.next_line()).await??;
        let first = first.context("it ended before it listened")?;
        let address = first.strip_prefix("listening on ").context("its address")?;
        Ok(Self {
            address: address.to_owned(),
            said,
            _process: process,
        })
    }

    /// The next line that it says.
    async fn line(&mut self) -> anyhow::Result<String> {
        let line = tokio::time::timeout(PATIENCE, self.said.next_line())
            .await
            .context("it says nothing")??;
        line.context("it ended")
    }
}

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

#[expect(clippy::print_stderr, reason = "what is skipped is told aloud")]
fn skipped(language: &str, may: std::io::Result<std::process::Output>) -> bool {
    if may.is_ok_and(|output| output.status.success()) {
        return false;
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{language} with standardwebhooks is required in CI"
    );
    eprintln!("SKIPPED the receiver in {language}: its library is not installed");
    true
}

/// The status of a request without a signature.
async fn unsigned(address: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = "POST /events HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

/// Starts the receiver twice: the second one knows what the first has stored.
async fn take_events(make: impl Fn() -> Command) -> anyhow::Result<()> {
    let place = tempfile::tempdir()?;
    let store = place.path().join("store");
    let mut receiver = Receiver::start(make(), "127.0.0.1:0", &store).await?;
    let refused = unsigned(&receiver.address).await?;
    ensure!(refused.contains(" 401 "), "{refused}");

    let config = place.path().join("worker.toml");
    let handler = format!(
        "[[handlers]]\nname = \"receiver\"\ntype = \"http\"\nurl = \"http://{}/events\"\nsigning_keys = [\"{KEY}\"]\n",
        receiver.address
    );
    fs::write(&config, handler)?;
    let config = config.display().to_string();
    let stage = Stage::set(SimConfig::default(), &[("RUNS_WORKER_CONFIG", &config)]).await?;
    stage.connect_templates()?;
    let run = stage.sim.launch("One")?;
    let first = receiver.line().await?;
    let id = first.strip_prefix("stored ").and_then(|rest| rest.split(' ').next());
    let id = id.with_context(|| first.clone())?.to_owned();
    ensure!(first.ends_with("com.tallyfy.run.seen.v1"), "{first}");

    // The same event again, to the receiver that has it and to the one that is started on what it stored.
    let replay = ["replay", "--handler", "receiver", &id];
    ensure!(
        stage.command(&replay).await?.status.success(),
        "{id} cannot be replayed"
    );
    let again = receiver.line().await?;
    ensure!(again.starts_with(&format!("repeated {id} ")), "{again}");
    let address = receiver.address.clone();
    drop(receiver);
    let mut receiver = Receiver::start(make(), &address, &store).await?;
    ensure!(
        stage.command(&replay).await?.status.success(),
        "{id} cannot be replayed"
    );
    let again = receiver.line().await?;
    ensure!(again.starts_with(&format!("repeated {id} ")), "{again}");

    while stage.sim.complete_next(&run)?.is_some() {}
    loop {
        let line = receiver.line().await?;
        if line.ends_with("com.tallyfy.run.completed.v1") {
            return Ok(());
        }
    }
}

#[tokio::test]
async fn the_receiver_in_python_stores_each_event_once() -> anyhow::Result<()> {
    let python = std::env::var("RUNS_WORKER_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let may = std::process::Command::new(&python)
        .args(["-c", "import standardwebhooks"])
        .output();
    if skipped("Python", may) {
        return Ok(());
    }
    take_events(|| {
        let mut command = Command::new(&python);
        command.arg(here("receiver.py"));
        command
    })
    .await
}

#[tokio::test]
async fn the_receiver_in_javascript_stores_each_event_once() -> anyhow::Result<()> {
    let modules = std::env::var("RUNS_WORKER_NODE_MODULES").unwrap_or_else(|_| "node_modules".to_owned());
    let script = format!("require(require('path').join('{modules}', 'standardwebhooks'))");
    let may = std::process::Command::new("node").args(["-e", &script]).output();
    if skipped("JavaScript", may) {
        return Ok(());
    }
    take_events(|| {
        let mut command = Command::new("node");
        command.arg(here("receiver.mjs")).env("NODE_MODULES", &modules);
        command
    })
    .await
}

#[tokio::test]
async fn the_receiver_in_rust_stores_each_event_once() -> anyhow::Result<()> {
    take_events(|| Command::new(env!("CARGO_BIN_EXE_receiver"))).await
}
