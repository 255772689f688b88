//! Processes that a program left behind: whatever was started for an event has the event's id in its environment.
//!
//! A process group is not enough: a child may begin a session of its own, and a worker that was killed kills no group.
//! Found by way of `/proc`, so on Linux only.

use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use uuid::Uuid;

/// The variable that has the event's id.
pub(super) const EVENT_ID: &str = "RUNS_EVENT_ID";
/// How often what was found is looked for again: a process takes a moment to end, and may have begun another one.
const ROUNDS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(5);

/// Kills everything that was started for an event, and says how many processes that were. Blocks until they have ended.
pub(super) fn kill_all(event: Uuid) -> usize {
    let mut killed = 0;
    for round in 0..ROUNDS {
        let found = started_for(event);
        if found.is_empty() {
            break;
        }
        if round == 0 {
            killed = found.len();
        }
        for process in found {
            // It may be gone already.
            let _ = kill(process, Signal::SIGKILL);
        }
        std::thread::sleep(PAUSE);
    }
    killed
}

/// The processes that have this event's id in their environment. One that has ended has none any more.
fn started_for(event: Uuid) -> Vec<Pid> {
    let marker = format!("{EVENT_ID}={event}");
    let Ok(processes) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let is_marked = |process: &Pid| {
        // That of other users cannot be read.
        let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == marker.as_bytes())
    };
    processes
        .flatten()
        .filter_map(|process| process.file_name().to_str()?.parse().ok())
        .map(Pid::from_raw)
        .filter(|process| *process != Pid::this() && is_marked(process))
        .collect()
}
