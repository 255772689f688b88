//! Events for a program.

mod children;
mod left_behind;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use nix::sys::signal::{Signal, killpg};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, Command};
use tracing::{info, warn};
use uuid::Uuid;

use self::children::Awaited;
pub(crate) use self::children::reap_orphans;
use super::{Event, Handler, HandlerError, MAX_ANSWER_BYTES};
use crate::shared::visible::visible_line;

/// Exit status: try again (`EX_TEMPFAIL` of `sysexits.h`).
const TRY_AGAIN: i32 = 75;
/// How much of the standard error is read for one event, in bytes; the rest is dropped.
const MAX_STDERR_BYTES: u64 = 16 * 1024;
/// How long an id may be: Linux gives a program no longer environment variable than 128 KiB.
const MAX_ID_BYTES: usize = 64 * 1024;
/// How long after the end of a program what it said is still read.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// What a program gets of the worker's own environment. No more: that holds tokens.
const INHERITED: [&str; 7] = ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR"];

/// What is run.
#[derive(Clone, Debug)]
pub(crate) struct CommandLine {
    /// Where the program is.
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) working_dir: Option<PathBuf>,
}

/// Runs a program for each event, with the event on its standard input as one line of JSON.
///
/// Exit status 0 is done, 75 is "try again", anything else is a rejection; a program that a signal ended is tried again.
/// When it takes too long, or the worker stops, it is killed with everything that it started. What a worker that was killed
/// left running is killed before the event is tried again, so that no two tries run at once.
pub(crate) struct CommandHandler {
    name: String,
    line: CommandLine,
}

impl CommandHandler {
    pub(crate) fn new(name: String, line: CommandLine) -> Self {
        Self { name, line }
    }

    fn spawn(&self, event: &Event) -> io::Result<(Child, Awaited)> {
        let inherited = INHERITED
            .iter()
            .filter_map(|name| Some((*name, std::env::var_os(name)?)));
        let mut command = Command::new(&self.line.program);
        command
            .args(&self.line.arguments)
            .env_clear()
            .envs(inherited)
            .envs(&self.line.environment)
            .env(left_behind::EVENT_ID, event.id().to_string())
            .env("RUNS_EVENT_TYPE", &event.delivery().event_type)
            .env("RUNS_EVENT_NUMBER", event.number().to_string())
            .env("RUNS_ATTEMPT", event.attempt().to_string())
            .env("RUNS_ORG_ID", event.org().as_str())
            .env("RUNS_RUN_ID", event.run_id().as_str())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(folder) = &self.line.working_dir {
            command.current_dir(folder);
        }
        children::spawn(&mut command)
    }
}

#[async_trait]
impl Handler for CommandHandler {
    async fn handle(&self, event: &Event) -> Result<(), HandlerError> {
        self.run(event).await.map(drop)
    }
}

impl CommandHandler {
    /// Runs the program, and returns what it said on its standard error.
    pub(crate) async fn run(&self, event: &Event) -> Result<String, HandlerError> {
        if let Some(problem) = not_for_a_program(event) {
            return Err(HandlerError::reject(problem));
        }
        if event.attempt() > 1 {
            self.end_earlier_tries(event).await;
        }
        let (mut child, awaited) = self
            .spawn(event)
            .map_err(|error| HandlerError::unavailable(format!("{}: {error}", self.line.program.display())))?;
        let group = Group::of(awaited, event.id());
        let (input, errors) = (child.stdin.take(), child.stderr.take());
        let talk = async { tokio::join!(feed(input, event), listen(errors, &self.name, event)).1 };
        tokio::pin!(talk);
        let mut last_words = None;
        let status = loop {
            tokio::select! {
                status = child.wait() => break status,
                words = &mut talk, if last_words.is_none() => last_words = Some(words),
            }
        };
        group.let_go();
        let last_words = match last_words {
            Some(words) => words,
            // What the program left behind may keep the pipe open for as long as it likes.
            None => tokio::time::timeout(LAST_WORDS, talk).await.unwrap_or_default(),
        };
        verdict(status.map_err(HandlerError::retry)?, &last_words)?;
        Ok(last_words)
    }

