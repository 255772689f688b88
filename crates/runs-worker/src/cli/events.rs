//! `runs-worker events`

use std::process::ExitCode;

use clap::Subcommand;
use runs_store::{EventSummary, HandlerName, IdsOf, Query, Store, Whole};
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
        /// Those that wait for this handler, that it has, that were given up for it or that its filter kept back
        #[arg(long, value_name = "NAME")]
        handler: Option<String>,
        /// Only those that wait for a handler
        #[arg(long)]
        pending: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Print an event as handlers get it; the standard error says what became of it for each handler
    Show {
        /// The event's id, or the beginning of it
        id: ShortId,
        /// As it is, controls and all, on a terminal too
        #[arg(long)]
        raw: bool,
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
            Self::Show { id, raw } => match store.event(id.find(store, IdsOf::Events).await?).await? {
                Some(event) => show(&event, *raw),
                None => Ok(End::Nothing),
            },
        })
        .await
    }
}

/// The body alone is on the standard output, for programs.
fn show(event: &Whole<EventSummary>, raw: bool) -> Outcome {
    for line in fates(&event.summary) {
        print::remark(&line);
    }
    print::body(&event.body, raw)
}

/// What became of an event for each handler.
fn fates(event: &EventSummary) -> Vec<String> {
    let waiting = event.waiting.iter().map(|name| format!("{name}: waiting"));
    let delivered = event
        .delivered
        .iter()
        .map(|(name, at)| format!("{name}: delivered at {at}"));
    let dead = event
        .dead
        .iter()
        .map(|name| format!("{name}: given up; `dead-letters show` says why"));
    let kept_back = event
        .kept_back
        .iter()
        .map(|(name, key)| format!("{name}: kept back by filter ({key})"));
    waiting.chain(delivered).chain(dead).chain(kept_back).collect()
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
        "delivered to",
        "given up for",
        "kept back for",
    ]);
    for event in store.events(query, output.limit).await? {
        table.row([
            json!(event.id),
            json!(event.created_at),
            json!(event.org),
            json!(event.run),
            json!(event.number),
            json!(event.event_type),
            json!(event.waiting.iter().map(HandlerName::as_str).collect::<Vec<_>>()),
            json!(
                event
                    .delivered
                    .iter()
                    .map(|(name, _)| name.as_str())
                    .collect::<Vec<_>>()
            ),
            json!(event.dead.iter().map(HandlerName::as_str).collect::<Vec<_>>()),
            json!(
                event
                    .kept_back
                    .iter()
                    .map(|(name, _)| name.as_str())
                    .collect::<Vec<_>>()
            ),
        ]);
    }
    print::table(table, output.json)
}
