//! Events on a standard output as shells, supervisors and other programs leave it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use serde_json::Value;
use tallyfy_sim::{SimConfig, Simulator};

/// Larger than a pipe.
const LONG: usize = 100_000;

/// A worker without handlers, which makes an event of every run that there is.
fn worker(sim: &Simulator, folder: &tempfile::TempDir) -> anyhow::Result<Command> {
    let mut command = Command::new(system_tests::binary()?);
    command
        .args(["serve", "--backfill"])
        .env_clear()
        .env("TALLYFY_ORG_ID", sim.org())
        .env("TALLYFY_TOKEN", sim.token())
        .env("TALLYFY_WEBHOOK_SECRET", "3b1f0c8e5a7d49629f8e7a6b5c4d3e2f")
        .env("TALLYFY_BASE_URL", sim.base_url())
        .env("RUNS_WORKER_DATA_DIR", folder.path().join("data"))
        .env("RUNS_WORKER_LISTEN", "127.0.0.1:0")
        .env("RUNS_WORKER_ADMIN_LISTEN", "127.0.0.1:0")
        .stdin(Stdio::null());
    Ok(command)
}

/// Takes a byte or two at a time.
struct Slow<R>(R);

impl<R: Read> Read for Slow<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        std::thread::yield_now();
        let few = buffer.len().min(1000);
        self.0.read(&mut buffer[..few])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_that_does_not_block_gets_whole_lines_once() -> anyhow::Result<()> {
    let (folder, sim) = (tempfile::tempdir()?, Simulator::start(SimConfig::default()).await?);
    let mut runs = BTreeSet::new();
    for number in 0..3 {
        let run = sim.launch(&format!("Order {number}"))?;
        sim.change(|world| world.set_custom_field(&run, "long", "x".repeat(LONG).into()))?;
        runs.insert(run);
    }
    let (reader, writer) = std::io::pipe()?;
    rustix::io::ioctl_fionbio(&writer, true)?;
    let mut worker = worker(&sim, &folder)?.stdout(writer).stderr(Stdio::null()).spawn()?;
    let reading = tokio::task::spawn_blocking(move || {
        let lines = BufReader::new(Slow(reader)).lines().take(3);
        lines.collect::<Result<Vec<_>, _>>()
    });
    let lines = tokio::time::timeout(std::time::Duration::from_secs(60), reading).await???;
    worker.kill()?;
    worker.wait()?;
    let mut seen = BTreeSet::new();
    for line in lines {
        let event: Value = serde_json::from_str(&line)?;
        assert!(line.len() > LONG);
        seen.insert(event["subject"].as_str().unwrap_or_default().to_owned());
    }
    assert_eq!(seen, runs);
    Ok(())
}

#[tokio::test]
async fn without_a_standard_output_the_worker_says_so_and_ends() -> anyhow::Result<()> {
    let (folder, sim) = (tempfile::tempdir()?, Simulator::start(SimConfig::default()).await?);
    let command = worker(&sim, &folder)?;
    let mut closed = Command::new("/bin/sh");
    closed
        .args(["-c", "exec \"$0\" \"$@\" >&-"])
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = closed.output()?;
    let said = String::from_utf8(output.stderr)?;
    assert!(
        said.contains("cannot set up the handler `stdout`: the standard output is closed"),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(1));
    Ok(())
}

#[tokio::test]
async fn events_in_the_journal_are_warned_of() -> anyhow::Result<()> {
    use std::os::unix::fs::MetadataExt as _;

    let (folder, sim) = (tempfile::tempdir()?, Simulator::start(SimConfig::default()).await?);
    let stream = std::fs::File::create(folder.path().join("journal"))?;
    let found = stream.metadata()?;
    let mut command = worker(&sim, &folder)?;
    command.env("JOURNAL_STREAM", format!("{}:{}", found.dev(), found.ino()));
    let mut worker = command.stdout(stream).stderr(Stdio::piped()).spawn()?;
    let log = worker.stderr.take().map(BufReader::new);
    let warned = tokio::task::spawn_blocking(move || {
        let mut lines = log.into_iter().flat_map(BufRead::lines).map_while(Result::ok);
        lines.any(|line| line.contains("WARN") && line.contains("the systemd journal"))
    });
    let warned = tokio::time::timeout(std::time::Duration::from_secs(60), warned).await;
    worker.kill()?;
    worker.wait()?;
    assert!(warned??);
    Ok(())
}
