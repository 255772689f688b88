//! Whether each handler could take an event. None is given one.

use std::path::Path;
use std::time::Duration;

use nix::unistd::{AccessFlags, access};
use reqwest::{Client, Method, Url, redirect};

use super::finding::Finding;
use crate::cli::print::plural;
use crate::config::{ConfiguredHandler, HandlerKind, Loaded};
use crate::handler::{CommandLine, HttpTarget, is_this_machine};
use crate::telemetry;

pub(super) async fn look(loaded: &Loaded, timeout: Duration) -> Vec<Finding> {
    if loaded.handlers.is_empty() {
        return vec![Finding::ok(
            "handlers",
            "none is configured: events go to the standard output",
        )];
    }
    let mut findings = Vec::new();
    for handler in &loaded.handlers {
        findings.push(of(handler, timeout).await.of(handler.name()));
    }
    findings
}

async fn of(handler: &ConfiguredHandler, timeout: Duration) -> Finding {
    match &handler.kind {
        HandlerKind::Stdout => Finding::ok("handlers", "the standard output"),
        HandlerKind::File(path) => file(path),
        HandlerKind::Command(line) => command(line),
        HandlerKind::Http(target) => http(target, timeout).await,
        #[cfg(feature = "nats")]
        HandlerKind::Nats(target) => nats(handler, target, timeout).await,
    }
}

fn file(path: &Path) -> Finding {
    let shown = path.display();
    let place = match path.parent() {
        _ if path.exists() => path,
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => path,
    };
    match access(place, AccessFlags::W_OK) {
        Ok(()) => Finding::ok("handlers", format!("{shown} can be written")),
        Err(error) => Finding::failure("handlers", format!("{shown} cannot be written: {}", error.desc()))
            .hint("make its folder, and let this user write there"),
    }
}

/// That it is there was looked at when the configuration was read.
fn command(line: &CommandLine) -> Finding {
    let shown = line.program.display();
    match access(&line.program, AccessFlags::X_OK) {
        Ok(()) => Finding::ok("handlers", format!("{shown} can be run")),
        Err(error) => Finding::failure(
            "handlers",
            format!("{shown} cannot be run by this user: {}", error.desc()),
        ),
    }
}

/// Any answer will do: only a webhook's receiver knows what it says to another request than an event.
async fn http(target: &HttpTarget, timeout: Duration) -> Finding {
    let host = target.url.host_str().unwrap_or_default();
    let keys = match target.keys.len() as u64 {
        0 => "not signed".to_owned(),
        count => format!("signed with {}", plural(count, "key")),
    };
    match answers(&target.url, Method::OPTIONS, timeout).await {
        Ok(_) => Finding::ok("handlers", format!("{host} answers; events are {keys}")),
        Err(reason) => Finding::failure("handlers", format!("{host} does not answer: {reason}")).hint(
            "events wait for it, and are given up after deliver.max_age; is it running, and may this machine reach it?",
        ),
    }
}

/// The status of a request without a body, or why there is none. The reason names no path: it may hold a secret.
pub(super) async fn answers(url: &Url, method: Method, timeout: Duration) -> Result<u16, String> {
    // Whoever was first has installed the one that is used; losing the race is as good as winning it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().redirect(redirect::Policy::none()).timeout(timeout);
    let client = match is_this_machine(url) {
        true => client.no_proxy(),
        false => client,
    };
    let asked = async { client.build()?.request(method, url.clone()).send().await };
    match asked.await {
        Ok(answer) => Ok(answer.status().as_u16()),
        Err(error) => Err(telemetry::chain(&error.without_url())),
    }
}

#[cfg(feature = "nats")]
async fn nats(handler: &ConfiguredHandler, target: &crate::handler::NatsTarget, timeout: Duration) -> Finding {
    let nats = crate::handler::NatsHandler::new(handler.name().to_string(), target.clone(), timeout);
    match tokio::time::timeout(timeout, nats.stream()).await {
        Ok(Ok(stream)) => Finding::ok("handlers", format!("the stream {stream} takes its subject")),
        Ok(Err(reason)) => {
            Finding::failure("handlers", reason).hint("make a stream with that subject, or start the server")
        }
        Err(_) => Finding::failure("handlers", format!("NATS does not answer within {timeout:?}")),
    }
}
