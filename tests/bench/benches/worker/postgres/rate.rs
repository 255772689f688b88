//! How many webhooks are in the database for each second.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use benches::{Limit, Table};
use system_tests::{PostgresServer, WorkerProcess};
use tokio::process::Command;

use super::Database;
use crate::load::{CONNECTIONS, Load};
use crate::rate;

/// How long one turn lasts, and how many there are.
const TURN: Duration = Duration::from_secs(10);
const TURNS: usize = 3;
/// A row as large as a webhook.
const INSERT: &str = "INSERT INTO bench (body) VALUES (repeat('x', 2048));\n";
const TABLE: &str = "CREATE TABLE IF NOT EXISTS bench (id bigserial PRIMARY KEY, body text NOT NULL)";

pub(super) async fn measure(table: &mut Table, database: &Database) -> anyhow::Result<()> {
    // Nobody listens there: what is measured is the door.
    let api = "http://127.0.0.1:9";
    let one = WorkerProcess::start(&database.worker("taken", "one", api)).await?;
    let two = WorkerProcess::start(&database.worker("taken", "two", api)).await?;
    let alone = rate::load(&one);
    let both = Load {
        doors: [one.receive_address(), two.receive_address()].into(),
        ..alone.clone()
    };
    let script = database.folder().join("insert.sql");
    std::fs::write(&script, INSERT)?;
    program(database, "psql", &["--quiet", "--command", TABLE]).await?;
    let (mut to_single, mut to_one, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        let single = inserted(database, &script).await?;
        let taken = alone.as_fast_as_possible(TURN).await?;
        let by_both = both.as_fast_as_possible(TURN).await?;
        // The first turn warms everything up.
        if turn > 0 {
            to_single.push(taken / single);
            to_one.push(by_both / taken);
            rates.push((single, taken, by_both));
        }
    }
    table.row(
        "durable 2xx per second, to inserts of single rows",
        middle(to_single),
        Limit::AtLeast(2.0),
    );
    table.row("the same with two workers, to one", middle(to_one), Limit::AtLeast(0.9));
    for (single, taken, by_both) in rates {
        println!("  {single:.0} single rows, {taken:.0} webhooks by one worker, {by_both:.0} by two, for each second");
    }
    Ok(())
}

pub(super) fn middle(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of.get(of.len() / 2).copied().unwrap_or(f64::NAN)
}

/// How many rows as many clients insert for each second, one for each transaction.
async fn inserted(database: &Database, script: &Path) -> anyhow::Result<f64> {
    let (clients, seconds) = (CONNECTIONS.to_string(), TURN.as_secs().to_string());
    let script = script.display().to_string();
    let arguments = ["-n", "-c", &clients, "-j", "2", "-T", &seconds, "-f", &script];
    let said = program(database, "pgbench", &arguments).await?;
    let line = said.lines().find_map(|line| line.strip_prefix("tps = "));
    let rate = line.and_then(|line| line.split(' ').next()?.parse().ok());
    rate.with_context(|| format!("pgbench said no rate: {said}"))
}

/// Runs a program of PostgreSQL's on the server; what it said.
async fn program(database: &Database, name: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let programs = PostgresServer::programs().context("PostgreSQL is not installed")?;
    let said = Command::new(programs.join(name))
        .args(arguments)
        .args(["--host=127.0.0.1", "--username=postgres", "--port"])
        .arg(database.server.port().to_string())
        .arg("postgres")
        .output()
        .await
        .with_context(|| format!("run {name}"))?;
    ensure!(
        said.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&said.stderr)
    );
    Ok(String::from_utf8_lossy(&said.stdout).into_owned())
}
