//! One life of the worker, as a process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::plan::{End, Life};

/// How long anything may take before it counts as never.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// By SIGKILL.
    Killed,
    /// At its point.
    Crashed,
    /// By itself, or because it was asked to.
    Ended { success: bool },
    /// By SIGKILL, because it had not ended a minute after it was asked to.
    Stuck,
}

/// A running worker. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    pub(crate) fn start(environment: &BTreeMap<String, String>, log: &Path) -> anyhow::Result<Self> {
        Self::start_program(crate::binary()?, environment, log)
    }

    /// The same with another binary of a worker.
    pub(crate) fn start_program(
        program: &Path,
        environment: &BTreeMap<String, String>,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let child = Command::new(program)
            .arg("serve")
            .env_clear()
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("start the worker")?;
        Ok(Self { child })
    }

    /// Lives as planned.
    pub(crate) async fn live(
        mut self,
        life: &Life,
        door: SocketAddr,
        alive: &watch::Sender<bool>,
    ) -> anyhow::Result<Death> {
        let start = Instant::now();
        let listens = async {
            until_listening(door).await;
            alive.send_replace(true);
            Instant::now()
        };
        let until_end = async {
            match life.end {
                End::Kill(after) => {
                    // Whether it listens by then or not.
                    let _: Result<Instant, _> = timeout(after, listens).await;
                    sleep_until(start + after).await;
                }
                End::Terminate(after) => sleep_until(listens.await + after).await,
            }
        };
        let id = self.child.id();
        let pauses = async {
            for (at, length) in &life.pauses {
                sleep_until(start + *at).await;
                signal(id, Signal::SIGSTOP);
                sleep(*length).await;
                signal(id, Signal::SIGCONT);
            }
            std::future::pending::<()>().await;
        };
        let ended = tokio::select! {
            status = self.child.wait() => Some(status?),
            () = until_end => None,
            () = pauses => None,
        };
        let death = match (ended, life.end) {
            (Some(status), _) => of_itself(status),
            (None, End::Kill(_)) => {
                self.child.kill().await.context("kill the worker")?;
                Death::Killed
            }
            (None, End::Terminate(_)) => self.terminate().await?,
        };
        alive.send_replace(false);
        Ok(death)
    }

    /// Kills it. How it had ended, if it had.
    pub(crate) async fn kill(mut self) -> anyhow::Result<Death> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(of_itself(status));
        }
        self.child.kill().await.context("kill the worker")?;
        Ok(Death::Killed)
    }

    /// Makes it stand still, or go on.
    pub(crate) fn set_still(&self, still: bool) {
        signal(self.child.id(), if still { Signal::SIGSTOP } else { Signal::SIGCONT });
    }

    /// Asks it to end.
    pub(crate) async fn terminate(&mut self) -> anyhow::Result<Death> {
        signal(self.child.id(), Signal::SIGCONT);
        signal(self.child.id(), Signal::SIGTERM);
        if let Ok(status) = timeout(PATIENCE, self.child.wait()).await {
            return Ok(of_itself(status?));
        }
        self.child.kill().await.context("kill the worker")?;
        Ok(Death::Stuck)
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

fn of_itself(status: ExitStatus) -> Death {
    if status.signal() == Some(Signal::SIGABRT as i32) {
        Death::Crashed
    } else {
        Death::Ended {
            success: status.success(),
        }
    }
}

fn signal(id: Option<u32>, signal: Signal) {
    if let Some(id) = id.and_then(|id| i32::try_from(id).ok()) {
        // It may have ended meanwhile.
        let _: nix::Result<()> = kill(Pid::from_raw(id), signal);
    }
}

/// Waits until somebody listens there.
pub(crate) async fn until_listening(door: SocketAddr) {
    while TcpStream::connect(door).await.is_err() {
        sleep(Duration::from_millis(5)).await;
    }
}

/// What waits in the worker: notifications that are not in the store, runs that are due, and events that are not delivered.
/// None while it cannot say so.
pub(crate) async fn waiting(admin: SocketAddr) -> Option<f64> {
    let mut stream = TcpStream::connect(admin).await.ok()?;
    let request = "GET /metrics HTTP/1.1\r\nHost: worker\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let is_due = answer.lines().any(|line| line.starts_with("runs_worker_due "));
    let counts = answer.lines().filter(|line| {
        line.starts_with("runs_worker_due ")
            || line.starts_with("runs_worker_intake_waiting ")
            || line.starts_with("runs_worker_undelivered{")
            || line.starts_with("runs_worker_dead_letters{")
    });
    let sum = counts
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum();
    is_due.then_some(sum)
}
