//! `runs-worker events`

use std::process::ExitCode;

use clap::Subcommand;
use runs_store::{HandlerName, Query, Store};
use serde_json::json;
use uuid::Uuid;

use super::table::Table;
use super::which::{Output, Which};
use super::with_store::{End, Outcome, with_store};
use super::{Settings, print};

#[derive(Debug, Subcommand)]
pub(super) enum Events {
    /// List events, the newest first
    List {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        output: Output,
    },
    /// Print an event as handlers get it
    Show {
        /// The event's id
        id: Uuid,
    },
}

impl Events {
    pub(super) async fn run(self, settings: &Settings) -> ExitCode {
        with_store(settings, async |store| match &self {
            Self::List { which, output } => list(store, &which.query(), output).await,
            Self::Show { id } => Ok(match store.event(*id).await? {
                Some(event) => print::body(&event.body),
                None => End::Nothing,
            }),
        })
        .await
    }
}

async fn list(store: &dyn Store, query: &Query, output: &Output) -> Outcome {
    let mut table = Table::new([
        "id",
        "time",
        "org",
        "run",
        "number",
        "type",
        "waiting for",
        "given up for",
    ]);
    for event in store.events(query, output.limit).await? {
        let names = |names: &[HandlerName]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        table.row([
            json!(event.id),
            json!(event.created_at),
            json!(event.org),
            json!(event.run),
            json!(event.number),
            json!(event.event_type),
            json!(names(&event.waiting)),
            json!(names(&event.dead)),
        ]);
    }
    Ok(print::table(table, output.json))
}
