//! Commands that look at the store, and set things right in it. The worker may run meanwhile.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use runs_store::sqlite::SqliteOperator;
use runs_store::{HandlerName, NewNotification, NotificationSummary, Query, StoreError};
use serde_json::{Value, json};
use tallyfy_model::{RunId, without_guest_links};
use uuid::Uuid;

use super::table::Table;
use super::{FAILED, MISUSED, NOTHING, Settings, fail};
use crate::receive::read_notification;
use crate::{data_folder, telemetry};

/// Which events, notifications or dead letters.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Their ids
    #[arg(value_name = "ID")]
    ids: Vec<Uuid>,
    /// Those of this run
    #[arg(long, value_name = "RUN_ID")]
    run: Option<RunId>,
    /// From this time on, such as 2026-01-31T09:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
}

#[derive(Debug, Args)]
pub(super) struct Output {
    /// One JSON object a line, for programs
    #[arg(long)]
    json: bool,
    /// How many at most
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    limit: usize,
}

/// Dead letters, of which some must be named.
#[derive(Debug, Args)]
pub(super) struct DeadLetters {
    #[command(flatten)]
    which: Which,
    /// Those of this handler
    #[arg(long, value_name = "NAME")]
    handler: Option<String>,
    /// All that there are
    #[arg(long)]
    all: bool,
}

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

