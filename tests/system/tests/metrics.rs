//! What is written of the metrics, and what the alerts and dashboards ask for, is what the worker has.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The metrics that a text names.
fn named_in(text: &str) -> BTreeSet<String> {
    let is_part = |character: char| character.is_ascii_lowercase() || character == '_';
    text.match_indices("runs_worker_")
        .map(|(start, _)| {
            text[start..]
                .chars()
                .take_while(|character| is_part(*character))
                .collect()
        })
        .map(|name: String| name.trim_end_matches("_bucket").to_owned())
        .collect()
}

fn sources(folder: &Path, found: &mut BTreeSet<String>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path)?;
            // Only where one is counted or described: the name is a text of its own there.
            found.extend(
                text.split('"')
                    .flat_map(named_in)
                    .filter(|name| text.contains(&format!("\"{name}\""))),
            );
        }
    }
    Ok(())
}

fn of_the_worker() -> anyhow::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    sources(&root().join("crates/runs-worker/src"), &mut found)?;
    Ok(found)
}

#[test]
fn the_page_on_metrics_has_every_metric() -> anyhow::Result<()> {
    let page = std::fs::read_to_string(root().join("docs/metrics.md"))?;
    assert_eq!(named_in(&page), of_the_worker()?);
    Ok(())
}

#[test]
fn alerts_and_dashboards_name_metrics_that_there_are() -> anyhow::Result<()> {
    let there = of_the_worker()?;
    for file in ["prometheus/alerts.yml", "grafana/overview.json", "grafana/handler.json"] {
        let text = std::fs::read_to_string(root().join("dist").join(file))?;
        let named = named_in(&text);
        ensure!(!named.is_empty(), "{file} names no metric");
        let unknown: Vec<_> = named.difference(&there).collect();
        ensure!(unknown.is_empty(), "{file} names {unknown:?}");
        if file.ends_with(".json") {
            serde_json::from_str::<serde_json::Value>(&text).context(file)?;
        }
    }
    Ok(())
}

#[test]
fn every_alert_fires_in_one_case_and_is_quiet_in_another() -> anyhow::Result<()> {
    let folder = root().join("dist/prometheus");
    let alerts = std::fs::read_to_string(folder.join("alerts.yml"))?;
    let tests = std::fs::read_to_string(folder.join("alerts.test.yml"))?;
    for alert in alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        for case in ["fires", "is quiet"] {
            ensure!(
                tests.contains(&format!("name: {alert} {case}")),
                "no case in which {alert} {case}"
            );
        }
    }
    let ran = Command::new("promtool")
        .args(["test", "rules", "alerts.test.yml"])
        .current_dir(&folder)
        .output();
    match ran {
        Ok(ran) => {
            let told = String::from_utf8_lossy(&ran.stderr).into_owned() + &String::from_utf8_lossy(&ran.stdout);
            ensure!(ran.status.success(), "{told}");
        }
        Err(error) if std::env::var_os("CI").is_some() => return Err(error).context("promtool is needed here"),
        Err(error) => skipped(&format!(
            "promtool cannot be run ({error}); it is in Debian's package prometheus"
        )),
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "what is skipped is said aloud")]
fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}
