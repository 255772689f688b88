//! The database server, and the workers that share the store in it.

use std::time::Duration;

use runs_store::{Inspection, ServerReport, StoreError, StoreLocation};

use super::finding::Finding;
use crate::cli::workers::is_here;
use crate::telemetry;

/// A transaction that is open for longer keeps the tables from being cleaned up.
const LONG: Duration = Duration::from_secs(5 * 60);
/// So many dead rows are nothing to be told of.
const MANY: u64 = 100_000;

/// What is found, and who has the store open.
pub(super) async fn look(location: &StoreLocation) -> (Vec<Finding>, Option<String>) {
    let (store, is_there) = match location.inspect().await {
        Ok(Inspection::Present { schema, supported, .. }) if schema < supported => {
            let text = format!("{location}; its schema will be brought from version {schema} to {supported}");
            (Finding::ok("store", text), false)
        }
        Ok(Inspection::Present { .. }) => (Finding::ok("store", location.to_string()), true),
        Ok(_) => (
            Finding::ok("store", format!("{location} is not there yet and will be made")),
            false,
        ),
        Err(error) => return (vec![Finding::failure("store", telemetry::chain(&error))], None),
    };
    let mut findings = vec![store];
    match location.server().await {
        Ok(Some(report)) => findings.extend(server(&report)),
        Ok(None) => {}
        Err(error) => findings.push(Finding::failure("database", telemetry::chain(&error))),
    }
    if !is_there {
        return (findings, None);
    }
    let (finding, holder) = workers(location)
        .await
        .unwrap_or_else(|error| (Finding::failure("workers", telemetry::chain(&error)), None));
    findings.push(finding);
    (findings, holder)
}

async fn workers(location: &StoreLocation) -> Result<(Finding, Option<String>), StoreError> {
    let store = location.open_beside().await?;
    let workers = store.workers().await;
    store.close().await;
    let here: Vec<String> = workers?
        .iter()
        .filter(|worker| is_here(worker))
        .map(|worker| {
            format!(
                "{} ({}, {} organizations)",
                worker.host,
                worker.version,
                worker.seats.len()
            )
        })
        .collect();
    if here.is_empty() {
        return Ok((Finding::ok("workers", "none runs on this database"), None));
    }
    let text = here.join(", ");
    Ok((Finding::ok("workers", text.clone()), Some(text)))
}

fn server(report: &ServerReport) -> Vec<Finding> {
    let mut findings = vec![durability(report)];
    if !report.hears_notifications {
        let text = "workers do not hear each other: NOTIFY is not passed on";
        let hint = "a pooler in transaction mode swallows it; work is found by looking, half a second later at most";
        findings.push(Finding::warning("database", text).hint(hint));
    }
    if let Some(oldest) = report.oldest_transaction.filter(|oldest| *oldest > LONG) {
        let text = format!("a transaction has been open for {} minutes", oldest.as_secs() / 60);
        let hint = "what was changed since cannot be cleaned up, and everything gets slower: see pg_stat_activity";
        findings.push(Finding::warning("database", text).hint(hint));
    }
    if report.dead_rows > MANY && report.dead_rows > report.live_rows {
        let text = format!("{} dead rows beside {} live ones", report.dead_rows, report.live_rows);
        let hint = "autovacuum does not keep up: look for old transactions, replication slots and its settings";
        findings.push(Finding::warning("database", text).hint(hint));
    }
    findings
}

/// What the server's settings mean for a webhook that was acknowledged.
fn durability(report: &ServerReport) -> Finding {
    let version = &report.version;
    if !report.syncs {
        return Finding::failure("database", format!("PostgreSQL {version} with fsync = off"))
            .hint("what is acknowledged is lost in a power cut; set fsync = on");
    }
    match report.synchronous_commit.as_str() {
        "off" => Finding::failure(
            "database",
            format!("PostgreSQL {version} with synchronous_commit = off"),
        )
        .hint("what is acknowledged is lost in a crash of the server; set it to on, for this role at least"),
        "local" if report.has_synchronous_standby => Finding::warning(
            "database",
            format!("PostgreSQL {version} with synchronous_commit = local"),
        )
        .hint("what is acknowledged is lost with that server, although there is a standby"),
        setting if report.has_synchronous_standby => Finding::ok(
            "database",
            format!("PostgreSQL {version}; what is acknowledged is on two servers (synchronous_commit = {setting})"),
        ),
        _ => Finding::ok(
            "database",
            format!("PostgreSQL {version}; what is acknowledged is on that server's disk"),
        ),
    }
}
