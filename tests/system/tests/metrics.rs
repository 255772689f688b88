//! What is written of the metrics, and what the alerts and dashboards ask for, is what the worker has.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use system_tests::Stage;
use tallyfy_sim::SimConfig;

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
    for package in ["runs-worker", "runs-store"] {
        sources(&root().join("crates").join(package).join("src"), &mut found)?;
    }
    Ok(found)
}

#[test]
fn the_page_on_metrics_has_every_metric() -> anyhow::Result<()> {
    let page = std::fs::read_to_string(root().join("docs/metrics.md"))?;
    assert_eq!(named_in(&page), of_the_worker()?);
    Ok(())
}

/// The metrics of a server that several workers share: a worker with a file has none of them.
const OF_A_SERVER: [&str; 2] = [
    "runs_worker_store_connection_wait_seconds",
    "runs_worker_store_statement_seconds",
];

#[tokio::test]
async fn a_worker_that_has_just_started_serves_every_metric_and_promtool_has_nothing_to_say() -> anyhow::Result<()> {
    let limit = [("RUNS_WORKER__API__REQUESTS_PER_MINUTE", "100")];
    let stage = Stage::set(SimConfig::default(), &limit).await?;
    stage
        .worker
        .wait_for_log(|line| line.contains("sweep finished"))
        .await?;
    let answer = stage.get("/metrics").await?;
    let (_, served) = answer.split_once("\r\n\r\n").context("no body")?;
    let page = std::fs::read_to_string(root().join("docs/metrics.md"))?;
    let process = page
        .split('`')
        .filter(|name| name.starts_with("process_"))
        .map(str::to_owned);
    let missing: Vec<String> = named_in(&page)
        .into_iter()
        .chain(process)
        .filter(|name| !OF_A_SERVER.contains(&name.as_str()))
        .filter(|name| !served.contains(&format!("# HELP {name} ")) || !served.contains(&format!("# TYPE {name} ")))
        .collect();
    ensure!(missing.is_empty(), "{missing:?} are not in {served}");
    let mut promtool = match Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    {
        Ok(promtool) => promtool,
        Err(error) => return without_promtool(error),
    };
    promtool
        .stdin
        .take()
        .context("no input")?
        .write_all(served.as_bytes())?;
    let said = promtool.wait_with_output()?;
    let text = String::from_utf8_lossy(&said.stderr).into_owned() + &String::from_utf8_lossy(&said.stdout);
    ensure!(said.status.success() && text.trim().is_empty(), "{text}");
    Ok(())
}

#[test]
fn alerts_and_dashboards_name_metrics_that_there_are() -> anyhow::Result<()> {
    let there = of_the_worker()?;
    for file in [
        "prometheus/alerts.yml",
        "grafana/overview.json",
        "grafana/handler.json",
        "grafana/workers.json",
    ] {
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
        Err(error) => return without_promtool(error),
    }
    Ok(())
}

/// It may be missing, but not in CI.
fn without_promtool(error: std::io::Error) -> anyhow::Result<()> {
    if std::env::var_os("CI").is_some() {
        return Err(error).context("promtool is needed here");
    }
    skipped(&format!(
        "promtool cannot be run ({error}); it is in Debian's package prometheus"
    ));
    Ok(())
}

#[expect(clippy::print_stderr, reason = "what is skipped is said aloud")]
fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}
