//! `runs-worker replay`

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use runs_store::{HandlerName, Query, Store};

use super::which::Which;
use super::with_store::{Outcome, misused, with_store};
use super::{Settings, print};

/// How many events are looked at together.
const PAGE: usize = 500;

#[derive(Debug, Args)]
pub(super) struct Replay {
    #[command(flatten)]
    which: Which,
    /// The handler that gets them
    #[arg(long, value_name = "NAME")]
    handler: String,
    /// All of them
    #[arg(long)]
    all: bool,
}

impl Replay {
    pub(super) async fn run(self, settings: &Settings) -> ExitCode {
        with_store(settings, async |store| {
            if !self.all && !self.which.says_something() {
                return Err(misused("say which events: ids, --run, --since, --until or --all"));
            }
            replay(store, &self.which.query(), &HandlerName::new(self.handler)).await
        })
        .await
    }
}

async fn replay(store: &dyn Store, query: &Query, handler: &HandlerName) -> Outcome {
    let (mut after, mut replayed) = (0, 0);
    loop {
        let page = store.events_after(query, after, PAGE).await?;
        let ids: Vec<_> = page.events.iter().map(|event| event.summary.id).collect();
        if ids.is_empty() {
            return Ok(print::counted(replayed, "put in line again"));
        }
        replayed += store.replay(&ids, handler, Timestamp::now()).await?;
        after = page.last;
    }
}
