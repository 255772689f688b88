//! Several workers on one PostgreSQL database: a real server of one's own, on the same cores.

mod events;
mod rate;
mod seats;
mod size;

use std::path::Path;

use benches::Table;
use system_tests::{PostgresServer, WorkerSettings};
use tempfile::TempDir;

use crate::place;
use crate::rate::{ORG, SECRET};

/// A server with one schema for each figure, and folders for workers.
struct Database {
    server: PostgresServer,
    folder: TempDir,
}

impl Database {
    fn url(&self, schema: &str) -> String {
        format!("{}?sslmode=disable&options=-csearch_path%3D{schema}", self.server.url())
    }

    /// A worker of this name, which is its token too, with its state in this schema.
    fn worker(&self, schema: &str, name: &str, api: &str) -> WorkerSettings {
        on(WorkerSettings::new(ORG, name, SECRET, api, &self.data(schema, name)))
            .with("RUNS_WORKER__STORE__URL", &self.url(schema))
    }

    fn data(&self, schema: &str, name: &str) -> std::path::PathBuf {
        self.folder.path().join(format!("{schema}-{name}"))
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Without a budget of requests, sweeps and words.
fn on(settings: WorkerSettings) -> WorkerSettings {
    settings
        .with("RUNS_WORKER__API__REQUESTS_PER_FIVE_SECONDS", "0")
        .with("RUNS_WORKER__API__REQUESTS_PER_MINUTE", "0")
        .with("RUNS_WORKER__API__REQUESTS_PER_HOUR", "0")
        .with("RUNS_WORKER__REFRESH__WINDOW", "0s")
        .with("RUNS_WORKER__RECONCILE__SCOPE", "off")
        .with("RUNS_WORKER__LOG__FILTER", "error,runs_worker::start=info")
}

pub(crate) async fn measure(table: &mut Table, is_wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let database = Database {
        server: PostgresServer::start()?,
        folder: place::folder()?,
    };
    if is_wanted("taken") {
        rate::measure(table, &database).await?;
    }
    if is_wanted("seats") {
        seats::measure(table, &database).await?;
    }
    if is_wanted("events") {
        events::measure(table, &database).await?;
    }
    if is_wanted("size") {
        size::measure(table, &database).await?;
    }
    Ok(())
}
