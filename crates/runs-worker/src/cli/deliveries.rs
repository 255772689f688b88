//! `runs-worker deliveries`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use runs_store::{IdsOf, Query, SchedulingTime, Store, WaitingDelivery};
use serde_json::json;

use super::table::Table;
use super::which::{OfHandler, Output, Which};
use super::with_store::{Outcome, misused, note, with_store};
use super::{Settings, print};

#[derive(Debug, Subcommand)]
pub(super) enum Deliveries {
    /// List deliveries that are not done, by handler and run in their order
    List {
        #[command(flatten)]
        meant: Meant,
        #[command(flatten)]
        output: Output,
    },
    /// Try these deliveries now instead of waiting for their next try
    Retry {
        #[command(flatten)]
        meant: Meant,
        /// All of them
        #[arg(long)]
        all: bool,
    },
}

/// Deliveries, by the ids of their events, and more.
#[derive(Debug, Args)]
pub(super) struct Meant {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    of: OfHandler,
    /// Only those whose last try failed
    #[arg(long)]
    failing: bool,
}

impl Deliveries {
    pub(super) async fn run(self, settings: &Settings) -> ExitCode {
        with_store(settings, async |store| match &self {
            Self::List { meant, output } => list(store, &meant.query(store).await?, output).await,
            Self::Retry { meant, all } => {
                if !all && !meant.says_something() {
                    return Err(misused(
                        "say which: ids, --run, --org, --since, --until, --handler, --failing or --all",
                    ));
                }
                let query = meant.query(store).await?;
                let retried = store.retry_deliveries(&query, SchedulingTime::by_wall_clock()).await?;
                note(
                    store,
                    &query,
                    format!("had {} tried now", print::plural(retried, "delivery")),
                )
                .await;
                print::counted(retried, "delivery", "due now")
            }
        })
        .await
    }
}

impl Meant {
    async fn query(&self, store: &dyn Store) -> Result<Query, super::with_store::Trouble> {
        let mut query = self.which.query(store, IdsOf::Events).await?;
        query.handler = self.of.name();
        query.failing = self.failing;
        Ok(query)
    }

    fn says_something(&self) -> bool {
        self.failing || self.of.name().is_some() || self.which.says_something()
    }
}

async fn list(store: &dyn Store, query: &Query, output: &Output) -> Outcome {
    let mut table = Table::new([
        "event",
        "handler",
        "org",
        "run",
        "number",
        "type",
        "state",
        "attempts",
        "next try",
        "last error",
    ]);
    for delivery in store.deliveries(query, output.limit).await? {
        table.row([
            json!(delivery.event.id),
            json!(delivery.handler.as_str()),
            json!(delivery.event.org),
            json!(delivery.event.run),
            json!(delivery.event.number),
            json!(delivery.event.event_type),
            json!(state(&delivery)),
            json!(delivery.attempts),
            json!(delivery.due_at.filter(|_| !delivery.is_out)),
            json!(delivery.reason),
        ]);
    }
    print::table(table, output.json)
}

fn state(delivery: &WaitingDelivery) -> &'static str {
    match (delivery.is_out, delivery.due_at, &delivery.reason) {
        (true, ..) => "out",
        (false, None, _) => "behind another",
        (false, Some(_), Some(_)) => "failing",
        (false, Some(_), None) => "due",
    }
}
