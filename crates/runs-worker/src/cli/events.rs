//! `runs-worker events`

use std::process::ExitCode;

use clap::Subcommand;
use runs_store::{HandlerName, IdsOf, Query, Store};
use serde_json::json;

use super::short_id::ShortId;
use super::table::Table;
use super::which::{Output, Which};
use super::with_store::{End, Outcome, with_store};
use super::{Settings, print};
use crate::event::EventType;

#[derive(Debug, Subcommand)]
pub(super) enum Events {
    /// List events, the newest first
    List {
        #[command(flatten)]
        which: Which,
        /// Those of this type, such as `completed`
        #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
        types: Vec<EventType>,
        /// Those that wait for this handler or were given up for it
        #[arg(long, value_name = "NAME")]
        handler: Option<String>,
        /// Only those that wait for a handler
        #[arg(long)]
        pending: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Print an event as handlers get it
    Show {
        /// The event's id, or the beginning of it
        id: ShortId,
    },
}

impl Events {
    pub(super) async fn run(self, settings: &Settings) -> ExitCode {
        with_store(settings, async |store| match &self {
            Self::List {
                which,
                types,
                handler,
                pending,
                output,
            } => {
                let mut query = which.query(store, IdsOf::Events).await?;
                query.types = types.iter().map(ToString::to_string).collect();
                query.handler = handler.clone().map(HandlerName::new);
                query.pending = *pending;
                list(store, &query, output).await
            }
            Self::Show { id } => match store.event(id.find(store, IdsOf::Events).await?).await? {
                Some(event) => print::body(&event.body),
                None => Ok(End::Nothing),
            },
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
    print::table(table, output.json)
}
