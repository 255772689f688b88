//! Tokens that an auth server issues, and that are exchanged for those of a user.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::ensure;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{get, post};
use serde_json::json;
use system_tests::{HonestSender, Told, WorkerProcess, WorkerSettings};

const SECRET: &str = "3b1f0c8e5a7d49629f8e7a6b5c4d3e2f";

/// How many tokens were issued to the application, and exchanged for one of the user; which of those is good.
#[derive(Default)]
struct Issued {
    applications: AtomicUsize,
    users: AtomicUsize,
    refused: AtomicUsize,
}

type Shared = State<Arc<Issued>>;

fn bearer(headers: &HeaderMap) -> &str {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    header
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default()
}

async fn application(State(issued): Shared) -> String {
    let number = issued.applications.fetch_add(1, Ordering::SeqCst) + 1;
    json!({"token_type": "Bearer", "expires_in": 604_800, "access_token": format!("application-{number}")}).to_string()
}

async fn user(
    State(issued): Shared,
    Path((org, email)): Path<(String, String)>,
    headers: HeaderMap,
) -> (StatusCode, String) {
    if !bearer(&headers).starts_with("application-") || org != "acme" || email != "bot@example.com" {
        return (StatusCode::FORBIDDEN, String::new());
    }
    let number = issued.users.fetch_add(1, Ordering::SeqCst) + 1;
    let token = json!({"data": {"access_token": format!("user-{number}"), "expires_in": 7_776_000}});
    (StatusCode::OK, token.to_string())
}

/// Only a token of the user is good here, and of those only the second: as if the first had been revoked.
async fn run(
    State(issued): Shared,
    Path((_, run)): Path<(String, String)>,
    headers: HeaderMap,
) -> (StatusCode, String) {
    if bearer(&headers) == "user-2" {
        let run = json!({"data": {"id": run, "name": "Order", "status": "active"}});
        return (StatusCode::OK, run.to_string());
    }
    issued.refused.fetch_add(1, Ordering::SeqCst);
    let refusal = json!({"error": true, "message": "unauthenticated"});
    (StatusCode::UNAUTHORIZED, refusal.to_string())
}

#[tokio::test]
async fn a_client_works_as_a_user_and_exchanges_again_when_that_token_is_refused() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let issued = Arc::new(Issued::default());
    let routes = Router::new()
        .route("/oauth/token", post(application))
        .route("/applications/{org}/users/{email}/token", post(user))
        .route("/organizations/{org}/runs/{run}", get(run))
        .with_state(Arc::clone(&issued));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, routes).await });

    let file = folder.path().join("worker.toml");
    std::fs::write(folder.path().join("client-secret"), "s3cret\r\n")?;
    let toml = format!(
        "[api]\nbase_url = \"{url}\"\ntoken_retry = \"50ms\"\n[reconcile]\nscope = \"off\"\n[[organizations]]\nid = \"acme\"\n\
         client_id = \"17\"\nclient_secret_file = \"client-secret\"\nauth_url = \"{url}\"\nact_as = \"bot@example.com\"\n\
         webhook_secrets = [\"{SECRET}\"]\n"
    );
    std::fs::write(&file, toml)?;
    let settings = WorkerSettings::of_file(&file, &folder.path().join("data"));
    let mut worker = WorkerProcess::start(&settings).await?;
    let url = format!("http://{}/webhooks/{SECRET}", worker.receive_address());
    let (told, _) = HonestSender::new(&url, "acme")?
        .send(1, std::time::Duration::from_secs(30))
        .await;
    ensure!(told == Told::Answered(202), "{told:?}");
    let events = worker.wait_for_events(|events| !events.is_empty()).await?;
    ensure!(events[0].state()["name"] == "Order", "{events:?}");
    ensure!(
        issued.users.load(Ordering::SeqCst) == 2,
        "a token that works is not exchanged again"
    );
    ensure!(issued.refused.load(Ordering::SeqCst) == 1);
    let log = worker.terminate().await?.stderr.join("\n");
    for secret in ["user-1", "user-2", "application-1", "s3cret"] {
        ensure!(!log.contains(secret), "{secret}: {log}");
    }
    Ok(())
}
