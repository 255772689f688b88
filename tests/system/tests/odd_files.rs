//! `file` handlers on what is no plain file, and paths as people write them.

use std::path::Path;

use anyhow::{Context as _, ensure};
use nix::sys::stat::Mode;
use serde_json::Value;
use system_tests::{Stage, WorkerProcess, WorkerSettings, words};
use tallyfy_sim::{SimConfig, Simulator};

fn handler(name: &str, path: &str) -> String {
    format!(
        "[[handlers]]\nname = \"{name}\"\ntype = \"file\"\npath = \"{path}\"\n[handlers.filter]\nevents = [\"seen\"]\n"
    )
}

/// The runs of the lines of a file or a FIFO.
fn runs_of(text: &str) -> anyhow::Result<Vec<String>> {
    let run = |line: &str| -> anyhow::Result<String> {
        let event: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        Ok(event["subject"].as_str().unwrap_or_default().to_owned())
    };
    text.lines().map(run).collect()
}

#[tokio::test]
async fn what_is_no_plain_file_gets_each_event_once_and_keeps_nobody_else_waiting() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    nix::unistd::mkfifo(&at("fifo"), Mode::S_IRWXU)?;
    nix::unistd::mkfifo(&at("unread"), Mode::S_IRWXU)?;
    std::os::unix::fs::symlink(at("plain"), at("link"))?;
    let config = at("worker.toml");
    let named = [
        ("null", "/dev/null"),
        ("standard-output", "/dev/stdout"),
        ("descriptor", "/proc/self/fd/1"),
    ];
    let beside = ["fifo", "unread", "link"].map(|name| handler(name, &at(name).display().to_string()));
    let all = named.map(|(name, path)| handler(name, path)).concat() + &beside.concat();
    std::fs::write(&config, all)?;
    let mut stage = Stage::set(
        SimConfig::default(),
        &[("RUNS_WORKER_CONFIG", &config.display().to_string())],
    )
    .await?;
    stage.connect_templates()?;
    let fifo = at("fifo");
    let reading = tokio::task::spawn_blocking(move || std::fs::read_to_string(fifo));
    let mut runs = Vec::new();
    for number in 0..3 {
        runs.push(stage.sim.launch(&format!("Order {number}"))?);
    }
    // Two handlers write to the standard output.
    let twice = |events: &[system_tests::ReceivedEvent]| runs.iter().all(|run| words(events, run).len() == 2);
    stage.worker.wait_for_events(twice).await?;
    let waiting = |metrics: &str, handler: &str, count: u32| {
        metrics.contains(&format!("runs_worker_undelivered{{handler=\"{handler}\"}} {count}"))
    };
    loop {
        let metrics = stage.get("/metrics").await?;
        let quick = ["null", "standard-output", "descriptor", "fifo", "link"];
        if quick.iter().all(|handler| waiting(&metrics, handler, 0)) {
            ensure!(waiting(&metrics, "unread", 3), "{metrics}");
            break;
        }
    }
    let ready = stage.get("/health/ready").await?;
    ensure!(ready.contains("no program reads it"), "{ready}");
    let exit = stage.worker.terminate().await?;
    ensure!(exit.status.success(), "{exit:?}");
    let mut sorted = runs.clone();
    sorted.sort();
    let plain = std::fs::read_to_string(at("plain"))?;
    for text in [reading.await??, plain] {
        let mut found = runs_of(&text)?;
        found.sort();
        ensure!(found == sorted, "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn paths_in_the_file_lead_from_the_file_wherever_the_worker_is_started() -> anyhow::Result<()> {
    let (folder, elsewhere) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let sim = Simulator::start(SimConfig::default()).await?;
    let etc = folder.path().join("etc");
    std::fs::create_dir(&etc)?;
    let toml = format!(
        "[api]\nbase_url = \"{}\"\n[store]\ndata_dir = \"../state\"\n[intake]\ndirs = [\"../intake\"]\n[[organizations]]\n\
         id = \"{}\"\ntoken_file = \"token\"\nwebhook_secrets_file = \"secrets/of-the-path\"\n{}\
         [[handlers]]\nname = \"run\"\ntype = \"command\"\ncommand = [\"./program\"]\nworking_dir = \"..\"\n",
        sim.base_url(),
        sim.org(),
        handler("out", "../events.jsonl"),
    );
    std::fs::write(etc.join("worker.toml"), toml)?;
    std::fs::write(etc.join("token"), sim.token())?;
    std::fs::create_dir(etc.join("secrets"))?;
    std::fs::write(etc.join("secrets/of-the-path"), "a-secret-0123456789\n")?;
    let make = |path: &Path, text: &str| -> anyhow::Result<()> {
        std::fs::write(path, text)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(path, mode).map_err(Into::into)
    };
    make(&etc.join("program"), "#!/bin/sh\necho > made-by-the-program\n")?;
    // The file is named from where the worker is started, too.
    let start = folder.path().join("start");
    make(
        &start,
        &format!(
            "#!/bin/sh\ncd {}\nexec {} \"$@\"\n",
            folder.path().display(),
            system_tests::binary()?.display()
        ),
    )?;
    let settings = WorkerSettings::of_file(Path::new("etc/../etc/worker.toml"), elsewhere.path())
        .without("RUNS_WORKER_DATA_DIR")
        .of_program(start);
    let worker = WorkerProcess::start(&settings).await?;
    sim.set_webhook_url(Some(&format!(
        "http://{}/webhooks/a-secret-0123456789",
        worker.receive_address()
    )))?;
    sim.launch("Order")?;
    let (events, made) = (
        folder.path().join("events.jsonl"),
        folder.path().join("made-by-the-program"),
    );
    let there = async {
        while !made.exists() || std::fs::read_to_string(&events).map_or(true, |text| !text.ends_with('\n')) {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(std::time::Duration::from_secs(60), there).await;
    waited.with_context(|| worker.log().join("\n"))?;
    ensure!(folder.path().join("state/runs.db").exists() && folder.path().join("intake").exists());
    ensure!(std::fs::read_dir(elsewhere.path())?.next().is_none());
    Ok(())
}
