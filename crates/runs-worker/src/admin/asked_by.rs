//! By which names the admin listener answers.
//!
//! A page in the browser of somebody on this machine can send requests to it by a name that the page's owner lets point
//! here. Such a name has a dot, and is none of ours.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::HOST;
use serde_json::json;

pub(super) async fn check(State(hosts): State<Arc<Vec<String>>>, request: Request, next: Next) -> Response {
    let header = request
        .headers()
        .get(HOST)
        .map(|host| host.to_str().unwrap_or_default());
    // Old probes send none; a browser always does.
    let Some(host) = request.uri().authority().map(http::uri::Authority::as_str).or(header) else {
        return next.run(request).await;
    };
    if is_ours(host, &hosts) {
        return next.run(request).await;
    }
    let error = "this listener answers to its IP address, to names without a dot, and to those in admin.hosts";
    (StatusCode::MISDIRECTED_REQUEST, Json(json!({"error": error}))).into_response()
}

/// Whether this host, with or without a port, is this machine.
fn is_ours(host: &str, hosts: &[String]) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name.parse::<IpAddr>().is_ok()
        || !name.contains('.')
        || name.ends_with(".localhost")
        || hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_dot_are_ours_only_if_they_are_configured() {
        let hosts = ["monitor.example.org".to_owned()];
        for ours in [
            "127.0.0.1:8081",
            "[::1]:8081",
            "::1",
            "10.0.0.7",
            "localhost:8081",
            "app.localhost",
            "runs-worker:8081",
            "Monitor.Example.org:8081",
            "monitor.example.org.",
        ] {
            assert!(is_ours(ours, &hosts), "{ours}");
        }
        for other in [
            "rebound.example.com",
            "rebound.example.com:8081",
            "127.0.0.1.example.com",
            "evil.monitor.example.org",
        ] {
            assert!(!is_ours(other, &hosts), "{other}");
        }
    }
}
