//! `runs-worker handlers`

use std::process::ExitCode;

use clap::Subcommand;
use runs_store::{HandlerName, SchedulingTime, Store};
use serde_json::json;

use super::table::Table;
use super::with_store::{End, Outcome, about, misused, note, with_store};
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
    Test(handlers_test::Test),
    /// Hand nothing out to a handler until it is resumed; its events wait
    Pause {
        /// The handler's name
        name: String,
    },
    /// Let a paused handler go on
    Resume {
        /// The handler's name
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
            Self::Test(test) => test.run(settings).await,
            Self::Pause { name } => with_store(settings, async |store| set_paused(store, name, true).await).await,
            Self::Resume { name } => with_store(settings, async |store| set_paused(store, name, false).await).await,
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

async fn set_paused(store: &dyn Store, name: String, paused: bool) -> Outcome {
    let handler = HandlerName::new(name.clone());
    if store.set_paused(&handler, paused).await? {
        let done = if paused { "paused" } else { "resumed" };
        note(store, &about(&handler), format!("{done} handler {handler}")).await;
        Ok(End::Well)
    } else {
        Err(misused(format!("no handler was ever called `{name}`")))
    }
}

async fn list(store: &dyn Store, as_json: bool) -> Outcome {
    let mut table = Table::new([
        "handler",
        "configured",
        "paused",
        "waiting",
        "since",
        "dead letters",
        "attempts",
        "failed at",
        "next try",
        "last error",
    ]);
    for handler in store.stats(SchedulingTime::by_wall_clock()).await?.handlers {
        table.row([
            json!(handler.handler.as_str()),
            json!(handler.active),
            json!(handler.paused),
            json!(handler.waiting),
            json!(handler.oldest),
            json!(handler.dead_letters),
            json!(handler.failing.as_ref().map(|failing| failing.attempts)),
            json!(handler.failing.as_ref().map(|failing| failing.at)),
            json!(handler.failing.as_ref().map(|failing| failing.next_try)),
            json!(handler.failing.as_ref().map(|failing| &failing.reason)),
        ]);
    }
    print::table(table, as_json)
}
