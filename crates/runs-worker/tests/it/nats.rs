//! The handler for NATS, against a real server.
//!
//! They need the program `nats-server`. Where it is missing they fail in CI, and say elsewhere that they were skipped.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::{self, Context, stream};
use futures_util::StreamExt as _;
use runs_worker::Worker;
use tempfile::TempDir;

use crate::world::{Api, file_builder, get, run, task_completed, webhook};

const AT: &str = "2026-01-31T09:00:00Z";

/// A server of the test's own, stopped with it.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    /// None where there is no such program.
    fn start(store: &Path, port: Option<u16>) -> Option<Self> {
        Self::start_with(store, port, None)
    }

    /// The same, with a file of settings.
    #[expect(clippy::print_stderr, reason = "what is skipped is told aloud")]
    fn start_with(store: &Path, port: Option<u16>, settings: Option<&Path>) -> Option<Self> {
        let port = port.unwrap_or_else(|| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
        let program = ["nats-server", "/usr/sbin/nats-server"]
            .into_iter()
            .find(|program| Command::new(program).arg("--version").output().is_ok());
        let Some(program) = program else {
            assert!(std::env::var_os("CI").is_none(), "nats-server is not installed");
            eprintln!("SKIPPED: nats-server is not installed");
            return None;
        };
        let process = Command::new(program)
            .args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"])
            .arg(store)
            .args(settings.into_iter().flat_map(|file| [Path::new("-c"), file]))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self { process, port })
    }

    async fn jetstream(&self) -> Context {
        let address = format!("127.0.0.1:{}", self.port);
        let options = async_nats::ConnectOptions::new().retry_on_initial_connect();
        let client = options.connect(address).await.unwrap();
        client.flush().await.unwrap();
        jetstream::new(client)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn stream(context: &Context) -> stream::Stream {
    let config = stream::Config {
        name: "RUNS".to_owned(),
        subjects: vec!["tallyfy.>".to_owned()],
        ..stream::Config::default()
    };
    context.get_or_create_stream(config).await.unwrap()
}

fn configuration(port: u16) -> String {
    format!(
        "[[organizations]]\nid = 'acme'\ntoken = 't0ken-t0ken'\nwebhook_secrets = ['correct-horse-battery-staple']\n\
         [[handlers]]\nname = 'bus'\ntype = 'nats'\ntimeout = '2s'\nnats.servers = ['nats://127.0.0.1:{port}']\n"
    )
}

/// A run that is another at each look.
async fn worker(folder: &TempDir, port: u16) -> Worker {
    let config = folder.path().join("worker.toml");
    std::fs::write(&config, configuration(port)).unwrap();
    let api = Api::new(|_, before| (200, run("r1", &format!(r#""status":"active","name":"look {before}""#))));
    file_builder(folder, &config).transport(api).start().await.unwrap()
}

async fn tell(worker: &Worker, task: &str) {
    assert_eq!(webhook(worker, &task_completed("r1", task, AT)).await.0, 202);
}

/// The first messages of a stream: subject, id and body.
async fn messages(stream: &stream::Stream, count: usize) -> Vec<(String, String, serde_json::Value)> {
    let config = jetstream::consumer::pull::OrderedConfig::default();
    let consumer = stream.create_consumer(config).await.unwrap();
    let messages = consumer.messages().await.unwrap().take(count);
    let read = messages.map(|message| {
        let message = message.unwrap();
        let id = message.headers.as_ref().and_then(|headers| headers.get("Nats-Msg-Id"));
        (
            message.subject.to_string(),
            id.unwrap().to_string(),
            serde_json::from_slice(&message.payload).unwrap(),
        )
    });
    let read = tokio::time::timeout(Duration::from_secs(60), read.collect()).await;
    assert!(read.is_ok(), "the messages did not come");
    read.unwrap()
}

async fn wait_until_ready(worker: &Worker, wanted: u16, part: &str) {
    let mut last = (0, String::new());
    let ready = async {
        while last.0 != wanted || !last.1.contains(part) {
            last = get(worker.admin_address(), "/health/ready").await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), ready).await;
    assert!(waited.is_ok(), "expected {wanted} with {part:?}, got {last:?}");
}

#[tokio::test]
async fn events_are_published_in_order_with_their_ids() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(&folder.path().join("nats"), None) else {
        return;
    };
    let stream = stream(&server.jetstream().await).await;
    let worker = worker(&folder, server.port).await;
    let mut seen = Vec::new();
    for number in 1..=3 {
        tell(&worker, &format!("t{number}")).await;
        seen = messages(&stream, number).await;
    }
    worker.stop().await;
    let subjects: Vec<&str> = seen.iter().map(|(subject, ..)| subject.as_str()).collect();
    assert_eq!(
        subjects,
        [
            "tallyfy.acme.r1.seen",
            "tallyfy.acme.r1.changed",
            "tallyfy.acme.r1.changed"
        ]
    );
    for ((_, id, event), number) in seen.iter().zip(1..) {
        assert_eq!(
            (event["id"].as_str(), &event["sequence"]),
            (Some(id.as_str()), &format!("{number:020}").into())
        );
    }
}

#[tokio::test]
async fn what_was_published_before_and_comes_again_is_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(&folder.path().join("nats"), None) else {
        return;
    };
    let stream = stream(&server.jetstream().await).await;
    let first = worker(&folder, server.port).await;
    tell(&first, "t1").await;
    let [(_, id, _)] = messages(&stream, 1).await.try_into().unwrap();
    first.stop().await;
    let store = folder.path().join("data/runs.db");
    let operator = runs_store::StoreLocation::File(store).open_beside().await.unwrap();
    let bus = runs_store::HandlerName::new("bus");
    let ids = [id.parse().unwrap()];
    assert_eq!(
        operator
            .replay(&ids, &bus, runs_store::SchedulingTime::by_wall_clock())
            .await
            .unwrap(),
        1
    );
    operator.close().await;
    let second = worker(&folder, server.port).await;
    tell(&second, "t2").await;
    let seen = messages(&stream, 2).await;
    second.stop().await;
    assert_eq!(seen[1].2["sequence"], "00000000000000000002");
}

#[tokio::test]
async fn events_wait_for_a_server_that_is_away_and_for_a_stream_that_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("nats");
    let Some(server) = Server::start(&place, None) else {
        return;
    };
    let port = server.port;
    drop(server);
    let worker = worker(&folder, port).await;
    tell(&worker, "t1").await;
    wait_until_ready(&worker, 503, "cannot connect to NATS").await;
    let server = Server::start(&place, Some(port)).unwrap();
    let context = server.jetstream().await;
    wait_until_ready(&worker, 503, "no JetStream stream takes the subject").await;
    let kept = stream(&context).await;
    assert_eq!(messages(&kept, 1).await.len(), 1);
    wait_until_ready(&worker, 200, "ready").await;
    drop(server);
    tell(&worker, "t2").await;
    wait_until_ready(&worker, 503, "handler bus").await;
    let server = Server::start(&place, Some(port)).unwrap();
    let kept = stream(&server.jetstream().await).await;
    let seen = messages(&kept, 2).await;
    worker.stop().await;
    assert_eq!(seen[1].2["sequence"], "00000000000000000002");
}

#[tokio::test]
async fn an_event_that_is_larger_than_the_server_takes_is_published_without_its_oldest_bodies() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("nats.conf");
    std::fs::write(&settings, "max_payload: 16384\n").unwrap();
    let Some(server) = Server::start_with(&folder.path().join("nats"), None, Some(&settings)) else {
        return;
    };
    let stream = stream(&server.jetstream().await).await;
    let config = folder.path().join("worker.toml");
    std::fs::write(&config, configuration(server.port)).unwrap();
    let held = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let is_held = Arc::clone(&held);
    let api = Api::new(move |_, _| match is_held.load(Ordering::SeqCst) {
        true => (503, String::new()),
        false => (200, run("r1", r#""status":"active""#)),
    });
    let worker = file_builder(&folder, &config).transport(api).start().await.unwrap();
    let padding = "x".repeat(3000);
    for number in 0..12 {
        let body =
            format!(r#"{{"event":"task.comment_added","task":{{"id":"t{number}","run_id":"r1"}},"note":"{padding}"}}"#);
        assert_eq!(webhook(&worker, &body).await.0, 202);
    }
    held.store(false, Ordering::SeqCst);
    let mut told = Vec::new();
    let mut count = 0;
    while told.len() < 12 {
        count += 1;
        told.clear();
        for (.., event) in messages(&stream, count).await {
            told.extend(event["data"]["notifications"].as_array().unwrap().clone());
        }
    }
    worker.stop().await;
    let whole: Vec<bool> = told.iter().map(|one| one["body"].is_object()).collect();
    assert!(
        whole.contains(&false) && whole.ends_with(&[true, true, true]),
        "{whole:?}"
    );
    assert!(
        told.iter()
            .all(|one| one["body"].is_object() || one["body_omitted"].is_string())
    );
}
