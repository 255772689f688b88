//! The real binary as a process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long anything may take before it counts as never: a loaded machine is slow, a defect is forever.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the binary is: as `RUNS_WORKER_BIN` says, or built now.
///
/// # Errors
/// If it cannot be built.
pub fn binary() -> anyhow::Result<&'static Path> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = BINARY.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    found.as_deref().map_err(|error| anyhow::anyhow!("{error}"))
}

fn build() -> anyhow::Result<PathBuf> {
    match std::env::var_os("RUNS_WORKER_BIN") {
        Some(binary) => Ok(binary.into()),
        None => build_with(&[]),
    }
}

/// Where the binary is that cargo builds now, with further arguments.
///
/// # Errors
/// If it cannot be built.
pub fn build_with(arguments: &[&str]) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = std::process::Command::new(cargo);
    for name in cargos_variables() {
        command.env_remove(name);
    }
    let output = command
        .args(["build", "--package", "runs-worker", "--bin", "runs-worker"])
        .args(["--message-format", "json-render-diagnostics"])
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .context("run cargo build")?;
    ensure!(output.status.success(), "cargo build failed");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)))
        .context("cargo build named no executable")
}

/// The variables that cargo sets for a program that it runs. Some build scripts are run again when these differ, so a
/// cargo that is started by such a program must not see them.
pub fn cargos_variables() -> impl Iterator<Item = String> {
    let set = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    set.filter(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
}

/// A socket that is opened before the worker, and stays open after it.
#[derive(Clone, Debug)]
pub struct Door {
    socket: Arc<OwnedFd>,
    /// What a shell makes of its standard input, which is this socket.
    script: &'static str,
}

impl Door {
    /// Handed over as systemd does it.
    pub fn listen_fds(socket: impl Into<OwnedFd>) -> Self {
        Self {
            socket: Arc::new(socket.into()),
            script: r#"exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" serve"#,
        }
    }

    /// Handed over as systemd does it, for the health checks and metrics.
    pub fn admin(socket: impl Into<OwnedFd>) -> Self {
        Self {
            socket: Arc::new(socket.into()),
            script: r#"exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=admin exec "$0" serve"#,
        }
    }

    /// Handed over by its number.
    pub fn listen_fd(socket: impl Into<OwnedFd>) -> Self {
        Self {
            socket: Arc::new(socket.into()),
            script: r#"exec 7<&0 </dev/null; exec "$0" serve --listen-fd 7"#,
        }
    }
}

/// What a worker is started with.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    environment: BTreeMap<String, String>,
    door: Option<Door>,
    program: Option<PathBuf>,
}

impl WorkerSettings {
    /// The three values that are needed, the API, the data folder, and free ports.
    pub fn new(org: &str, token: &str, secret: &str, base_url: &str, data_dir: &Path) -> Self {
        let data_dir = data_dir.display().to_string();
        let environment = [
            ("TALLYFY_ORG_ID", org),
            ("TALLYFY_TOKEN", token),
            ("TALLYFY_WEBHOOK_SECRET", secret),
            ("TALLYFY_BASE_URL", base_url),
            ("RUNS_WORKER_DATA_DIR", &data_dir),
            ("RUNS_WORKER_LISTEN", "127.0.0.1:0"),
            ("RUNS_WORKER_ADMIN_LISTEN", "127.0.0.1:0"),
        ];
        Self {
            environment: environment
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            door: None,
            program: None,
        }
    }

    /// What is in this configuration file, a data folder, and free ports.
    pub fn of_file(file: &Path, data_dir: &Path) -> Self {
        let bare = Self {
            environment: BTreeMap::new(),
            door: None,
            program: None,
        };
        bare.with("RUNS_WORKER_CONFIG", &file.display().to_string())
            .with("RUNS_WORKER_DATA_DIR", &data_dir.display().to_string())
            .with("RUNS_WORKER_LISTEN", "127.0.0.1:0")
            .with("RUNS_WORKER_ADMIN_LISTEN", "127.0.0.1:0")
    }

    /// Makes the worker accept webhooks on this socket.
    #[must_use]
    pub fn through(self, door: Door) -> Self {
        Self {
            door: Some(door),
            ..self
        }
    }

    /// Starts another program in the place of the binary, which must behave as that does.
    #[must_use]
    pub fn of_program(self, program: PathBuf) -> Self {
        Self {
            program: Some(program),
            ..self
        }
    }

