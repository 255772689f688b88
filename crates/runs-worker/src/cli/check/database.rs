//! The database server, and the workers that share the store in it.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use runs_store::{Inspection, ServerReport, StoreError, StoreLocation, WorkerSeen};

use super::finding::Finding;
use crate::cli::workers::is_here;
use crate::config::{Loaded, STDOUT};
use crate::telemetry;
use crate::tell::WorkerReport;

/// A transaction that is open for longer keeps the tables from being cleaned up.
const LONG: Duration = Duration::from_secs(5 * 60);
/// A worker says every few seconds that it is there.
const LATELY: Duration = Duration::from_secs(30);
/// So many dead rows are nothing to be told of.
const MANY: u64 = 100_000;

/// What is found, and who has the store open.
pub(super) async fn look(location: &StoreLocation, loaded: &Loaded) -> (Vec<Finding>, Option<String>) {
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
        Err(error) => return (vec![Finding::of_store(&error)], None),
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
    let (of_workers, holder) = workers(location, loaded)
        .await
        .unwrap_or_else(|error| (vec![Finding::failure("workers", telemetry::chain(&error))], None));
    findings.extend(of_workers);
    (findings, holder)
}

async fn workers(location: &StoreLocation, loaded: &Loaded) -> Result<(Vec<Finding>, Option<String>), StoreError> {
    let store = location.open_beside().await?;
    let (workers, beats) = (store.workers().await, store.beats(Timestamp::now() - LATELY).await);
    store.close().await;
    let others = beats?
        .iter()
        .filter_map(|seen| other_settings(seen, loaded))
        .collect::<Vec<_>>();
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
        return Ok((vec![Finding::ok("workers", "none runs on this database")], None));
    }
    let text = here.join(", ");
    let mut findings = others;
    findings.insert(0, Finding::ok("workers", text.clone()));
    Ok((findings, Some(text)))
}

/// What a worker that was there lately is configured with, where that is not what this configuration says.
fn other_settings(seen: &WorkerSeen, loaded: &Loaded) -> Option<Finding> {
    let report: WorkerReport = serde_json::from_str(&seen.report).ok()?;
    let mut ours: BTreeSet<&str> = loaded.handlers.iter().map(|handler| handler.name().as_str()).collect();
    if ours.is_empty() {
        ours.insert(STDOUT);
    }
    let orgs = loaded.organizations.iter().map(|organization| organization.id.as_str());
    let theirs = report.handlers.iter().map(|handler| handler.handler.as_str());
    let their_orgs = report.orgs.iter().map(|org| org.org.as_str());
    let differences = [
        ("handlers", theirs.collect::<BTreeSet<_>>(), ours),
        ("organizations", their_orgs.collect(), orgs.collect()),
    ];
    let differences = differences.iter().filter(|(_, theirs, ours)| theirs != ours);
    let told: Vec<String> = differences
        .map(|(what, theirs, ours)| format!("the {what} {}, here they are {}", listed(theirs), listed(ours)))
        .collect();
    let (worker, told) = (&seen.worker, told.join("; "));
    (!told.is_empty()).then(|| {
        Finding::warning("workers", format!("the worker on {worker} has {told}"))
            .hint("workers that share a database need the same configuration: events wait for handlers that only some of them have")
    })
}

fn listed(names: &BTreeSet<&str>) -> String {
    match names.is_empty() {
        true => "(none)".to_owned(),
        false => names.iter().copied().collect::<Vec<_>>().join(", "),
    }
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
