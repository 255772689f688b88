//! `runs-worker handlers test`

use std::process::ExitCode;

use clap::Args;
use runs_store::{EventSummary, Query, Store, Whole};
use tallyfy_model::{OrgId, RunId};

use super::run_ref::run_ref;
use super::with_store::{End, Outcome, Trouble, misused, with_store_of};
use super::{FAILED, MISUSED, Settings, fail, print, verdict};
use crate::clock::Clock;
use crate::config::{ConfiguredHandler, HandlerKind, Loaded};
use crate::event::EventType;
use crate::filter::EventFilter;
use crate::handler::{self, CommandHandler, Event, EventDraft, HandlerError};
use crate::shared::unknown_word::unknown_word;
use crate::telemetry;

/// How many events of a run are searched for its last state: those of a run that is gone have none.
const SEARCHED: usize = 50;

#[derive(Debug, Args)]
pub(super) struct Test {
    /// The handler's name, as configured
    name: String,
    /// What the event says, such as `completed` [default: what the run's last event said, or `changed`]
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<EventType>,
    /// With the last state of this run in the place of a sample: its id, or a link to it
    #[arg(long, value_name = "RUN_ID", value_parser = run_ref)]
    run: Option<RunId>,
}

impl Test {
    pub(super) async fn run(self, settings: &Settings) -> ExitCode {
        let loaded = match settings.load(false) {
            Ok(loaded) => loaded,
            Err(error) => return fail(MISUSED, &error.to_string()),
        };
        match &self.run {
            None => match self.sample(&loaded) {
                Ok(event) => self.try_with(&event, loaded).await.map_or_else(Trouble::end, End::code),
                Err(error) => fail(FAILED, &error.to_string()),
            },
            Some(run) => {
                let store = loaded.config.store.clone();
                with_store_of(&store, async |store| {
                    let event = self.of_run(store, run).await?;
                    self.try_with(&event, loaded).await
                })
                .await
            }
        }
    }

    /// An event of a run that does not exist, of the first organization.
    fn sample(&self, loaded: &Loaded) -> Result<Event, serde_json::Error> {
        let org = loaded.organizations.first().map(|organization| organization.id.clone());
        let org = org.unwrap_or_else(|| OrgId::new("sample"));
        Event::sample_of(
            self.event_type.unwrap_or(EventType::Changed),
            &org,
            Clock::system().wall(),
        )
    }

    /// An event of a run as it is, with an id of its own, so that nobody takes it for one that was delivered.
    async fn of_run(&self, store: &dyn Store, run: &RunId) -> Result<Event, Trouble> {
        let (last, stored) = last_state(store, run).await?;
        let unreadable = |error: &dyn std::error::Error| {
            Trouble::NotFound(format!("the last event of run {run} cannot be read: {error}"))
        };
        let event_type = match self.event_type {
            Some(event_type) => event_type,
            None => last.summary.event_type.parse().unwrap_or(EventType::Changed),
        };
        let mut draft = EventDraft::new(event_type, run.clone())
            .with_org(last.summary.org)
            .with_number(last.summary.number)
            .with_changes(stored.changes().map_err(|error| unreadable(&error))?)
            .at(Clock::system().wall());
        if let Some(run) = stored.run().map_err(|error| unreadable(&error))? {
            draft = draft.with_run(&run);
        }
        draft.build().map_err(|error| unreadable(&error))
    }

    async fn try_with(&self, event: &Event, loaded: Loaded) -> Outcome {
        let configured = self.configured(loaded)?;
        let (name, filter, timeout) = (&self.name, configured.filter.clone(), configured.deliver.timeout);
        let outcome = tokio::time::timeout(timeout, called(configured, event)).await;
        print::remark(&filter_says(&filter, event));
        match outcome {
            Ok(Ok(said)) => {
                if !said.is_empty() {
                    print::remark(&format!("it said:\n{said}"));
                }
                print::remark(&format!("{name} has taken the {} event {}", event.kind(), event.id()));
                Ok(End::Well)
            }
            Ok(Err(error)) => Err(Trouble::Failed(format!("{name}: {}", told(error)))),
            Err(_) => Err(Trouble::Failed(format!(
                "{name}: no answer within {timeout:?}; it would be tried again"
            ))),
        }
    }

    fn configured(&self, loaded: Loaded) -> Result<ConfiguredHandler, Trouble> {
        let mut handlers = loaded.handlers;
        if handlers.is_empty() {
            handlers.push(ConfiguredHandler::stdout(&loaded.config.deliver));
        }
        let names: Vec<&str> = handlers.iter().map(|handler| handler.name.as_str()).collect();
        let unknown = unknown_word("handler", &self.name, &names);
        let found = handlers.into_iter().find(|handler| handler.name.as_str() == self.name);
        found.ok_or_else(|| misused(unknown))
    }
}

/// The newest event of a run that shows how it stands; if none does, the newest one.
async fn last_state(store: &dyn Store, run: &RunId) -> Result<(Whole<EventSummary>, Event), Trouble> {
    let mut query = Query::default();
    query.run = Some(run.clone());
    let mut newest = None;
    for summary in store.events(&query, SEARCHED).await? {
        let Some(whole) = store.event(summary.id).await? else {
            continue;
        };
        let event = Event::stored(&whole);
        if matches!(event.run(), Ok(Some(_))) {
            return Ok((whole, event));
        }
        newest = newest.or(Some((whole, event)));
    }
    newest.ok_or_else(|| Trouble::NotFound(format!("the store has no event of run {run}")))
}

/// Calls a handler once; what a program said on its standard error.
async fn called(configured: ConfiguredHandler, event: &Event) -> Result<String, HandlerError> {
    if let HandlerKind::Command(line) = configured.kind {
        let program = CommandHandler::new(configured.name.to_string(), line);
        return program.run(event).await.map(|said| said.trim_end().to_owned());
    }
    let handler = handler::set_up(configured, &Clock::system())
        .map_err(|error| HandlerError::unavailable(telemetry::chain(&error)))?;
    handler.handle(event).await.map(|()| String::new())
}

fn filter_says(filter: &EventFilter, event: &Event) -> String {
    match verdict::kept_back_by(filter, event.org(), &event.delivery().event_type, event.json()) {
        None => "its filter lets such an event pass".to_owned(),
        Some(key) => format!("its filter would keep such an event back ({key}); this one is sent all the same"),
    }
}

/// What went wrong, what would happen then, and what the other side said.
fn told(error: HandlerError) -> String {
    let (reason, answer, then) = match error {
        HandlerError::Retry {
            reason,
            answer,
            give_up_after: Some(_),
            ..
        } => (
            reason,
            answer,
            "it would be tried again for a while, and then be a dead letter",
        ),
        HandlerError::Retry { reason, answer, .. } => (reason, answer, "it would be tried again"),
        HandlerError::Reject { reason, answer } => (reason, answer, "it would be a dead letter"),
        HandlerError::Unavailable { reason } => (reason, None, "events would wait"),
        HandlerError::Stop { reason } => (reason, None, "events would wait until the worker is started again"),
    };
    let answer = answer.map(|answer| format!("\n{answer}")).unwrap_or_default();
    format!("{reason}; {then}{answer}")
}
