//! The samples of the documentation, as their reader would use them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use system_tests::Stage;
use tallyfy_sim::SimConfig;

/// Fetches follow each other at once.
const NO_WINDOW: (&str, &str) = ("RUNS_WORKER__REFRESH__WINDOW", "0s");

/// The samples of a language in a page, from a heading on.
fn samples(page: &str, heading: &str, language: &str) -> anyhow::Result<Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let text = fs::read_to_string(root.join(page))?;
    let section = text.split_once(heading).context("the heading is there")?.1;
    let fence = format!("```{language}\n");
    let blocks = section.split(&fence).skip(1);
    let found: Vec<String> = blocks
        .filter_map(|block| Some(block.split_once("```")?.0.to_owned()))
        .collect();
    anyhow::ensure!(!found.is_empty(), "{page} has no sample in {language}");
    Ok(found)
}

/// A PostgreSQL in a folder, if this machine has one. It ends with its folder.
struct Database<'f> {
    folder: &'f Path,
}

impl<'f> Database<'f> {
    /// A database must not be run by root.
    fn command(program: &str) -> Command {
        if rustix::process::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups", program]);
            return command;
        }
        Command::new(program)
    }

    fn start(folder: &'f Path) -> anyhow::Result<Option<Self>> {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777))?;
        let data = folder.join("postgres");
        let made = Self::command("initdb")
            .args(["-U", "postgres", "-A", "trust", "-D"])
            .arg(&data)
            .output();
        if !made.is_ok_and(|output| output.status.success()) {
            return Ok(None);
        }
        let options = format!("-k {} -c listen_addresses='' -c fsync=off", folder.display());
        let started = Self::command("pg_ctl")
            .args(["-w", "-l"])
            .arg(folder.join("log"))
            .args(["-o", &options, "-D"])
            .arg(&data)
            .arg("start")
            .status()?;
        anyhow::ensure!(started.success(), "PostgreSQL does not start");
        Ok(Some(Self { folder }))
    }

    fn psql(&self, sql: &str) -> anyhow::Result<String> {
        let output = Command::new("psql")
            .args(["-U", "postgres", "-AtX", "-c", sql, "-h"])
            .arg(self.folder)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        anyhow::ensure!(output.status.success(), "{said}");
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        let data = self.folder.join("postgres");
        let _ = Self::command("pg_ctl")
            .args(["stop", "-m", "immediate", "-D"])
            .arg(data)
            .output();
    }
}

fn program(folder: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = folder.join(name);
    fs::write(&path, text)?;
    Ok(fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?)
}

