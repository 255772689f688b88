//! Handlers of the configuration, each against something real on the other side.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use http::{HeaderMap, StatusCode};
use runs_worker::Worker;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::world::{Api, file_builder, get, post, run};

pub(crate) const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub(crate) const OLD_KEY: &str = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA==";

/// A worker of the organization `acme` with these handlers.
pub(crate) async fn start(folder: &TempDir, handlers: &str) -> Worker {
    let file = folder.path().join("worker.toml");
    let organization =
        "[[organizations]]\nid = \"acme\"\ntoken = \"t0ken-t0ken\"\nwebhook_secrets = [\"correct-horse-battery\"]\n";
    fs::write(&file, format!("{organization}\n{handlers}")).unwrap();
    let api = Api::new(|path, before| {
        let id = path.rsplit('/').next().unwrap_or_default().to_owned();
        (200, run(&id, &format!(r#""name":"Größe \"{before}\" %""#)))
    });
    file_builder(folder, &file).transport(api).start().await.unwrap()
}

pub(crate) async fn notify(worker: &Worker, run: &str) {
    let body = format!(r#"{{"event":"task.assigned","process":{{"id":"{run}"}}}}"#);
    let headers = [("x-tallyfy-orgid", "acme")];
    let (status, _) = post(
        worker.receive_address(),
        "/webhooks/correct-horse-battery",
        &headers,
        body.as_bytes(),
    )
    .await;
    assert_eq!(status, 202);
}

pub(crate) type Received = (HeaderMap, Bytes);

/// A receiver that answers with these statuses, the last one again and again.
pub(crate) async fn receiver(statuses: &[u16]) -> (String, mpsc::UnboundedReceiver<Received>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let statuses = Arc::new(Mutex::new(statuses.to_vec()));
    let answer = move |headers: HeaderMap, body: Bytes| {
        let _ = sender.send((headers, body));
        let mut statuses = statuses.lock().unwrap();
        let status = if statuses.len() > 1 {
            statuses.remove(0)
        } else {
            statuses[0]
        };
        async move { (StatusCode::from_u16(status).unwrap(), "because\nof reasons") }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/events?key=s3cret", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    (url, receiver)
}

pub(crate) fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers[name].to_str().unwrap()
}

#[tokio::test]
async fn a_posted_event_is_signed_so_that_the_public_library_accepts_it() {
    let folder = tempfile::tempdir().unwrap();
    let (url, mut received) = receiver(&[200]).await;
    let worker = start(
        &folder,
        &format!(
            "[[handlers]]\nname = \"crm\"\ntype = \"http\"\nurl = \"{url}\"\nsigning_keys = [\"{KEY}\", \"{OLD_KEY}\"]\n\
             headers = {{ authorization = \"Bearer s3cret\" }}"
        ),
    )
    .await;
    notify(&worker, "r1").await;
    let (headers, body) = received.recv().await.unwrap();
    worker.stop().await;

    assert_eq!(header(&headers, "content-type"), "application/cloudevents+json");
    assert_eq!(header(&headers, "authorization"), "Bearer s3cret");
    assert_eq!(header(&headers, "runs-attempt"), "1");
    let event = json(&body);
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(header(&headers, "webhook-id"), event["id"].as_str().unwrap());
    for key in [KEY, OLD_KEY] {
        let verifier = standardwebhooks::Webhook::new(key).unwrap();
        verifier.verify(&body, &headers).unwrap();
        assert!(verifier.verify(b"{}", &headers).is_err());
    }
}

#[tokio::test]
async fn in_binary_mode_the_attributes_are_headers() {
    let folder = tempfile::tempdir().unwrap();
    let (url, mut received) = receiver(&[204]).await;
    let handler = format!(
        "[[handlers]]\nname = \"crm\"\ntype = \"http\"\nmode = \"binary\"\nurl = \"{url}\"\nsigning_keys = \"{KEY}\""
    );
    let worker = start(&folder, &handler).await;
    notify(&worker, "r1").await;
    let (headers, body) = received.recv().await.unwrap();
    worker.stop().await;

    assert_eq!(header(&headers, "content-type"), "application/json");
    assert_eq!(header(&headers, "ce-specversion"), "1.0");
    assert_eq!(header(&headers, "ce-type"), "com.tallyfy.run.seen.v1");
    assert_eq!(header(&headers, "ce-source"), "/organizations/acme/runs/r1");
    assert_eq!(header(&headers, "ce-partitionkey"), "r1");
    assert_eq!(header(&headers, "ce-subject"), "r1");
    assert_eq!(header(&headers, "ce-sequence"), "00000000000000000001");
    assert_eq!(json(&body)["run"]["name"], "Größe \"0\" %");
    standardwebhooks::Webhook::new(KEY)
        .unwrap()
        .verify(&body, &headers)
        .unwrap();
}

#[tokio::test]
async fn an_answer_says_whether_to_try_again_to_give_up_or_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    let (url, mut received) = receiver(&[503, 401, 422, 200, 410]).await;
    let handler =
        format!("[[handlers]]\nname = \"crm\"\ntype = \"http\"\nurl = \"{url}\"\nconcurrency = 1\nreject_on = [422]");
    let worker = start(&folder, &handler).await;
    notify(&worker, "r1").await;
    let mut attempts = Vec::new();
    for _ in 0..3 {
        let (headers, body) = received.recv().await.unwrap();
        attempts.push((json(&body)["id"].clone(), header(&headers, "runs-attempt").to_owned()));
    }
    assert_eq!(
        attempts.iter().map(|(_, attempt)| attempt.as_str()).collect::<Vec<_>>(),
        ["1", "2", "3"]
    );
    assert!(attempts.iter().all(|(id, _)| *id == attempts[0].0), "one event");

    // It was rejected: the next event of that run goes on.
    notify(&worker, "r1").await;
    assert_eq!(
        json(&received.recv().await.unwrap().1)["sequence"],
        "00000000000000000002"
    );
    notify(&worker, "r1").await;
    assert_eq!(
        json(&received.recv().await.unwrap().1)["sequence"],
        "00000000000000000003"
    );
    let problem = loop {
        let (status, body) = get(worker.admin_address(), "/health/ready").await;
        if status != 200 {
            break body;
        }
    };
    assert!(
        problem.contains("handler crm: nothing is delivered") && problem.contains("answered 410: because of reasons"),
        "{problem}"
    );
    assert!(!problem.contains("s3cret"));
    worker.stop().await;
}

#[tokio::test]
async fn a_receiver_that_refuses_an_event_is_asked_again_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let (url, mut received) = receiver(&[422, 400, 200]).await;
    let handler = format!("[[handlers]]\nname = \"crm\"\ntype = \"http\"\nurl = \"{url}\"");
    let worker = start(&folder, &handler).await;
    notify(&worker, "r1").await;
    for attempt in ["1", "2", "3"] {
        let (headers, _) = received.recv().await.unwrap();
        assert_eq!(header(&headers, "runs-attempt"), attempt);
    }
    worker.stop().await;
    assert!(dead_letters(&folder).await.is_empty());

    let folder = tempfile::tempdir().unwrap();
    let (url, _received) = receiver(&[422]).await;
    let handler = format!("[[handlers]]\nname = \"crm\"\ntype = \"http\"\nurl = \"{url}\"\nreject_after = \"1ms\"");
    let worker = start(&folder, &handler).await;
    notify(&worker, "r1").await;
    let letters = first_dead_letters(&folder).await;
    worker.stop().await;
    let reason = &letters[0].reason;
    assert!(
        reason.starts_with("after 1ms, at try ") && reason.ends_with(": answered 422: because of reasons"),
        "{reason}"
    );
}

/// The events in a file, one from each line.
fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// Looks until something is as it is to be. The worker has to have the time to do it.
pub(crate) async fn until(is: impl Fn() -> bool) {
    while !is() {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_file_gets_lines_is_private_and_may_be_rotated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    fs::write(&path, "{\"cut\":\"of").unwrap();
    let handler = format!(
        "[[handlers]]\nname = \"log\"\ntype = \"file\"\npath = \"{}\"",
        path.display()
    );
    let worker = start(&folder, &handler).await;
    notify(&worker, "r1").await;
    until(|| lines(&path).len() == 1).await;
    assert!(
        fs::read_to_string(&path)
            .unwrap()
            .starts_with("{\"cut\":\"of\n{\"specversion\""),
        "the torn line is ended"
    );

    let rotated = folder.path().join("events.1");
    fs::rename(&path, &rotated).unwrap();
    notify(&worker, "r2").await;
    until(|| lines(&path).len() == 1).await;
    assert_eq!(lines(&rotated).len(), 1);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    worker.stop().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_written_keeps_its_events_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("later/events.jsonl");
    fs::create_dir(folder.path().join("later")).unwrap();
    let handler = format!(
        "[[handlers]]\nname = \"log\"\ntype = \"file\"\npath = \"{}\"\nmax_attempts = 1",
        path.display()
    );
    let worker = start(&folder, &handler).await;
    fs::remove_dir(folder.path().join("later")).unwrap();
    notify(&worker, "r1").await;
    while get(worker.admin_address(), "/health/ready").await.0 == 200 {}
    fs::create_dir(folder.path().join("later")).unwrap();
    until(|| lines(&path).len() == 1).await;
    worker.stop().await;
}

pub(crate) fn script(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn a_program_gets_the_event_and_the_essentials_and_nothing_of_the_workers() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let program = script(
        &folder,
        "program",
        "cat > \"$1.event\"; env | sort > \"$1.env\"; mv \"$1.env\" \"$1\"",
    );
    let handler = format!(
        "[[handlers]]\nname = \"run\"\ntype = \"command\"\ncommand = [\"{program}\", \"{0}\"]\nenv = {{ STAGE = \"test\" }}",
        out.display()
    );
    let worker = start(&folder, &handler).await;
    notify(&worker, "r1").await;
    until(|| out.exists()).await;
    worker.stop().await;

    let event = json(&fs::read(out.with_extension("event")).unwrap());
    let environment = fs::read_to_string(&out).unwrap();
    let environment: BTreeMap<&str, &str> = environment.lines().filter_map(|line| line.split_once('=')).collect();
    assert_eq!(environment["RUNS_EVENT_ID"], event["id"].as_str().unwrap());
    assert_eq!(environment["RUNS_EVENT_TYPE"], "com.tallyfy.run.seen.v1");
    assert_eq!((environment["RUNS_ORG_ID"], environment["RUNS_RUN_ID"]), ("acme", "r1"));
    assert_eq!(
        (environment["RUNS_EVENT_NUMBER"], environment["RUNS_ATTEMPT"]),
        ("1", "1")
    );
    assert_eq!(environment["STAGE"], "test");
    assert!(!environment.contains_key("CARGO_MANIFEST_DIR"), "{environment:?}");
}

#[tokio::test]
async fn the_end_of_a_program_says_what_is_next() {
    let folder = tempfile::tempdir().unwrap();
    let (count, done) = (folder.path().join("count"), folder.path().join("done"));
    // 75, a signal, another status: try again, try again, give up; then the next event.
    let program = script(
        &folder,
        "program",
        &format!(
            "echo x >> {0}\ncase $(wc -l < {0}) in\n1) exit 75;;\n2) kill -9 $$;;\n3) echo not this one >&2; exit 3;;\n*) echo $RUNS_EVENT_NUMBER $RUNS_ATTEMPT > {1};;\nesac",
            count.display(),
            done.display()
        ),
    );
    let worker = start(
        &folder,
        &format!("[[handlers]]\nname = \"run\"\ntype = \"command\"\ncommand = [\"{program}\"]"),
    )
    .await;
    notify(&worker, "r1").await;
    until(|| fs::read_to_string(&count).unwrap_or_default().lines().count() == 3).await;
    notify(&worker, "r1").await;
    until(|| fs::read_to_string(&done).unwrap_or_default() == "2 1\n").await;
    worker.stop().await;
}

#[tokio::test]
async fn a_program_that_takes_too_long_is_killed_with_everything_that_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let (started, late) = (folder.path().join("started"), folder.path().join("late"));
    let program = script(
        &folder,
        "program",
        &format!(
            "(sleep 3; touch {1}) &\nfirst=$!\n\
             setsid sh -c \"echo $first \\$\\$ > {0}; sleep 3; touch {1}\" &\nsleep 60",
            started.display(),
            late.display()
        ),
    );
    let handler = format!(
        "[[handlers]]\nname = \"run\"\ntype = \"command\"\ncommand = [\"{program}\"]\ntimeout = \"200ms\"\nretry_initial = \"1h\"\nretry_max = \"1h\""
    );
    let worker = start(&folder, &handler).await;
    notify(&worker, "r1").await;
    until(|| fs::read_to_string(&started).is_ok_and(|id| !id.is_empty())).await;
    for child in fs::read_to_string(&started).unwrap().split_whitespace() {
        until(|| {
            let status = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            status.is_empty() || status.contains(") Z ")
        })
        .await;
    }
    assert!(!late.exists());
    worker.stop().await;
}

/// The dead letters of a worker that has ended.
async fn dead_letters(folder: &TempDir) -> Vec<runs_store::DeadLetter> {
    let location = runs_store::StoreLocation::File(folder.path().join("data/runs.db"));
    let store = location.open_beside().await.unwrap();
    store.dead_letters(&runs_store::Query::default(), 10).await.unwrap()
}

/// The same, as soon as there are some.
async fn first_dead_letters(folder: &TempDir) -> Vec<runs_store::DeadLetter> {
    loop {
        let letters = dead_letters(folder).await;
        if !letters.is_empty() {
            return letters;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_event_that_is_too_old_is_given_up_when_a_try_fails() {
    let folder = tempfile::tempdir().unwrap();
    let (url, mut received) = receiver(&[503]).await;
    let handler = format!("[[handlers]]\nname = \"crm\"\ntype = \"http\"\nurl = \"{url}\"\nmax_age = \"1ms\"");
    let worker = start(&folder, &handler).await;
    notify(&worker, "r1").await;
    received.recv().await.unwrap();
    let letters = first_dead_letters(&folder).await;
    worker.stop().await;
    let reason = &letters[0].reason;
    assert!(
        reason.starts_with("after 1ms, at try ") && reason.ends_with(": answered 503: because of reasons"),
        "{reason}"
    );
    assert_eq!(letters[0].answer.as_deref(), Some("because\nof reasons"));
}
