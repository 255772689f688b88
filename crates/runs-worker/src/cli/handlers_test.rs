//! `runs-worker handlers test`

use std::process::ExitCode;

use tallyfy_model::OrgId;

use super::{FAILED, MISUSED, Settings, fail};
use crate::clock::Clock;
use crate::config::ConfiguredHandler;
use crate::filter::unknown_word;
use crate::handler::{self, Event, HandlerError};
use crate::telemetry;

pub(super) async fn run(name: &str, settings: &Settings) -> ExitCode {
    let loaded = match settings.load(false) {
        Ok(loaded) => loaded,
        Err(error) => return fail(MISUSED, &error.to_string()),
    };
    let mut handlers = loaded.handlers;
    if handlers.is_empty() {
        handlers.push(ConfiguredHandler::stdout(&loaded.config.deliver));
    }
    let Some(position) = handlers.iter().position(|handler| handler.name.as_str() == name) else {
        let names: Vec<&str> = handlers.iter().map(|handler| handler.name.as_str()).collect();
        return fail(MISUSED, &unknown_word("handler", name, &names));
    };
    let configured = handlers.swap_remove(position);
    let (clock, timeout) = (Clock::system(), configured.deliver.timeout);
    let handler = match handler::set_up(configured, &clock) {
        Ok(handler) => handler,
        Err(error) => return fail(FAILED, &telemetry::chain(&error)),
    };
    let org = loaded.organizations.first().map(|organization| organization.id.clone());
    let event = match Event::sample(&org.unwrap_or_else(|| OrgId::new("sample")), clock.wall()) {
        Ok(event) => event,
        Err(error) => return fail(FAILED, &error.to_string()),
    };
    match tokio::time::timeout(timeout, handler.handle(&event)).await {
        Ok(Ok(())) => {
            say(&format!("{name} has taken the sample event {}", event.id()));
            ExitCode::SUCCESS
        }
        Ok(Err(error)) => {
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
            fail(FAILED, &format!("{name}: {reason}; {then}{answer}"))
        }
        Err(_) => fail(
            FAILED,
            &format!("{name}: no answer within {timeout:?}; it would be tried again"),
        ),
    }
}

/// Where events may go to the standard output, words about them do not.
#[expect(clippy::print_stderr, reason = "this is what the command is for")]
fn say(line: &str) {
    eprintln!("{line}");
}
