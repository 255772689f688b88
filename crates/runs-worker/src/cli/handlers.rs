//! `runs-worker handlers`

use std::process::ExitCode;

use clap::Subcommand;
use jiff::Timestamp;
use runs_store::{HandlerName, Store};
use serde_json::json;

use super::table::Table;
use super::with_store::{Outcome, with_store};
use super::{Settings, handlers_test, print};

#[derive(Debug, Subcommand)]
pub(super) enum Handlers {
    /// List the handlers and what waits for each
    List {
        /// One JSON object a line, for programs
        #[arg(long)]
        json: bool,
    },
    /// Send a sample event to a handler, once and past the store, and say how it ended
    Test {
        /// The handler's name, as configured
        name: String,
    },
    /// Delete what waits for a handler that is not configured any more
    Drop {
        /// The handler's name
        name: String,
    },
}

impl Handlers {
    pub(super) async fn run(self, settings: &Settings) -> ExitCode {
        match self {
            Self::List { json } => with_store(settings, async |store| list(store, json).await).await,
            Self::Test { name } => handlers_test::run(&name, settings).await,
            Self::Drop { name } => {
                with_store(settings, async |store| {
                    let dropped = store.drop_waiting(&HandlerName::new(name)).await?;
                    print::counted(dropped, "event", "deleted")
                })
                .await
            }
        }
    }
}

async fn list(store: &dyn Store, as_json: bool) -> Outcome {
    let mut table = Table::new(["handler", "configured", "waiting", "since", "dead letters"]);
    for handler in store.stats(Timestamp::now()).await?.handlers {
        table.row([
            json!(handler.handler.as_str()),
            json!(handler.active),
            json!(handler.waiting),
            json!(handler.oldest),
            json!(handler.dead_letters),
        ]);
    }
    print::table(table, as_json)
}
