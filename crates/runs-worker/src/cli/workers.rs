//! `runs-worker workers`

use std::process::ExitCode;

use clap::Subcommand;
use runs_store::{Store, WorkerSummary};
use serde_json::json;
use tallyfy_model::OrgId;

use super::table::Table;
use super::with_store::{End, Outcome, with_store};
use super::{Settings, print};
use crate::tell::AWAY;

#[derive(Debug, Subcommand)]
pub(super) enum Workers {
    /// List the workers that share a database, since when each runs, and which organizations it fetches for
    List {
        /// One JSON object a line, for programs
        #[arg(long)]
        json: bool,
    },
}

impl Workers {
    pub(super) async fn run(self, settings: &Settings) -> ExitCode {
        let Self::List { json } = self;
        with_store(settings, async |store| list(store, json).await).await
    }
}

async fn list(store: &dyn Store, as_json: bool) -> Outcome {
    let mut table = Table::new(["worker", "host", "version", "started", "seen", "state", "fetches for"]);
    let workers = store.workers().await?;
    if workers.is_empty() {
        return Ok(End::Nothing);
    }
    for worker in workers {
        let orgs: Vec<&str> = worker.seats.iter().map(OrgId::as_str).collect();
        table.row([
            json!(worker.id),
            json!(worker.host),
            json!(worker.version),
            json!(worker.started_at),
            json!(worker.seen_at),
            json!(state(&worker)),
            json!(orgs),
        ]);
    }
    print::table(table, as_json)
}

fn state(worker: &WorkerSummary) -> &'static str {
    match worker.ended_at {
        Some(_) => "ended",
        None if is_here(worker) => "runs",
        None => "away",
    }
}

/// Whether it was seen lately.
pub(super) fn is_here(worker: &WorkerSummary) -> bool {
    worker.ended_at.is_none() && worker.silent_for < AWAY
}
