//! The programs of `command` handlers, beside a worker that dies or is process 1.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use system_tests::{Stage, WorkerProcess, WorkerSettings};
use tallyfy_sim::{SimConfig, Simulator};

const SECRET: &str = "3b1f0c8e5a7d49629f8e7a6b5c4d3e2f";

/// Makes a program of the shell.
fn program(folder: &Path, name: &str, script: &str) -> anyhow::Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// A configuration with one handler, which runs this script in the folder for each `seen` event.
fn configuration(folder: &Path, script: &str) -> anyhow::Result<String> {
    let program = program(folder, "program", script)?;
    let config = folder.join("worker.toml");
    let handler = format!(
        "[[handlers]]\nname = \"run\"\ntype = \"command\"\ncommand = [\"{}\"]\nworking_dir = \"{}\"\n\
         [handlers.filter]\nevents = [\"seen\"]\n",
        program.display(),
        folder.display()
    );
    fs::write(&config, handler)?;
    Ok(config.display().to_string())
}

/// Waits until a file has a whole line.
async fn line_of(file: &Path) -> anyhow::Result<String> {
    let read = async {
        loop {
            match fs::read_to_string(file) {
                Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    let read = tokio::time::timeout(Duration::from_secs(30), read).await;
    read.with_context(|| format!("nothing is in {}", file.display()))
}

#[tokio::test]
async fn a_try_whose_worker_was_killed_does_not_run_beside_the_next_one() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    // The first try begins a session of its own, so that no process group has it.
    let script = "if [ $RUNS_ATTEMPT = 1 ]; then exec setsid sh -c 'echo $$ > first; sleep 600; touch late'; fi\n\
                  if grep -q sleep /proc/$(cat first)/cmdline; then echo both > second; else echo alone > second; fi";
    let config = configuration(folder.path(), script)?;
    let mut stage = Stage::set(SimConfig::default(), &[("RUNS_WORKER_CONFIG", &config)]).await?;
    stage.connect_templates()?;
    stage.sim.launch("Order 1")?;
    line_of(&folder.path().join("first")).await?;
    stage.kill_and_restart().await?;
    assert_eq!(line_of(&folder.path().join("second")).await?, "alone");
    stage
        .worker
        .wait_for_log(|line| line.contains("an earlier try of this event was still running and was killed"))
        .await
}

#[tokio::test]
async fn as_process_1_the_worker_leaves_no_zombies() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let namespace = "unshare --map-root-user --pid --fork --mount-proc --kill-child";
    let may = std::process::Command::new("/bin/sh")
        .args(["-c", &format!("{namespace} true")])
        .status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: this user may make no process namespace");
        return Ok(());
    }
    let script = "(sh -c 'echo $$ > left; sleep 0.1' &)\nwhile ! [ -s left ]; do sleep 0.01; done\n\
                  for _ in $(seq 500); do [ -e /proc/$(cat left) ] || break; sleep 0.01; done\n\
                  if [ -e /proc/$(cat left) ]; then echo zombie > end; else echo reaped > end; fi";
    let config = configuration(folder.path(), script)?;
    let first = program(
        folder.path(),
        "first",
        &format!("exec {namespace} {} \"$@\"", system_tests::binary()?.display()),
    )?;
    let sim = Simulator::start(SimConfig::default()).await?;
    let data_dir = folder.path().join("data");
    let settings = WorkerSettings::new(sim.org(), &sim.token(), SECRET, sim.base_url(), &data_dir)
        .with("PATH", &std::env::var("PATH")?)
        .with("RUNS_WORKER_CONFIG", &config)
        .of_program(first);
    let worker = WorkerProcess::start(&settings).await?;
    sim.set_webhook_url(Some(&format!("http://{}/webhooks/{SECRET}", worker.receive_address())))?;
    sim.launch("Order 1")?;
    assert_eq!(line_of(&folder.path().join("end")).await?, "reaped");
    Ok(())
}
