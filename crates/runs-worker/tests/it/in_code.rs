//! The worker as a library: configured in code, without a file, a listener or a folder, in a server of somebody else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get as on_get;
use runs_store::{SchedulingTime, SqliteStore};
use runs_worker::config::{Config, Flags, Loaded, Organization, TokenSetting, load};
use runs_worker::{EventType, Worker};
use tokio::net::TcpListener;

use crate::world::{Api, ORG, Relay, SECRET, get, post, run, task_completed};

fn loaded() -> Loaded {
    let mut config = Config::default();
    config.refresh.window = Duration::ZERO;
    config.receive.max_body_bytes = 1000.try_into().unwrap();
    Loaded::new(config, [Organization::new(ORG, "t0ken", [SECRET])]).unwrap()
}

/// Serves these routes until the test ends.
async fn served(routes: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

#[tokio::test]
async fn the_routes_of_a_worker_in_memory_are_mounted_in_another_server() {
    let (relay, mut events) = Relay::new(|_| Ok(()));
    let worker = Worker::builder(loaded())
        .store(Arc::new(
            SqliteStore::in_memory(SchedulingTime::by_wall_clock()).unwrap(),
        ))
        .transport(Api::new(|_, _| (200, run("r1", r#""status":"active""#))))
        .handler("relay", relay)
        .without_receive_listener()
        .without_admin_listener()
        .start()
        .await
        .unwrap();
    assert!(worker.receive_addresses().is_empty() && worker.data_dir().is_none());
    let routes = Router::new()
        .route("/", on_get(|| async { "mine" }))
        .merge(worker.router())
        .nest("/tallyfy", worker.router())
        .nest("/internal", worker.admin_router())
        .fallback(|| async { (http::StatusCode::IM_A_TEAPOT, "mine too") });
    let address = served(routes).await;
    let org = [("X-Tallyfy-orgID", ORG)];
    for (path, status) in [
        (format!("/webhooks/{SECRET}"), 202),
        (format!("/tallyfy/webhooks/{SECRET}/"), 200),
        ("/tallyfy/webhooks/guess".to_owned(), 404),
        ("/webhook/elsewhere".to_owned(), 418),
    ] {
        let body = task_completed("r1", "t1", "2026-01-31T09:00:00Z");
        assert_eq!(post(address, &path, &org, body.as_bytes()).await.0, status, "{path}");
    }
    let path = format!("/tallyfy/webhooks/{SECRET}");
    assert_eq!(post(address, &path, &org, &[b' '; 1001]).await.0, 413);
    assert_eq!(
        post(address, &path, &[("X-Tallyfy-orgID", "globex")], b"{}").await.0,
        403
    );
    assert_eq!(get(address, "/").await, (200, "mine".to_owned()));
    assert_eq!(get(address, "/internal/health/ready").await.0, 200);
    assert_eq!(events.recv().await.unwrap().event_type(), EventType::Seen);
    worker.stop().await;
    assert_eq!(post(address, &path, &org, b"{}").await.0, 503);
}

#[test]
fn what_is_wrong_in_code_is_told_at_once() {
    let mut config = Config::default();
    config.refresh.lease = Duration::from_secs(1);
    let client = TokenSetting::Client {
        id: String::new(),
        secret: "s".into(),
        auth_url: "https://account.tallyfy.com".parse().unwrap(),
        act_as: None,
    };
    let organizations = [
        Organization::new("", "", ["a/b"]),
        Organization::new("acme", "t", [""]),
        Organization::new("globex", "t", [SECRET]),
        Organization::new("initech", TokenSetting::File("/run/token".into()), [SECRET]),
        Organization::new("umbrella", client, ["other"]),
    ];
    let error = Loaded::new(config, organizations).unwrap_err();
    insta::assert_snapshot!("wrong_in_code", error);
    let none = Loaded::new(Config::default(), []).unwrap_err();
    assert_eq!(
        none.to_string(),
        "configuration: organizations: there is none, at least one is needed"
    );
}

#[test]
fn a_text_in_the_program_is_read_as_a_file_is() {
    let environment = BTreeMap::from([("TOKEN".to_owned(), "t0ken".to_owned())]);
    let text = r#"
        [refresh]
        window = "5s"
        [[organizations]]
        id = "acme"
        token = "${TOKEN}"
        webhook_secrets = ["s3cret"]
        [[handlers]]
        name = "crm"
        type = "http"
        url = "https://crm.example.com/events"
    "#;
    let loaded = load(&Flags::of_text(text), &environment, true).unwrap();
    assert_eq!(loaded.config.refresh.window, Duration::from_secs(5));
    assert_eq!((loaded.handlers[0].name().as_str(), loaded.file), ("crm", None));
    let misspelled = text.replace("window", "windw");
    let error = load(&Flags::of_text(misspelled), &environment, true).unwrap_err();
    assert_eq!(
        error.to_string(),
        "configuration: refresh.windw in line 3 of the configuration: there is no key `windw`; did you mean `window`?"
    );
}
