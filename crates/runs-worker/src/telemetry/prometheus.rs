//! Metrics as Prometheus reads them.

use std::error::Error;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

const COUNTERS: [(&str, &str); 17] = [
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
    (
        "runs_worker_webhook_answers_total",
        "Answers to requests on the public listener, by their status",
    ),
    (
        "runs_worker_api_requests_total",
        "Requests that were sent to the API, by how they ended",
    ),
    (
        "process_cpu_seconds_total",
        "Processor time that the process has had, in whole seconds",
    ),
    ("runs_worker_pruned_total", "What was removed because of its age"),
    ("runs_worker_sweeps_total", "Sweeps of the run list that ended"),
    ("runs_worker_sweep_found_total", "What sweeps found"),
    (
        "runs_worker_missed_webhooks_total",
        "Changes that no webhook told of and a sweep found",
    ),
];

const GAUGES: [(&str, Option<Unit>, &str); 32] = [
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
    (
        "runs_worker_store_oldest_transaction_seconds",
        Some(Unit::Seconds),
        "How long the oldest transaction of the database server is open, of whatever program",
    ),
    (
        "runs_worker_seats_renewed_timestamp_seconds",
        Some(Unit::Seconds),
        "When this worker renewed its seats last",
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
        "When the last webhook was stored; 0 if none was since the start",
    ),
    (
        "runs_worker_last_sweep_timestamp_seconds",
        Some(Unit::Seconds),
        "When the last sweep of the run list ended; 0 if this worker knows of none",
    ),
    (
        "runs_worker_silent",
        None,
        "1 while no webhook has come for longer than receive.silence_warning",
    ),
    (
        "runs_worker_store_bytes",
        Some(Unit::Bytes),
        "Size of the store without what was freed in it",
    ),
    (
        "runs_worker_disk_free_bytes",
        Some(Unit::Bytes),
        "What is free on the disk that a folder of the worker is on",
    ),
    (
        "runs_worker_disk_size_bytes",
        Some(Unit::Bytes),
        "Size of the disk that a folder of the worker is on",
    ),
    (
        "process_resident_memory_bytes",
        Some(Unit::Bytes),
        "Memory that the process has",
    ),
    (
        "process_virtual_memory_bytes",
        Some(Unit::Bytes),
        "Address space that the process has",
    ),
    ("process_open_fds", None, "Files and sockets that the process has open"),
    (
        "process_max_fds",
        None,
        "Files and sockets that the process may have open",
    ),
    ("process_threads", None, "Threads of the process"),
    (
        "process_start_time_seconds",
        Some(Unit::Seconds),
        "When the process started",
    ),
    (
        "runs_worker_build_info",
        None,
        "Always 1; the labels say which version this is",
    ),
    (
        "runs_worker_organizations",
        None,
        "Organizations that this worker is configured for",
    ),
    ("runs_worker_seats", None, "Organizations that this worker fetches for"),
    (
        "runs_worker_api_pause_seconds",
        Some(Unit::Seconds),
        "How long the pause that the API asked for still lasts",
    ),
    (
        "runs_worker_api_budget_left",
        None,
        "Requests that are left of the budget, for each stretch of time that has a limit",
    ),
    (
        "runs_worker_handler_unavailable",
        None,
        "1 while a handler cannot work at all",
    ),
];

/// All in seconds.
const HISTOGRAMS: [(&str, &str); 7] = [
    (
        "runs_worker_refresh_seconds",
        "How long an attempt to fetch took, waits for the budget included",
    ),
    ("runs_worker_delivery_seconds", "How long a handler took"),
    (
        "runs_worker_webhook_answer_seconds",
        "How long an answer on the public listener took, from the head of the request on",
    ),
    (
        "runs_worker_api_request_seconds",
        "How long a request to the API took, waits for the budget left out",
    ),
    (
        "runs_worker_delivered_age_seconds",
        "How long after the first webhook of an event a handler had it",
    ),
    (
        "runs_worker_store_connection_wait_seconds",
        "How long was waited for a connection to the database server",
    ),
    (
        "runs_worker_store_statement_seconds",
        "How long statements took on the database server, the way there and back included",
    ),
];

/// Starts counting, for the whole process.
///
/// # Errors
/// If something else counts already.
pub fn start_metrics() -> Result<PrometheusHandle, Box<dyn Error + Send + Sync>> {
    const SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
    const SHORT: [f64; 10] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5];
    const LONG: [f64; 10] = [0.1, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 600.0, 3_600.0, 86_400.0];
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Full("runs_worker_webhook_answer_seconds".to_owned()), &SHORT)?
        .set_buckets_for_metric(Matcher::Full("runs_worker_delivered_age_seconds".to_owned()), &LONG)?
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
