//! Signals that operators, supervisors and the system send: a stop stops, and nothing else ends the worker.

use std::os::unix::fs::PermissionsExt as _;

use anyhow::ensure;
use nix::sys::signal::Signal;
use system_tests::{HonestSender, Stage, Told, WorkerProcess};
use tallyfy_sim::SimConfig;

#[tokio::test]
async fn whatever_asks_for_a_stop_gets_one() -> anyhow::Result<()> {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT] {
        let mut stage = Stage::set(SimConfig::default(), &[]).await?;
        stage.worker.signal(signal)?;
        let exit = stage.worker.ended().await?;
        ensure!(exit.status.success(), "{signal}: {:?}", exit.status);
    }
    Ok(())
}

#[tokio::test]
async fn no_other_signal_ends_the_worker() -> anyhow::Result<()> {
    let mut stage = Stage::set(SimConfig::default(), &[]).await?;
    stage.connect_templates()?;
    for signal in [
        Signal::SIGHUP,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGALRM,
        Signal::SIGVTALRM,
        Signal::SIGPROF,
        Signal::SIGIO,
        Signal::SIGPIPE,
        Signal::SIGXFSZ,
        Signal::SIGWINCH,
        Signal::SIGURG,
        Signal::SIGCONT,
        Signal::SIGCHLD,
        Signal::SIGTTIN,
        Signal::SIGCONT,
    ] {
        stage.worker.signal(signal)?;
    }
    let run = stage.sim.launch("Order")?;
    let seen = stage
        .worker
        .wait_for_events(|events| events.iter().any(|event| event.run() == run));
    seen.await?;
    ensure!(stage.worker.terminate().await?.status.success());
    Ok(())
}

/// The system tells a process by a signal that a file may not grow, before the write fails.
#[tokio::test]
async fn a_limit_on_the_size_of_files_is_an_error_and_no_death() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[]).await?;
    let start = stage.folder().join("start");
    let script = format!(
        "#!/bin/sh\nulimit -f 64\nexec {} \"$@\"\n",
        system_tests::binary()?.display()
    );
    std::fs::write(&start, script)?;
    std::fs::set_permissions(&start, std::fs::Permissions::from_mode(0o755))?;
    let small = stage.folder().join("small").display().to_string();
    let settings = stage
        .settings()
        .clone()
        .with("RUNS_WORKER_DATA_DIR", &small)
        .with("TALLYFY_WEBHOOK_SECRET", "a-secret-0123456789")
        .with("RUNS_WORKER_LISTEN", "127.0.0.1:0")
        .with("RUNS_WORKER_ADMIN_LISTEN", "127.0.0.1:0")
        .of_program(start);
    let mut worker = WorkerProcess::start(&settings).await?;
    let url = format!("http://{}/webhooks/a-secret-0123456789", worker.receive_address());
    let sender = HonestSender::new(&url, stage.sim.org())?;
    let (told, _) = sender.send(1, std::time::Duration::from_secs(30)).await;
    ensure!(told == Told::Answered(503), "{told:?}");
    worker.wait_for_log(|line| line.contains("File too large")).await?;
    ensure!(worker.terminate().await?.status.success());
    Ok(())
}