/// Waits until a folder has so many files, and gives their names.
async fn files(folder: &Path, count: usize) -> anyhow::Result<BTreeSet<String>> {
    let look = async {
        loop {
            let found: BTreeSet<String> = fs::read_dir(folder)
                .into_iter()
                .flatten()
                .filter_map(|file| file.ok()?.file_name().into_string().ok())
                .collect();
            if found.len() >= count {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(60), look).await;
    found.with_context(|| format!("{} never has {count} files", folder.display()))
}

fn complete(stage: &Stage, run: &str) -> anyhow::Result<()> {
    while stage.sim.complete_next(run)?.is_some() {}
    Ok(())
}

#[tokio::test]
async fn every_completed_run_has_one_invoice_and_every_run_one_folder() -> anyhow::Result<()> {
    const HEADING: &str = "## An invoice for each completed run, a folder for each new one";
    let place = tempfile::tempdir()?;
    let config = place.path().join("worker.toml");
    fs::write(&config, &samples("filters.md", HEADING, "toml")?[0])?;
    let programs = samples("filters.md", HEADING, "sh")?;
    program(place.path(), "make-invoice", &programs[0])?;
    program(place.path(), "make-folder", &programs[1])?;
    let config = config.display().to_string();
    let mut stage = Stage::set(SimConfig::default(), &[("RUNS_WORKER_CONFIG", &config), NO_WINDOW]).await?;
    let (invoices, folders) = (place.path().join("invoices"), place.path().join("folders"));

    // Nothing tells of its launch: the first webhook is its completion.
    let quick = stage.sim.launch("Order 1")?;
    let open = stage
        .sim
        .tasks(&quick)?
        .iter()
        .filter(|task| !task.status.is_settled())
        .count();
    for _ in 1..open {
        stage.sim.complete_next(&quick)?;
    }
    stage.connect_templates()?;
    complete(&stage, &quick)?;
    files(&invoices, 1).await?;
    let slow = stage.sim.launch("Order 2")?;
    files(&folders, 2).await?;
    complete(&stage, &slow)?;
    files(&invoices, 2).await?;
    stage.kill_and_restart().await?;

    // It is reopened and completed again, which is another completion.
    let task = stage
        .sim
        .tasks(&slow)?
        .first()
        .map(|task| task.id.clone())
        .context("a task")?;
    stage.sim.change(|world| world.reopen(&task))?;
    while !stage
        .command(&["events", "list", "--type", "reactivated"])
        .await?
        .status
        .success()
    {}
    complete(&stage, &slow)?;
    let made = files(&invoices, 3).await?;
    let of = |run: &str| made.iter().filter(|name| name.starts_with(run)).count();
    assert_eq!((of(&quick), of(&slow), made.len()), (1, 2, 3));
    assert_eq!(files(&folders, 2).await?, BTreeSet::from([quick, slow]));
    Ok(())
}

#[tokio::test]
async fn the_program_of_the_page_about_programs_says_which_run_is_done() -> anyhow::Result<()> {
    let place = tempfile::tempdir()?;
    fs::write(
        place.path().join("on_event.py"),
        &samples("handlers/command.md", "# ", "python")?[0],
    )?;
    let config = place.path().join("worker.toml");
    let here = format!("working_dir = \"{}\"\n\n[handlers.filter]", place.path().display());
    let sample = &samples("handlers/command.md", "# ", "toml")?[0];
    fs::write(&config, sample.replace("[handlers.filter]", &here))?;
    let config = config.display().to_string();
    let path = std::env::var("PATH")?;
    let environment = [("RUNS_WORKER_CONFIG", config.as_str()), ("PATH", &path), NO_WINDOW];
    let stage = Stage::set(SimConfig::default(), &environment).await?;
    stage.connect_templates()?;
    let run = stage.sim.launch("Order 1")?;
    complete(&stage, &run)?;
    stage.worker.wait_for_log(|line| line.contains("Order 1 is done")).await
}

#[tokio::test]
async fn the_database_stores_text_that_it_does_not_take_and_rejects_only_what_it_cannot() -> anyhow::Result<()> {
    let place = tempfile::tempdir()?;
    let Some(database) = Database::start(place.path())? else {
        eprintln!("SKIPPED: this machine has no PostgreSQL");
        return Ok(());
    };
    database.psql(&samples("webhook-to-database.md", "# ", "sql")?[0])?;
    program(
        place.path(),
        "store-event",
        &samples("webhook-to-database.md", "# ", "sh")?[0],
    )?;
    let sample = &samples("webhook-to-database.md", "# ", "toml")?[0];
    let config = place.path().join("worker.toml");
    let here = place.path().display().to_string();
    fs::write(
        &config,
        sample
            .replace("127.0.0.1", &here)
            .replace("\"tallyfy\"", "\"postgres\""),
    )?;
    let config = config.display().to_string();
    let path = std::env::var("PATH")?;
    let environment = [("RUNS_WORKER_CONFIG", config.as_str()), ("PATH", &path), NO_WINDOW];
    let stage = Stage::set(SimConfig::default(), &environment).await?;
    let run = stage.sim.launch("Order 1")?;
    stage
        .sim
        .change(|world| world.set_custom_field(&run, "note", "a\u{0}b".into()))?;
    stage.connect_templates()?;
    complete(&stage, &run)?;
    let stored = format!("SELECT status FROM runs WHERE id = '{run}'");
    while !database.psql(&stored)?.starts_with("complete") {
        let letters = stage.command(&["dead-letters", "list"]).await?;
        assert!(!letters.status.success(), "{:?}", letters.stdout);
    }

    for (name, number, expected) in [
        (r"h\ud83d l\uDE00 \ud83d\ude00 \\u0000\u0000\u0000", "1", 0),
        ("too large a number", "1e200000", 65),
    ] {
        let event = format!(
            r#"{{"id":"01920f4e-0000-7000-8000-0000000000{expected:02}","subject":"r{expected}","type":"t","time":"2026-01-31T09:00:00Z",
            "sequence":"00000000000000000001","data":{{"run":{{"name":"{name}","status":"x","n":{number}}},"changes":[]}}}}"#
        );
        let file = place.path().join("event");
        fs::write(&file, event.replace('\n', ""))?;
        let mut store = Command::new(place.path().join("store-event"));
        store
            .env("PGHOST", place.path())
            .env("PGUSER", "postgres")
            .env("PGDATABASE", "postgres");
        let status = store
            .stdin(Stdio::from(fs::File::open(&file)?))
            .stderr(Stdio::null())
            .status()?;
        assert_eq!(status.code(), Some(expected), "{name}");
    }
    let name = database.psql("SELECT name FROM runs WHERE id = 'r0'")?;
    assert_eq!(name, "h\u{fffd} l\u{fffd} \u{1f600} \\u0000\u{fffd}\u{fffd}");
    Ok(())
}
