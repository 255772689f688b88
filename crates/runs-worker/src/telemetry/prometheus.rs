//! Metrics as Prometheus reads them.

use std::error::Error;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

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
        "runs_worker_webhooks_without_organization_total",
        "Webhooks with the right secret and no header that names the organization; they are taken"
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
    describe_gauge!(
        "runs_worker_store_log_bytes",
        Unit::Bytes,
        "Size of the store's write-ahead log; it grows while another program keeps a transaction open"
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
