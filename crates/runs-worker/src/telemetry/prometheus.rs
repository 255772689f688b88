//! Metrics as Prometheus reads them.

use std::error::Error;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

const COUNTERS: [(&str, &str); 10] = [
    (
        "runs_worker_notifications_total",
        "Authenticated webhooks, by what became of them",
    ),
    (
        "runs_worker_webhooks_refused_total",
        "Requests to the public listener that were turned away",
    ),
    (
        "runs_worker_webhooks_without_organization_total",
        "Webhooks with the right secret and no header that names the organization; they are taken",
    ),
    (
        "runs_worker_connections_evicted_total",
        "Connections without a request, or with a body that kept arriving, that were closed to make room for others",
    ),
    (
        "runs_worker_requests_unreadable_total",
        "Requests that were refused before anything looked at their address, by what they look like",
    ),
    (
        "runs_worker_accept_errors_total",
        "Attempts to accept a connection that failed, because of too few file descriptors for example",
    ),
    (
        "runs_worker_request_panics_total",
        "Requests that were answered with 503 because of a defect",
    ),
    (
        "runs_worker_refreshes_total",
        "Attempts to fetch what is due, by how they ended",
    ),
    (
        "runs_worker_deliveries_total",
        "Attempts to hand over an event, by how they ended",
    ),
    (
        "runs_worker_imports_total",
        "Transactions that brought notifications from the intake log into the store",
    ),
];

const GAUGES: [(&str, Option<Unit>, &str); 13] = [
    (
        "runs_worker_fetching_paused",
        None,
        "1 while the API refuses the organization's token",
    ),
    (
        "runs_worker_intake_waiting",
        None,
        "Notifications in the intake log that are not in the store yet",
    ),
    (
        "runs_worker_intake_bytes",
        Some(Unit::Bytes),
        "Size of the part of the intake log that cannot be let go of yet",
    ),
    (
        "runs_worker_due",
        None,
        "Subjects that wait for a fetch or are being fetched",
    ),
    (
        "runs_worker_oldest_due_seconds",
        Some(Unit::Seconds),
        "How long the longest waiting one could have been fetched",
    ),
    (
        "runs_worker_store_log_bytes",
        Some(Unit::Bytes),
        "Size of the store's write-ahead log; it grows while another program keeps a transaction open",
    ),
    ("runs_worker_unrecognized", None, "Stored bodies that could not be read"),
    (
        "runs_worker_undelivered",
        None,
        "Events that a handler has not been given yet",
    ),
    (
        "runs_worker_oldest_undelivered_seconds",
        Some(Unit::Seconds),
        "Since when the handler should have had the oldest event, failing or not",
    ),
    (
        "runs_worker_templates",
        None,
        "Templates, by whether their webhooks come here, looked at once a day",
    ),
    (
        "runs_worker_registrations_lost",
        None,
        "Registrations of webhooks that used to lead here and do not any more",
    ),
    ("runs_worker_dead_letters", None, "Deliveries that were given up"),
    (
        "runs_worker_last_notification_timestamp_seconds",
        Some(Unit::Seconds),
        "When the last webhook was stored",
    ),
];

/// All in seconds.
const HISTOGRAMS: [(&str, &str); 2] = [
    (
        "runs_worker_refresh_seconds",
        "How long an attempt to fetch took, waits for the budget included",
    ),
    ("runs_worker_delivery_seconds", "How long a handler took"),
];

/// Starts counting, for the whole process.
///
/// # Errors
/// If something else counts already.
pub fn start_metrics() -> Result<PrometheusHandle, Box<dyn Error + Send + Sync>> {
    const SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install_recorder()?;
    for (name, text) in COUNTERS {
        describe_counter!(name, text);
    }
    for (name, unit, text) in GAUGES {
        match unit {
            Some(unit) => describe_gauge!(name, unit, text),
            None => describe_gauge!(name, text),
        }
    }
    for (name, text) in HISTOGRAMS {
        describe_histogram!(name, Unit::Seconds, text);
    }
    Ok(handle)
}