#[derive(Debug, Subcommand)]
pub(super) enum Notifications {
    /// List notifications, the newest first
    List {
        #[command(flatten)]
        which: Which,
        /// Only those that nobody could read
        #[arg(long)]
        unrecognized: bool,
        #[command(flatten)]
        output: Output,
    },
    /// Print the body of a notification
    Show {
        /// The notification's id
        id: Uuid,
        /// With its guest links, which let whoever has them in without a login
        #[arg(long)]
        guest_links: bool,
    },
    /// Read those again that nobody could read, after an upgrade for example
    Retry {
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum DeadLetterCommand {
    /// List deliveries that were given up, the latest first
    List {
        #[command(flatten)]
        which: Which,
        /// Those of this handler
        #[arg(long, value_name = "NAME")]
        handler: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Print a dead letter: why it was given up, and what the other side said last
    Show {
        /// The event's id
        #[arg(value_name = "EVENT_ID")]
        id: Uuid,
    },
    /// Put them back: each is the next event that its handler gets of its run
    Retry(#[command(flatten)] DeadLetters),
    /// Forget them
    Drop(#[command(flatten)] DeadLetters),
}

#[derive(Debug, Args)]
pub(super) struct Replay {
    #[command(flatten)]
    which: Which,
    /// The handler that gets them
    #[arg(long, value_name = "NAME")]
    handler: String,
    /// All that there are
    #[arg(long)]
    all: bool,
}

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
    /// Forget what waits for a handler that is not configured any more
    Drop {
        /// The handler's name
        name: String,
    },
}

/// How a command ends that did not fail.
enum End {
    Well,
    /// There was nothing to show or to change.
    Nothing,
    Misused(&'static str),
}

type Outcome = Result<End, StoreError>;

const WHICH: &str = "say which: ids, --run, --since, --until, --handler or --all";

impl Which {
    fn query(&self) -> Query {
        let mut query = Query::default();
        query.ids.clone_from(&self.ids);
        query.run.clone_from(&self.run);
        (query.since, query.until) = (self.since, self.until);
        query
    }

    fn says_something(&self) -> bool {
        !self.ids.is_empty() || self.run.is_some() || self.since.is_some() || self.until.is_some()
    }
}

impl DeadLetters {
    fn query(&self) -> Option<Query> {
        let mut query = self.which.query();
        query.handler = self.handler.clone().map(HandlerName::new);
        (self.all || self.handler.is_some() || self.which.says_something()).then_some(query)
    }
}

/// Opens the store, does it, and says how it ended.
fn with_store(settings: &Settings, work: impl FnOnce(&mut SqliteOperator) -> Outcome) -> ExitCode {
    let folder = match settings.kept() {
        Ok(kept) => kept.store.folder(),
        Err(error) => return fail(MISUSED, &error.to_string()),
    };
    let opened = SqliteOperator::open(data_folder::store_file(&folder));
    match opened.and_then(|mut store| work(&mut store)) {
        Ok(End::Well) => ExitCode::SUCCESS,
        Ok(End::Nothing) => fail(NOTHING, "nothing found"),
        Ok(End::Misused(message)) => fail(MISUSED, message),
        Err(error) => fail(FAILED, &telemetry::chain(&error)),
    }
}

pub(super) fn events(command: &Events, settings: &Settings) -> ExitCode {
    with_store(settings, |store| match command {
        Events::List { which, output } => {
            let found = store.events(&which.query(), output.limit)?;
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
            for event in found {
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
            Ok(table.print(output.json))
        }
        Events::Show { id } => Ok(match store.event(*id)? {
            Some(event) => print(&event.body),
            None => End::Nothing,
        }),
    })
}

pub(super) fn notifications(command: &Notifications, settings: &Settings) -> ExitCode {
    with_store(settings, |store| match command {
        Notifications::List {
            which,
            unrecognized,
            output,
        } => {
            let mut query = which.query();
            query.unrecognized = *unrecognized;
            let mut table = Table::new([
                "id",
                "received",
                "org",
                "kind",
                "event",
                "run",
                "task",
                "duplicates",
                "state",
            ]);
            for notification in store.notifications(&query, output.limit)? {
                let state = state(&notification);
                table.row([
                    json!(notification.id),
                    json!(notification.received_at),
                    json!(notification.org),
                    json!(notification.kind),
                    json!(notification.event),
                    json!(notification.run),
                    json!(notification.task),
                    json!(notification.duplicates),
                    json!(state),
                ]);
            }
            Ok(table.print(output.json))
        }
        Notifications::Show { id, guest_links } => {
            let Some(found) = store.notification(*id)? else {
                return Ok(End::Nothing);
            };
            let text = String::from_utf8_lossy(&found.body);
            if *guest_links {
                return Ok(print(&found.body));
            }
            Ok(match without_guest_links(&text) {
                Ok(shown) => print(shown.as_bytes()),
                Err(_) => End::Misused("the body cannot be searched for guest links; see it with --guest-links"),
            })
        }
        Notifications::Retry { which } => recognize(store, which),
    })
}

fn state(notification: &NotificationSummary) -> &'static str {
    match (notification.kind.as_str(), notification.covered) {
        ("unrecognized", _) => "unrecognized",
        // About something else, such as a member: nothing is fetched for it.
        _ if notification.run.is_none() && notification.task.is_none() => "kept",
        (_, true) => "covered",
        (_, false) => "pending",
    }
}

/// Reads what nobody could read again.
fn recognize(store: &mut SqliteOperator, which: &Which) -> Outcome {
    let mut query = which.query();
    query.unrecognized = true;
    let (mut read, mut left) = (0_u64, 0_u64);
    for found in store.notifications(&query, usize::MAX / 2)? {
        let Some(whole) = store.notification(found.id)? else {
            continue;
        };
        let again = read_notification(&found.org, whole.body, found.received_at);
        let again = NewNotification { id: found.id, ..again };
        if again.subject.is_some() && store.recognize(&again, Timestamp::now())? {
            read += 1;
        } else {
            left += 1;
        }
    }
    Ok(match (read, left) {
        (0, 0) => End::Nothing,
        _ => say(&format!("{read} can be read now, {left} still cannot")),
    })
}

pub(super) fn dead_letters(command: &DeadLetterCommand, settings: &Settings) -> ExitCode {
    with_store(settings, |store| match command {
        DeadLetterCommand::List { which, handler, output } => {
            let mut query = which.query();
            query.handler = handler.clone().map(HandlerName::new);
            let mut names = vec![
                "event", "given up", "handler", "org", "run", "number", "type", "attempts", "reason",
            ];
            // For people, it is too long for a column: `show` prints it.
            names.extend(output.json.then_some("answer"));
            let mut table = Table::new(names);
            for letter in store.dead_letters(&query, output.limit)? {
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
            Ok(table.print(output.json))
        }
        DeadLetterCommand::Show { id } => {
            let mut query = Query::default();
            query.ids.push(*id);
            let letters = store.dead_letters(&query, usize::MAX / 2)?;
            let found = !letters.is_empty();
            for letter in letters {
                say(&format!(
                    "{} for {}: {}\n  event     {} of run {}, number {}\n  tries     {}\n  given up  {}",
                    letter.event.event_type,
                    letter.handler,
                    letter.reason,
                    letter.event.id,
                    letter.event.run,
                    letter.event.number,
                    letter.attempts,
                    letter.at
                ));
                if let Some(answer) = letter.answer {
                    say(&format!("  answer\n{}", indented(&answer)));
                }
            }
            Ok(if found { End::Well } else { End::Nothing })
        }
        DeadLetterCommand::Retry(letters) => match letters.query() {
            Some(query) => Ok(counted(store.retry_dead_letters(&query, Timestamp::now())?, "put back")),
            None => Ok(End::Misused(WHICH)),
        },
        DeadLetterCommand::Drop(letters) => match letters.query() {
            Some(query) => Ok(counted(store.drop_dead_letters(&query)?, "dropped")),
            None => Ok(End::Misused(WHICH)),
        },
    })
}

pub(super) fn replay(command: &Replay, settings: &Settings) -> ExitCode {
    with_store(settings, |store| {
        if !command.all && !command.which.says_something() {
            return Ok(End::Misused("say which events: ids, --run, --since, --until or --all"));
        }
        let handler = HandlerName::new(command.handler.clone());
        let replayed = store.replay(&command.which.query(), &handler, Timestamp::now())?;
        Ok(counted(replayed, "put in line again"))
    })
}

pub(super) fn handlers(command: &Handlers, settings: &Settings) -> ExitCode {
    with_store(settings, |store| match command {
        Handlers::List { json } => {
            let mut table = Table::new(["handler", "configured", "waiting", "since", "dead letters"]);
            for handler in store.stats(Timestamp::now())?.handlers {
                table.row([
                    json!(handler.handler.as_str()),
                    json!(handler.active),
                    json!(handler.waiting),
                    json!(handler.oldest_due),
                    json!(handler.dead_letters),
                ]);
            }
            Ok(table.print(*json))
        }
        // Needs no store.
        Handlers::Test { .. } => Ok(End::Nothing),
        Handlers::Drop { name } => Ok(counted(store.drop_waiting(&HandlerName::new(name.clone()))?, "dropped")),
    })
}

fn indented(text: &str) -> String {
    let lines = text.lines().map(|line| format!("    {line}"));
    lines.collect::<Vec<_>>().join("\n")
}

fn counted(count: u64, done: &str) -> End {
    match count {
        0 => End::Nothing,
        1 => say(&format!("1 event {done}")),
        count => say(&format!("{count} events {done}")),
    }
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn say(line: &str) -> End {
    println!("{line}");
    End::Well
}

fn print(body: &[u8]) -> End {
    say(&String::from_utf8_lossy(body))
}

impl Table {
    #[expect(clippy::print_stdout, reason = "this is what the command is for")]
    fn print(self, as_json: bool) -> End {
        if self.is_empty() {
            return End::Nothing;
        }
        if as_json {
            self.objects().for_each(|row: Value| println!("{row}"));
        } else {
            self.lines().iter().for_each(|line| println!("{line}"));
        }
        End::Well
    }
}
