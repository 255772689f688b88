//! Every count that can be at nothing is there from the start, so that a first event shows as a rise.

use metrics::{counter, gauge, histogram};

use crate::config::Organization;
use crate::{front_door, receive, reconcile, refresh};

/// Makes what these parts count known, at 0.
pub(super) fn register(organizations: &[Organization]) {
    gauge!("runs_worker_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    #[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
    gauge!("runs_worker_organizations").set(organizations.len() as f64);
    for name in [
        "runs_worker_webhooks_without_organization_total",
        "runs_worker_connections_evicted_total",
        "runs_worker_accept_errors_total",
        "runs_worker_request_panics_total",
        "runs_worker_imports_total",
    ] {
        counter!(name).increment(0);
    }
    let _ = histogram!("runs_worker_webhook_answer_seconds");
    for status in receive::STATUSES {
        counter!("runs_worker_webhook_answers_total", "status" => status).increment(0);
    }
    for reason in receive::REFUSALS {
        counter!("runs_worker_webhooks_refused_total", "reason" => reason).increment(0);
    }
    for reason in front_door::UNREADABLE {
        counter!("runs_worker_requests_unreadable_total", "reason" => reason).increment(0);
    }
    for what in ["event", "notification", "snapshot"] {
        counter!("runs_worker_pruned_total", "what" => what).increment(0);
    }
    for organization in organizations {
        of_organization(organization.id.as_str());
    }
}

fn of_organization(org: &str) {
    for (kind, outcome) in [
        ("process", "stored"),
        ("task", "stored"),
        ("unrecognized", "unrecognized"),
    ] {
        counter!("runs_worker_notifications_total", "org" => org.to_owned(), "kind" => kind, "outcome" => outcome)
            .increment(0);
    }
    let _ = histogram!("runs_worker_refresh_seconds", "org" => org.to_owned());
    for outcome in refresh::OUTCOMES {
        counter!("runs_worker_refreshes_total", "org" => org.to_owned(), "outcome" => outcome).increment(0);
    }
    for kind in reconcile::KINDS {
        counter!("runs_worker_sweeps_total", "org" => org.to_owned(), "kind" => kind).increment(0);
        for what in reconcile::FOUND {
            counter!("runs_worker_sweep_found_total", "org" => org.to_owned(), "kind" => kind, "what" => what)
                .increment(0);
        }
    }
    counter!("runs_worker_missed_webhooks_total", "org" => org.to_owned()).increment(0);
    for name in [
        "runs_worker_last_notification_timestamp_seconds",
        "runs_worker_last_sweep_timestamp_seconds",
        "runs_worker_registrations_lost",
        "runs_worker_api_pause_seconds",
    ] {
        gauge!(name, "org" => org.to_owned()).set(0.0);
    }
    for webhook in ["here", "partly", "by organization", "not here"] {
        gauge!("runs_worker_templates", "org" => org.to_owned(), "webhook" => webhook).set(0.0);
    }
}