    /// A try whose worker was killed may still be running.
    async fn end_earlier_tries(&self, event: &Event) {
        let id = event.id();
        let killed = tokio::task::spawn_blocking(move || left_behind::kill_all(id)).await;
        if let Ok(processes @ 1..) = killed {
            warn!(
                handler = self.name, run = %event.run_id(), event_id = %id, processes,
                "an earlier try of this event was still running and was killed"
            );
        }
    }
}

/// Why an id of the event cannot be in the environment of any program, if one cannot. That is a matter of the event, and
/// must not stop the handler.
fn not_for_a_program(event: &Event) -> Option<String> {
    let ids = [("organization", event.org().as_str()), ("run", event.run_id().as_str())];
    ids.into_iter().find_map(|(name, id)| {
        if id.contains('\0') {
            Some(format!(
                "the id of the {name} contains a NUL, which no program can be given"
            ))
        } else if id.len() > MAX_ID_BYTES {
            let length = id.len();
            Some(format!(
                "the id of the {name} has {length} bytes, a program can be given {MAX_ID_BYTES}"
            ))
        } else {
            None
        }
    })
}

/// A program that does not read its input is none the worse for it.
async fn feed(input: Option<ChildStdin>, event: &Event) {
    if let Some(mut input) = input {
        let _ = input.write_all(event.json()).await;
        let _ = input.write_all(b"\n").await;
    }
}

/// Logs what the program says, and returns the end of it, line by line.
async fn listen(errors: Option<ChildStderr>, handler: &str, event: &Event) -> String {
    let mut said = VecDeque::new();
    let mut length = 0;
    let Some(mut errors) = errors else {
        return String::new();
    };
    let mut lines = BufReader::new((&mut errors).take(MAX_STDERR_BYTES));
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
        let text = visible_line(String::from_utf8_lossy(&line).trim());
        if !text.is_empty() {
            info!(handler, org = %event.org(), run = %event.run_id(), event_id = %event.id(), stderr = text, "a program wrote on its standard error");
            length += text.len() + 1;
            said.push_back(text);
            while length > MAX_ANSWER_BYTES
                && let Some(first) = said.pop_front()
            {
                length -= first.len() + 1;
            }
        }
        line.clear();
    }
    // A full pipe would stop the program.
    let _ = tokio::io::copy(&mut errors, &mut tokio::io::sink()).await;
    said.make_contiguous().join("\n")
}

fn verdict(status: ExitStatus, said: &str) -> Result<(), HandlerError> {
    let reason = match said.lines().last() {
        None => status.to_string(),
        Some(last) => format!("{status}: {last}"),
    };
    match status.code() {
        Some(0) => Ok(()),
        Some(TRY_AGAIN) | None => Err(HandlerError::retry(reason).with_answer(said)),
        Some(_) => Err(HandlerError::reject(reason).with_answer(said)),
    }
}

/// A program with everything that it started: killed when this is dropped, unless the program has ended by itself.
struct Group {
    leader: Awaited,
    event: Uuid,
    is_let_go: bool,
}

impl Group {
    fn of(leader: Awaited, event: Uuid) -> Self {
        Self {
            leader,
            event,
            is_let_go: false,
        }
    }

    fn let_go(mut self) {
        self.is_let_go = true;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.is_let_go {
            return;
        }
        if let Some(group) = self.leader.id() {
            // It may be gone already.
            let _ = killpg(group, Signal::SIGKILL);
        }
        // Here and not in a task: the runtime may be about to end.
        left_behind::kill_all(self.event);
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tallyfy_model::{OrgId, RunId};

    use super::*;

    async fn of_run(id: &str) -> Result<(), HandlerError> {
        let mut event = Event::sample(&OrgId::new("acme"), Timestamp::UNIX_EPOCH).unwrap();
        event.delivery.run = RunId::new(id);
        let line = CommandLine {
            program: PathBuf::from("/bin/true"),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            working_dir: None,
        };
        CommandHandler::new("run".to_owned(), line).handle(&event).await
    }

    #[tokio::test]
    async fn an_id_that_no_program_can_be_given_is_a_matter_of_its_event() {
        for id in ["a\0b", &"x".repeat(200_000)] {
            let outcome = of_run(id).await;
            assert!(matches!(outcome, Err(HandlerError::Reject { .. })), "{outcome:?}");
        }
        assert_eq!(of_run(&"x".repeat(MAX_ID_BYTES)).await, Ok(()));
    }
}