    /// Runs another command of the binary with these settings, to its end. Gives everything that it writes.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let program = match &self.program {
            Some(program) => program,
            None => binary()?,
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null());
        let output = command.output().await.context("run the binary")?;
        Ok([output.stdout, output.stderr]
            .iter()
            .map(|bytes| String::from_utf8_lossy(bytes))
            .collect())
    }

    /// Another command of the binary with these settings, beside the worker; killed when it is dropped.
    ///
    /// # Errors
    /// If the binary cannot be built.
    pub fn beside(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(binary()?);
        command
            .args(arguments)
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        Ok(command)
    }

    fn command(&self) -> anyhow::Result<Command> {
        let program = match &self.program {
            Some(program) => program,
            None => binary()?,
        };
        let Some(door) = &self.door else {
            let mut command = Command::new(program);
            command.arg("serve").stdin(Stdio::null());
            return Ok(command);
        };
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(door.script).arg(program);
        command.stdin(Stdio::from(door.socket.try_clone().context("copy the socket")?));
        Ok(command)
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sets an environment variable no more.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    /// Takes the addresses of a worker that ran before, so that the sender finds the next one there.
    #[must_use]
    pub fn at_the_addresses_of(self, worker: &WorkerProcess) -> Self {
        self.with("RUNS_WORKER_LISTEN", &worker.receive_address().to_string())
            .with("RUNS_WORKER_ADMIN_LISTEN", &worker.admin_address().to_string())
    }
}

/// An event as it came out of the worker.
#[derive(Clone, Debug)]
pub struct ReceivedEvent {
    /// The line.
    pub line: String,
    /// What it says.
    pub json: Value,
}

impl ReceivedEvent {
    /// The run that it is about.
    pub fn run(&self) -> &str {
        self.json["subject"].as_str().unwrap_or_default()
    }

    /// Its type in a word, such as `changed`.
    pub fn word(&self) -> &str {
        let of_type = self.json["type"].as_str().and_then(|it| it.split('.').nth(3));
        of_type.unwrap_or_default()
    }

    /// The run as it shows it.
    pub fn state(&self) -> &Value {
        &self.json["data"]["run"]
    }

    /// The kinds of its changes.
    pub fn kinds(&self) -> Vec<&str> {
        let changes = self.json["data"]["changes"].as_array().into_iter().flatten();
        changes.filter_map(|change| change["kind"].as_str()).collect()
    }

    /// Its id.
    pub fn id(&self) -> &str {
        self.json["id"].as_str().unwrap_or_default()
    }

    /// Its number within the run.
    pub fn number(&self) -> u64 {
        self.json["sequence"]
            .as_str()
            .and_then(|number| number.parse().ok())
            .unwrap_or_default()
    }

    /// The notifications that led to it.
    pub fn notifications(&self) -> &[Value] {
        self.json["data"]["notifications"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
    }
}

/// How a worker ended, with all that it wrote.
#[derive(Debug)]
pub struct Exit {
    /// Its exit status.
    pub status: ExitStatus,
    /// The standard output, whole lines that are no event included.
    pub stdout: Vec<String>,
    /// The standard error.
    pub stderr: Vec<String>,
}

/// A running worker. Dropping it kills it.
pub struct WorkerProcess {
    child: Child,
    started: Value,
    stdout: Arc<Lines>,
    stderr: Arc<Lines>,
    readers: Vec<JoinHandle<()>>,
}

/// Runs another command of the binary to its end.
///
/// # Errors
/// If it cannot be run.
pub async fn run(settings: &WorkerSettings, arguments: &[&str]) -> anyhow::Result<Exit> {
    let ended = settings.beside(arguments)?.output();
    let output = tokio::time::timeout(PATIENCE, ended)
        .await
        .context("the command does not end")??;
    let lines = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect();
    Ok(Exit {
        status: output.status,
        stdout: lines(&output.stdout),
        stderr: lines(&output.stderr),
    })
}

impl WorkerProcess {
    /// Starts the binary and waits until it says that it has started.
    ///
    /// # Errors
    /// If it ends before, with what it said.
    pub async fn start(settings: &WorkerSettings) -> anyhow::Result<Self> {
        let mut child = settings
            .command()?
            .env_clear()
            .envs(&settings.environment)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start the worker")?;
        let (stdout, stderr) = (Arc::new(Lines::default()), Arc::new(Lines::default()));
        let mut readers = Vec::new();
        if let Some(pipe) = child.stdout.take() {
            readers.push(tokio::spawn(Arc::clone(&stdout).read(pipe)));
        }
        if let Some(pipe) = child.stderr.take() {
            readers.push(tokio::spawn(Arc::clone(&stderr).read(pipe)));
        }
        let mut worker = Self {
            child,
            started: Value::Null,
            stdout,
            stderr,
            readers,
        };
        let has_started = |lines: &[String]| {
            lines
                .iter()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok())
                .find(|line| line["message"] == "started")
        };
        tokio::select! {
            started = worker.stderr.wait_for(has_started) => worker.started = started.context("the worker does not start")?,
            status = worker.child.wait() => {
                let status = status?;
                for reader in worker.readers.drain(..) {
                    reader.await?;
                }
                bail!("the worker ended with {status}:\n{}", worker.stderr.all().join("\n"));
            }
        }
        Ok(worker)
    }

