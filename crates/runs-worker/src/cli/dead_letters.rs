//! `runs-worker dead-letters`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use runs_store::{DeadLetter, IdsOf, Query, SchedulingTime, Store};
use serde_json::json;
use uuid::Uuid;

use super::short_id::ShortId;
use super::table::Table;
use super::which::{OfHandler, Output, Which};
use super::with_store::{End, Outcome, Trouble, misused, note, with_store};
use super::{Settings, print};

#[derive(Debug, Subcommand)]
pub(super) enum DeadLetters {
    /// List deliveries that were given up, the latest first
    List {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        of: OfHandler,
        #[command(flatten)]
        output: Output,
    },
    /// Print a dead letter: why it was given up, and what the handler's side said last
    Show {
        /// The event's id, or the beginning of it
        #[arg(value_name = "EVENT_ID")]
        id: ShortId,
    },
    /// Put them back: each is the next event that its handler gets of its run
    Retry(#[command(flatten)] Meant),
    /// Delete these dead letters; their events stay
    Drop(#[command(flatten)] Meant),
}

/// Dead letters, of which some must be named.
#[derive(Debug, Args)]
pub(super) struct Meant {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    of: OfHandler,
    /// All of them
    #[arg(long)]
    all: bool,
}

impl DeadLetters {
    pub(super) async fn run(self, settings: &Settings) -> ExitCode {
        with_store(settings, async |store| match &self {
            Self::List { which, of, output } => {
                let mut query = which.query(store, IdsOf::Events).await?;
                query.handler = of.name();
                list(store, &query, output).await
            }
            Self::Show { id } => show(store, id.find(store, IdsOf::Events).await?).await,
            Self::Retry(meant) => {
                let query = meant.query(store).await?;
                let put_back = store
                    .retry_dead_letters(&query, SchedulingTime::by_wall_clock())
                    .await?;
                note(
                    store,
                    &query,
                    format!("had {} sent again", print::plural(put_back, "dead letter")),
                )
                .await;
                print::counted(put_back, "event", "put back")
            }
            Self::Drop(meant) => {
                let query = meant.query(store).await?;
                let dropped = store.drop_dead_letters(&query).await?;
                note(
                    store,
                    &query,
                    format!("deleted {}", print::plural(dropped, "dead letter")),
                )
                .await;
                print::counted(dropped, "dead letter", "deleted")
            }
        })
        .await
    }
}

impl Meant {
    async fn query(&self, store: &dyn Store) -> Result<Query, Trouble> {
        let mut query = self.which.query(store, IdsOf::Events).await?;
        query.handler = self.of.name();
        if self.all || query.handler.is_some() || self.which.says_something() {
            Ok(query)
        } else {
            Err(misused(
                "say which: ids, --run, --org, --since, --until, --handler or --all",
            ))
        }
    }
}

async fn list(store: &dyn Store, query: &Query, output: &Output) -> Outcome {
    let mut names = vec![
        "event", "given up", "handler", "org", "run", "number", "type", "attempts", "reason",
    ];
    // For people, it is too long for a column: `show` prints it.
    names.extend(output.json.then_some("answer"));
    let mut table = Table::new(names);
    for letter in store.dead_letters(query, output.limit).await? {
        let mut row = vec![
            json!(letter.event.id),
            json!(letter.at),
            json!(letter.handler.as_str()),
            json!(letter.event.org),
            json!(letter.event.run),
            json!(letter.event.number),
            json!(letter.event.event_type),
            json!(letter.attempts),
            json!(letter.reason),
        ];
        row.extend(output.json.then(|| json!(letter.answer)));
        table.row(row);
    }
    print::table(table, output.json)
}

async fn show(store: &dyn Store, id: Uuid) -> Outcome {
    let mut query = Query::default();
    query.ids.push(id);
    let letters = store.dead_letters(&query, usize::MAX).await?;
    let texts: Vec<String> = letters.iter().map(text).collect();
    if texts.is_empty() {
        return Ok(End::Nothing);
    }
    print::say(&texts.join("\n"))
}

fn text(letter: &DeadLetter) -> String {
    let answer = letter.answer.as_deref().map(indented);
    format!(
        "{} for {}: {}\n  event     {} of run {}, number {}\n  tries     {}\n  given up  {}{}",
        letter.event.event_type,
        letter.handler,
        letter.reason,
        letter.event.id,
        letter.event.run,
        letter.event.number,
        letter.attempts,
        letter.at,
        answer.map(|answer| format!("\n  answer\n{answer}")).unwrap_or_default(),
    )
}

fn indented(text: &str) -> String {
    let lines = text.lines().map(|line| format!("    {line}"));
    lines.collect::<Vec<_>>().join("\n")
}
