//! The samples of the documentation, as their reader would use them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
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
