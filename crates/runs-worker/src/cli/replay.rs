//! `runs-worker replay`

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::Args;
use runs_store::{HandlerName, IdsOf, Query, SchedulingTime, Store};
use uuid::Uuid;

use super::which::Which;
use super::with_store::{End, Outcome, Trouble, about, misused, note, with_store};
use super::{Settings, print, verdict};
use crate::filter::EventFilter;
use crate::shared::unknown_word::unknown_word;

/// How many events are looked at together: their bodies are in memory meanwhile.
const PAGE: usize = 50;

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
    /// Also the events that the handler's filter, as it is configured now, keeps back
    #[arg(long)]
    ignore_filter: bool,
    /// Say how many events of which types it would be, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before replaying all
    #[arg(long)]
    yes: bool,
}

/// What is handed out again.
#[derive(Default)]
struct Chosen {
    ids: Vec<Uuid>,
    /// How many of each type.
    types: BTreeMap<String, u64>,
    kept_back: u64,
}

impl Replay {
    pub(super) async fn run(self, settings: &Settings) -> ExitCode {
        with_store(settings, async |store| self.replay(store, settings).await).await
    }

    async fn replay(&self, store: &dyn Store, settings: &Settings) -> Outcome {
        if !self.all && !self.which.says_something() {
            return Err(misused(
                "say which events: ids, --run, --org, --since, --until or --all",
            ));
        }
        let filter = if self.ignore_filter {
            EventFilter::default()
        } else {
            configured_filter(&self.handler, settings)?
        };
        let query = self.which.query(store, IdsOf::Events).await?;
        let chosen = choose(store, &query, (!self.ignore_filter).then_some(&filter)).await?;
        let count = chosen.ids.len() as u64;
        if self.dry_run {
            return print::say(&format!(
                "{} would be replayed{}",
                print::plural(count, "event"),
                chosen.told()
            ));
        }
        if count > 0 && self.all && !self.yes && !agreed(&self.handler, count)? {
            return print::say("nothing was replayed");
        }
        let handler = HandlerName::new(self.handler.clone());
        let replayed = store
            .replay(&chosen.ids, &handler, SchedulingTime::by_wall_clock())
            .await?;
        let events = print::plural(replayed, "event");
        note(
            store,
            &about(&handler),
            format!("had {events} sent to handler {handler} again"),
        )
        .await;
        match (replayed, chosen.kept_back) {
            (0, 0) => Ok(End::Nothing),
            (_, 0) => print::counted(replayed, "event", "put in line again"),
            (_, kept_back) => print::say(&format!(
                "{} put in line again; the handler's filter keeps {kept_back} back (--ignore-filter replays them too)",
                print::plural(replayed, "event")
            )),
        }
    }
}

impl Chosen {
    fn told(&self) -> String {
        let types = self.types.iter().map(|(name, count)| format!("\n  {count} {name}"));
        let kept_back =
            (self.kept_back > 0).then(|| format!("\n  {} kept back by the handler's filter", self.kept_back));
        types.chain(kept_back).collect()
    }
}

async fn choose(store: &dyn Store, query: &Query, filter: Option<&EventFilter>) -> Result<Chosen, Trouble> {
    let (mut chosen, mut after) = (Chosen::default(), 0);
    loop {
        let page = store.events_after(query, after, PAGE).await?;
        if page.events.is_empty() {
            return Ok(chosen);
        }
        after = page.last;
        for event in page.events {
            let (org, event_type) = (&event.summary.org, &event.summary.event_type);
            let kept_back = |filter| verdict::kept_back_by(filter, org, event_type, &event.body).is_some();
            if filter.is_some_and(kept_back) {
                chosen.kept_back += 1;
                continue;
            }
            chosen.ids.push(event.summary.id);
            *chosen.types.entry(event.summary.event_type).or_default() += 1;
        }
    }
}

/// The filter of a handler in the configuration.
fn configured_filter(name: &str, settings: &Settings) -> Result<EventFilter, Trouble> {
    const HINT: &str = "--ignore-filter replays without looking at the filter";

    let loaded = settings
        .load(false)
        .map_err(|error| misused(format!("the filter of `{name}` cannot be read: {error}\n{HINT}")))?;
    let handlers = &loaded.handlers;
    let Some(handler) = handlers.iter().find(|handler| handler.name.as_str() == name) else {
        // Without any handler, events go to the standard output, all of them.
        if handlers.is_empty() && name == "stdout" {
            return Ok(EventFilter::default());
        }
        let names: Vec<&str> = handlers.iter().map(|handler| handler.name.as_str()).collect();
        let unknown = if names.is_empty() {
            format!("the configuration has no handler `{name}`")
        } else {
            unknown_word("handler", name, &names)
        };
        return Err(misused(format!("{unknown}; {HINT}")));
    };
    Ok(handler.filter.clone())
}

/// Asks on a terminal, and takes silence for a no. Without a terminal, a person has not been asked.
#[expect(clippy::print_stderr, reason = "the question is for the person at the terminal")]
fn agreed(handler: &str, count: u64) -> Result<bool, Trouble> {
    if !io::stdin().is_terminal() {
        return Err(misused(format!(
            "this would hand {} to {handler} again; say --yes if that is meant",
            print::plural(count, "event")
        )));
    }
    eprint!("Hand {} to {handler} again? [y/N] ", print::plural(count, "event"));
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
