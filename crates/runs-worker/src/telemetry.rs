//! Logs and metrics.

use std::error::Error;
use std::io::IsTerminal;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::prelude::*;

use crate::config::{LogConfig, LogFormat};

/// Starts logging to the standard error: only events go to the standard output.
///
/// # Errors
/// If the filter cannot be read, or something else logs already.
pub fn start_logging(config: &LogConfig) -> Result<(), Box<dyn Error + Send + Sync>> {
    let filter = EnvFilter::try_new(&config.filter).map_err(|error| format!("log.filter: {error}"))?;
    let terminal = std::io::stderr().is_terminal();
    let human = match config.format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => terminal,
    };
    let registry = tracing_subscriber::registry().with(filter);
    if human {
        registry
            .with(
                fmt::layer()
                    .with_writer(std::io::stderr)
                    .with_target(false)
                    .with_ansi(terminal),
            )
            .try_init()?;
    } else {
        let layer = fmt::layer()
            .json()
            .flatten_event(true)
            .with_target(false)
            .with_current_span(false);
        registry
            .with(layer.with_span_list(false).with_writer(std::io::stderr))
            .try_init()?;
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        // The message may hold anything that was being worked on.
        tracing::error!(place, "panic");
    }));
    Ok(())
}

/// Starts counting, for the whole process.
///
/// # Errors
/// If something else counts already.
pub fn start_metrics() -> Result<PrometheusHandle, Box<dyn Error + Send + Sync>> {
    const SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install_recorder()?;
    describe_counter!(
        "runs_worker_notifications_total",
        "Authenticated webhooks, by what became of them"
    );
    describe_counter!(
        "runs_worker_webhooks_refused_total",
        "Requests to the public listener that were turned away"
    );
    describe_counter!(
        "runs_worker_connections_evicted_total",
        "Connections without a request, or with a body that kept arriving, that were closed to make room for others"
    );
    describe_counter!(
        "runs_worker_requests_unreadable_total",
        "Requests that were refused before anything looked at their address, by what they look like"
    );
    describe_counter!(
        "runs_worker_accept_errors_total",
        "Attempts to accept a connection that failed, because of too few file descriptors for example"
    );
    describe_counter!(
        "runs_worker_request_panics_total",
        "Requests that were answered with 503 because of a defect"
    );
    describe_counter!(
        "runs_worker_refreshes_total",
        "Attempts to fetch what is due, by how they ended"
    );
    describe_counter!(
        "runs_worker_deliveries_total",
        "Attempts to hand over an event, by how they ended"
    );
    describe_histogram!(
        "runs_worker_refresh_seconds",
        Unit::Seconds,
        "How long an attempt to fetch took, waits for the budget included"
    );
    describe_histogram!("runs_worker_delivery_seconds", Unit::Seconds, "How long a handler took");
    describe_gauge!(
        "runs_worker_fetching_paused",
        "1 while the API refuses the organization's token"
    );
    describe_gauge!(
        "runs_worker_intake_waiting",
        "Notifications in the intake log that are not in the store yet"
    );
    describe_gauge!(
        "runs_worker_intake_bytes",
        Unit::Bytes,
        "Size of the part of the intake log that cannot be let go of yet"
    );
    describe_counter!(
        "runs_worker_imports_total",
        "Transactions that brought notifications from the intake log into the store"
    );
    describe_gauge!("runs_worker_due", "Subjects that wait for a fetch or are being fetched");
    describe_gauge!(
        "runs_worker_oldest_due_seconds",
        Unit::Seconds,
        "How long the longest waiting one could have been fetched"
    );
    describe_gauge!("runs_worker_unrecognized", "Stored bodies that could not be read");
    describe_gauge!(
        "runs_worker_undelivered",
        "Events that a handler has not been given yet"
    );
    describe_gauge!(
        "runs_worker_oldest_undelivered_seconds",
        Unit::Seconds,
        "Since when the handler should have had the oldest event, failing or not"
    );
    describe_gauge!("runs_worker_dead_letters", "Deliveries that were given up");
    describe_gauge!(
        "runs_worker_last_notification_timestamp_seconds",
        Unit::Seconds,
        "When the last webhook was stored"
    );
    Ok(handle)
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // Some errors repeat their cause in their own text.
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = cause.source();
    }
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
