//! The children of this process.
//!
//! Process 1 of a container inherits whatever a program leaves behind, and has to reap it: a zombie keeps its number until
//! then.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tracing::debug;

/// Programs that are waited for where they were started.
static AWAITED: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

fn awaited() -> MutexGuard<'static, BTreeSet<i32>> {
    // Each change of it is one insertion or removal.
    AWAITED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child that is waited for, until this is dropped.
pub(super) struct Awaited(Option<i32>);

/// Starts a program.
pub(super) fn spawn(command: &mut Command) -> io::Result<(Child, Awaited)> {
    // A child that ends at once must not be reaped before it is known.
    let mut known = awaited();
    let child = command.spawn()?;
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    known.extend(id);
    Ok((child, Awaited(id)))
}

impl Awaited {
    pub(super) fn id(&self) -> Option<Pid> {
        self.0.map(Pid::from_raw)
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            awaited().remove(&id);
        }
    }
}

/// Reaps what programs left to this process, if it is process 1: elsewhere, somebody else does. Never ends there.
pub(crate) async fn reap_orphans() {
    if std::process::id() != 1 {
        return;
    }
    let Ok(mut ended) = signal(SignalKind::child()) else {
        return;
    };
    while ended.recv().await.is_some() {
        let _ = tokio::task::spawn_blocking(reap).await;
    }
}

fn reap() {
    let known = awaited();
    for child in zombies().into_iter().filter(|child| !known.contains(child)) {
        let reaped = waitpid(Pid::from_raw(child), Some(WaitPidFlag::WNOHANG));
        debug!(
            child,
            reaped = reaped.is_ok(),
            "a process that a program had left behind has ended"
        );
    }
}

/// The children of this process that have ended.
fn zombies() -> Vec<i32> {
    let own = std::process::id().to_string();
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let is_zombie = |id: &i32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // The name, which comes before, is in parentheses and may hold any character.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let mut fields = after_name.split_whitespace();
        fields.next() == Some("Z") && fields.next() == Some(own.as_str())
    };
    processes
        .flatten()
        .filter_map(|process| process.file_name().to_str()?.parse().ok())
        .filter(is_zombie)
        .collect()
}