    fn address(&self, name: &str) -> SocketAddr {
        let text = self.started[name].as_str().unwrap_or_default();
        let mut addresses = text.split(',').filter_map(|address| address.parse().ok());
        addresses
            .next()
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// Where it accepts webhooks: the first address that has a port.
    pub fn receive_address(&self) -> SocketAddr {
        self.address("listen")
    }

    /// Everywhere that it accepts webhooks, as it says.
    pub fn receive_addresses(&self) -> Vec<String> {
        let text = self.started["listen"].as_str().unwrap_or_default();
        text.split(',').map(str::to_owned).collect()
    }

    /// Where its health checks and metrics are.
    pub fn admin_address(&self) -> SocketAddr {
        self.address("admin")
    }

    /// The process id.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// The events that have come so far.
    pub fn events(&self) -> Vec<ReceivedEvent> {
        events(&self.stdout.all())
    }

    /// What it has logged so far.
    pub fn log(&self) -> Vec<String> {
        self.stderr.all()
    }

    /// Waits until the events that have come satisfy a condition.
    ///
    /// # Errors
    /// If they do not within a minute.
    pub async fn wait_for_events(
        &self,
        enough: impl Fn(&[ReceivedEvent]) -> bool,
    ) -> anyhow::Result<Vec<ReceivedEvent>> {
        let satisfied = |lines: &[String]| {
            let events = events(lines);
            enough(&events).then_some(events)
        };
        self.stdout.wait_for(satisfied).await.with_context(|| {
            let log = self.stderr.all();
            format!(
                "the events that were waited for did not come; the end of the log:\n{}",
                log[log.len().saturating_sub(20)..].join("\n")
            )
        })
    }

    /// Waits until what it has logged satisfies a condition.
    ///
    /// # Errors
    /// If it does not within a minute.
    pub async fn wait_for_log_lines(&self, enough: impl Fn(&[String]) -> bool) -> anyhow::Result<()> {
        let waited = self.stderr.wait_for(|lines| enough(lines).then_some(())).await;
        waited.with_context(|| {
            let log = self.stderr.all();
            format!(
                "the end of the log:\n{}",
                log[log.len().saturating_sub(20)..].join("\n")
            )
        })
    }

    /// Waits until it has logged a line that satisfies a condition.
    ///
    /// # Errors
    /// If it does not within a minute.
    pub async fn wait_for_log(&self, found: impl Fn(&str) -> bool) -> anyhow::Result<()> {
        self.stderr
            .wait_for(|lines| lines.iter().any(|line| found(line)).then_some(()))
            .await
            .context("the log does not say it")
    }

    /// Kills it as a power cut would, without a warning.
    ///
    /// # Errors
    /// If the system refuses.
    pub async fn kill(&mut self) -> anyhow::Result<Exit> {
        self.child.start_kill().context("kill the worker")?;
        self.ended().await
    }

    /// Asks it to stop and waits until it has.
    ///
    /// # Errors
    /// If it does not within a minute.
    pub async fn terminate(&mut self) -> anyhow::Result<Exit> {
        if self.child.id().is_some() {
            self.signal(Signal::SIGTERM)?;
        }
        self.ended().await
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let id = self.child.id().context("the worker has ended")?;
        kill(Pid::from_raw(i32::try_from(id)?), signal).context("signal the worker")
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// If it does not within a minute.
    pub async fn ended(&mut self) -> anyhow::Result<Exit> {
        let status = tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .context("the worker does not end")??;
        for reader in self.readers.drain(..) {
            reader.await?;
        }
        Ok(Exit {
            status,
            stdout: self.stdout.all(),
            stderr: self.stderr.all(),
        })
    }
}

impl Exit {
    /// The events that came before the end.
    pub fn events(&self) -> Vec<ReceivedEvent> {
        events(&self.stdout)
    }
}

fn events(lines: &[String]) -> Vec<ReceivedEvent> {
    lines
        .iter()
        // The last line of a killed worker may be cut off: that event is not delivered, and comes again.
        .filter_map(|line| {
            Some(ReceivedEvent {
                json: serde_json::from_str(line).ok()?,
                line: line.clone(),
            })
        })
        .collect()
}

/// The lines that came out of a pipe.
struct Lines {
    lines: Mutex<Vec<String>>,
    count: watch::Sender<usize>,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            lines: Mutex::default(),
            count: watch::Sender::new(0),
        }
    }
}

impl Lines {
    async fn read(self: Arc<Self>, pipe: impl AsyncRead + Unpin) {
        let mut lines = BufReader::new(pipe).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let count = {
                let mut lines = self.lock();
                lines.push(line);
                lines.len()
            };
            self.count.send_replace(count);
        }
    }

    fn all(&self) -> Vec<String> {
        self.lock().clone()
    }

    async fn wait_for<T>(&self, found: impl Fn(&[String]) -> Option<T>) -> anyhow::Result<T> {
        let mut count = self.count.subscribe();
        let search = async {
            loop {
                count.mark_unchanged();
                if let Some(found) = found(&self.all()) {
                    return Ok(found);
                }
                count.changed().await?;
            }
        };
        tokio::time::timeout(PATIENCE, search)
            .await
            .context("waited a minute")?
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
