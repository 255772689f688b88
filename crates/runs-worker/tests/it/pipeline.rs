//! From a webhook to a handler, through the real store, with an API that answers by script.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use runs_store::SqliteStore;
use runs_worker::{Event, EventFilter, EventType, HandlerError, Worker};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::odd_store::OddStore;
use crate::world::{Api, Relay, SilentApi, builder, file_builder, get, post, run, task_completed, webhook};

const AT: &str = "2026-01-31T09:00:00Z";

async fn start(folder: &tempfile::TempDir, api: Arc<Api>) -> (Worker, UnboundedReceiver<Event>) {
    let (relay, events) = Relay::new(|_| Ok(()));
    (start_with(folder, &[], api, relay).await, events)
}

/// With these settings and this handler.
async fn start_with(folder: &tempfile::TempDir, settings: &[(&str, &str)], api: Arc<Api>, relay: Relay) -> Worker {
    let builder = builder(folder, settings).transport(api).handler("relay", relay);
    builder.start().await.unwrap()
}

fn json(event: &Event) -> Value {
    serde_json::from_slice(event.json()).unwrap()
}

#[tokio::test]
async fn a_webhook_becomes_an_event_with_the_run_as_the_api_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::new(|_, _| {
        (
            200,
            "{ \"data\": {\n \"id\": \"r1\", \"name\": \"Globex\",\n \"amount\": 1.50, \"big\": 123456789012345678901234567890,\n \
             \"tasks\": {\"data\": [{\"id\": \"t1\", \"status\": \"completed\", \"completed_at\": \"2026-01-31T09:00:00Z\"}]} } }"
                .to_owned(),
        )
    });
    let (worker, mut events) = start(&folder, Arc::clone(&api)).await;
    assert_eq!(webhook(&worker, &task_completed("r1", "t1", AT)).await.0, 202);
    let event = events.recv().await.unwrap();
    worker.stop().await;

    assert_eq!(
        api.asked(),
        ["/organizations/acme/runs/r1?with=checklist,tasks,tags,form_fields&form_fields_values=true"]
    );
    let text = std::str::from_utf8(event.json()).unwrap();
    assert!(
        text.contains("\"amount\":1.50,\"big\":123456789012345678901234567890"),
        "{text}"
    );
    assert!(!text.contains('\n'), "one event is one line");
    assert!(!text.contains("l1nk-s3cret"), "{text}");
    insta::assert_json_snapshot!("event_run_seen", json(&event), {
        ".id" => "[id]",
        ".time" => "[time]",
        ".data.notifications[].id" => "[id]",
        ".data.notifications[].received_at" => "[time]",
    });
}

#[tokio::test]
async fn the_next_event_of_a_run_says_what_changed() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::new(|_, before| {
        let members = if before == 0 {
            r#""status":"active","progress":50,"tasks":[{"id":"t1","title":"Call","status":"active"}]"#
        } else {
            r#""status":"complete","progress":{"complete":1,"total":1,"percent":100},"completed_at":"2026-01-31T10:00:00Z",
               "tasks":[{"id":"t1","title":"Call","status":"completed","completed_at":"2026-01-31T10:00:00Z"}]"#
        };
        (200, run("r1", members))
    });
    let (worker, mut events) = start(&folder, api).await;
    let launched = r#"{"id":"r1","status":"active","created_at":"2026-01-31T08:00:00Z"}"#;
    assert_eq!(webhook(&worker, launched).await.0, 202);
    let first = events.recv().await.unwrap();
    assert_eq!(
        webhook(&worker, &task_completed("r1", "t1", "2026-01-31T10:00:00Z"))
            .await
            .0,
        202
    );
    let second = events.recv().await.unwrap();
    worker.stop().await;

    assert_eq!((first.number(), second.number()), (1, 2));
    assert_eq!(second.event_type(), "com.tallyfy.run.completed.v1");
    insta::assert_json_snapshot!("event_changes", json(&second)["data"]["changes"]);
}

#[tokio::test]
async fn a_notification_without_a_visible_change_is_in_an_event_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (worker, mut events) = start(&folder, Api::new(|_, _| (200, run("r1", r#""status":"active""#)))).await;
    webhook(&worker, r#"{"event":"process.launched","process":{"id":"r1"}}"#).await;
    assert_eq!(events.recv().await.unwrap().event_type(), "com.tallyfy.run.seen.v1");
    webhook(&worker, r#"{"event":"task.comment_added","process":{"id":"r1"}}"#).await;
    let event = events.recv().await.unwrap();
    worker.stop().await;
    assert_eq!(event.event_type(), "com.tallyfy.run.notified.v1");
    assert_eq!(json(&event)["data"]["notifications"][0]["event"], "task.comment_added");
}

/// The words of the types of the events that have come.
fn types(events: &mut UnboundedReceiver<Event>) -> Vec<String> {
    let mut types = Vec::new();
    while let Ok(event) = events.try_recv() {
        types.push(event.event_type().to_string());
    }
    types
}

#[tokio::test]
async fn a_handler_gets_what_its_filter_lets_through_and_holds_nobody_back() {
    let folder = tempfile::tempdir().unwrap();
    let answers = [
        r#""status":"active","name":"a""#,
        r#""status":"active","name":"b""#,
        r#""status":"complete","name":"b""#,
    ];
    let api = Api::new(move |_, before| (200, run("r1", answers[before.min(2)])));
    let (all, mut all_events) = Relay::new(|_| Ok(()));
    let (some, mut some_events) = Relay::new(|_| Ok(()));
    let mut completed = EventFilter::default();
    completed.events = vec![EventType::Completed];
    let worker = builder(&folder, &[])
        .transport(api)
        .handler("all", all)
        .filtered_handler("some", completed, some)
        .start()
        .await
        .unwrap();
    for event in ["process.launched", "task.assigned", "process.completed"] {
        webhook(&worker, &format!(r#"{{"event":"{event}","process":{{"id":"r1"}}}}"#)).await;
        all_events.recv().await.unwrap();
    }
    let event = some_events.recv().await.unwrap();
    worker.stop().await;
    assert_eq!((event.event_type(), event.number()), (EventType::Completed, 3));
    assert_eq!(types(&mut some_events), [""; 0]);
}

#[tokio::test]
async fn a_duplicate_without_a_change_is_told_only_to_those_who_ask() {
    let folder = tempfile::tempdir().unwrap();
    let (usual, mut usual_events) = Relay::new(|_| Ok(()));
    let (every, mut every_events) = Relay::new(|_| Ok(()));
    let mut filter = EventFilter::default();
    filter.every_notification = true;
    let worker = builder(&folder, &[])
        .transport(Api::new(|_, _| (200, run("r1", r#""status":"active""#))))
        .handler("usual", usual)
        .filtered_handler("every", filter, every)
        .start()
        .await
        .unwrap();
    let body = task_completed("r1", "t1", AT);
    assert_eq!(webhook(&worker, &body).await.0, 202);
    usual_events.recv().await.unwrap();
    every_events.recv().await.unwrap();
    assert_eq!(webhook(&worker, &body).await.0, 202);
    let event = every_events.recv().await.unwrap();
    worker.stop().await;
    assert_eq!(event.event_type(), "com.tallyfy.run.notified.v1");
    assert_eq!(json(&event)["data"]["notifications"], serde_json::json!([]));
    assert_eq!(types(&mut usual_events), [""; 0]);
}

#[tokio::test]
async fn a_notification_is_known_as_a_duplicate_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let first = task_completed("r1", "t1", AT);
    let (worker, _) = start(&folder, Api::new(|_, _| (503, String::new()))).await;
    assert_eq!(webhook(&worker, &first).await.0, 202);
    worker.stop().await;

    let (worker, mut events) = start(&folder, Api::new(|_, _| (200, run("r1", r#""status":"active""#)))).await;
    assert_eq!(webhook(&worker, &first).await.0, 202);
    assert_eq!(webhook(&worker, &task_completed("r1", "t2", AT)).await.0, 202);
    let mut told = Vec::new();
    while !told.contains(&"t2".to_owned()) {
        let event = events.recv().await.unwrap();
        for notification in json(&event)["data"]["notifications"].as_array().unwrap() {
            told.push(notification["task_id"].as_str().unwrap().to_owned());
        }
    }
    worker.stop().await;
    assert_eq!(told, ["t1", "t2"], "its twin is known");
}

#[tokio::test]
async fn two_assignments_of_one_second_are_both_told() {
    let folder = tempfile::tempdir().unwrap();
    let (worker, mut events) = start(&folder, Api::new(|_, _| (200, run("r1", r#""status":"active""#)))).await;
    let assigned = |user: u32| {
        format!(
            r#"{{"event":"task.assigned","timestamp":"{AT}","task":{{"id":"t1","run_id":"r1","owners":{{"users":[{user}]}}}}}}"#
        )
    };
    for user in [1, 2, 2] {
        assert_eq!(webhook(&worker, &assigned(user)).await.0, 202);
    }
    let mut told = Vec::new();
    while told.len() < 2 {
        let event = events.recv().await.unwrap();
        for notification in json(&event)["data"]["notifications"].as_array().unwrap() {
            told.push(notification["body"]["task"]["owners"]["users"][0].as_u64().unwrap());
        }
    }
    worker.stop().await;
    assert_eq!(told, [1, 2]);
    assert_eq!(types(&mut events), [""; 0], "the third says nothing new");
}

#[tokio::test]
async fn an_organization_event_that_names_only_a_task_leads_to_its_run() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::new(|path, _| {
        if path.contains("/tasks/") {
            (200, r#"{"data":{"id":"t9","run_id":"r1"}}"#.to_owned())
        } else {
            (200, run("r1", r#""status":"active""#))
        }
    });
    let (worker, mut events) = start(&folder, Arc::clone(&api)).await;
    webhook(&worker, r#"{"event":"task.assigned","task":{"id":"t9"}}"#).await;
    let event = events.recv().await.unwrap();
    worker.stop().await;
    assert_eq!(api.asked()[0], "/organizations/acme/tasks/t9");
    assert_eq!(event.run_id().as_str(), "r1");
    assert_eq!(json(&event)["data"]["notifications"][0]["task_id"], "t9");
}

#[tokio::test]
async fn a_run_that_is_not_there_is_asked_for_a_few_times_and_then_said_to_be_gone() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::new(|_, _| {
        (
            404,
            r#"{"error":true,"message":"Resource not found","code":"RESOURCE_NOT_FOUND"}"#.to_owned(),
        )
    });
    let (worker, mut events) = start(&folder, Arc::clone(&api)).await;
    webhook(&worker, &task_completed("r1", "t1", AT)).await;
    let event = events.recv().await.unwrap();
    worker.stop().await;
    assert_eq!(event.event_type(), "com.tallyfy.run.gone.v1");
    assert!(event.run().unwrap().is_none());
    assert_eq!(json(&event)["data"]["notifications"].as_array().unwrap().len(), 1);
    assert_eq!(api.asked().len(), 5);
}

#[tokio::test]
async fn trouble_before_does_not_make_a_run_gone_at_its_first_404() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::new(|_, before| match before {
        0..5 => (502, String::new()),
        5 => (404, String::new()),
        _ => (200, run("r1", r#""status":"active""#)),
    });
    let (worker, mut events) = start(&folder, Arc::clone(&api)).await;
    webhook(&worker, &task_completed("r1", "t1", AT)).await;
    let event = events.recv().await.unwrap();
    worker.stop().await;
    assert_eq!(event.event_type(), "com.tallyfy.run.seen.v1");
}

#[tokio::test]
async fn a_run_that_an_old_answer_shows_is_not_gone() {
    let folder = tempfile::tempdir().unwrap();
    let at = |second| {
        (
            200,
            run("r1", &format!(r#""last_updated":"2026-01-31T09:00:{second}Z""#)),
        )
    };
    // Between two replicas of which one does not know the run yet, the other lags: older than the last state, and older than
    // what was announced.
    let api = Api::new(move |_, before| match before {
        0 => at("05"),
        4 => at("01"),
        8 => at("05"),
        12 => at("30"),
        _ => (
            404,
            r#"{"error":true,"message":"Resource not found","code":"RESOURCE_NOT_FOUND"}"#.to_owned(),
        ),
    });
    let (relay, mut events) = Relay::new(|_| Ok(()));
    let settings = [("RUNS_WORKER__REFRESH__RETRY_MAX", "1ms")];
    let worker = start_with(&folder, &settings, api, relay).await;
    webhook(&worker, r#"{"event":"process.launched","process":{"id":"r1"}}"#).await;
    events.recv().await.unwrap();
    let announced =
        r#"{"id":"r1","status":"active","last_updated":"2026-01-31T09:00:30Z","created_at":"2026-01-31T09:00:00Z"}"#;
    webhook(&worker, announced).await;
    let event = json(&events.recv().await.unwrap());
    worker.stop().await;
    assert_eq!(event["data"]["run"]["last_updated"], "2026-01-31T09:00:30Z");
}

#[tokio::test]
async fn each_organization_has_its_own_secret_and_its_own_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("worker.toml");
    let toml = "
        [[organizations]]
        id = \"acme\"
        token = \"a\"
        webhook_secrets = [\"secret-of-acme\"]
        [[organizations]]
        id = \"globex\"
        token = \"g\"
        webhook_secrets = [\"secret-of-globex\"]
    ";
    std::fs::write(&file, toml).unwrap();
    let api = Api::new(|path, _| (200, run("r1", &format!(r#""name":"{path}""#))));
    let (relay, mut events) = Relay::new(|_| Ok(()));
    let worker = file_builder(&folder, &file)
        .transport(api)
        .handler("relay", relay)
        .start()
        .await
        .unwrap();
    let body = task_completed("r1", "t1", AT);
    let address = worker.receive_address();
    for (org, secret, expected) in [
        ("acme", "secret-of-acme", 202),
        ("globex", "secret-of-globex", 202),
        ("acme", "secret-of-globex", 403),
        ("initech", "secret-of-acme", 403),
    ] {
        let path = format!("/webhooks/{secret}");
        assert_eq!(
            post(address, &path, &[("X-Tallyfy-orgID", org)], body.as_bytes())
                .await
                .0,
            expected,
            "{org}"
        );
    }
    let mut sources = [json(&events.recv().await.unwrap()), json(&events.recv().await.unwrap())]
        .map(|event| format!("{} {}", event["source"], event["data"]["run"]["name"]));
    sources.sort();
    worker.stop().await;
    assert_eq!(
        sources,
        [
            r#""/organizations/acme/runs/r1" "/organizations/acme/runs/r1""#,
            r#""/organizations/globex/runs/r1" "/organizations/globex/runs/r1""#,
        ]
    );
}

#[tokio::test]
async fn trouble_of_the_api_is_waited_out() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::new(|_, before| match before {
        0 => (502, "<html>SQLSTATE[42S02]</html>".to_owned()),
        1 => (200, "<html>maintenance</html>".to_owned()),
        2 => (200, r#"{"data":{}}"#.to_owned()),
        3 => (200, r#"{"data":{"id":"r1""#.to_owned()),
        _ => (200, run("r1", r#""status":"active""#)),
    });
    let (worker, mut events) = start(&folder, Arc::clone(&api)).await;
    webhook(&worker, &task_completed("r1", "t1", AT)).await;
    let event = events.recv().await.unwrap();
    worker.stop().await;
    assert_eq!(event.event_type(), "com.tallyfy.run.seen.v1");
    assert_eq!(api.asked().len(), 5);
}

#[tokio::test]
async fn an_answer_older_than_the_notification_is_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::new(|_, before| {
        let status = if before == 0 {
            r#""status":"active""#
        } else {
            r#""status":"completed","completed_at":"2026-01-31T09:00:00Z""#
        };
        (200, run("r1", &format!(r#""tasks":[{{"id":"t1",{status}}}]"#)))
    });
    let (worker, mut events) = start(&folder, Arc::clone(&api)).await;
    webhook(&worker, &task_completed("r1", "t1", AT)).await;
    let event = events.recv().await.unwrap();
    worker.stop().await;
    assert_eq!(api.asked().len(), 2);
    assert_eq!(json(&event)["data"]["run"]["tasks"][0]["status"], "completed");
}

#[tokio::test]
async fn an_answer_that_stays_older_is_delivered_with_a_mark() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::new(|_, _| (200, run("r1", r#""tasks":[{"id":"t1","status":"active"}]"#)));
    let (relay, mut events) = Relay::new(|_| Ok(()));
    let settings = [("RUNS_WORKER__REFRESH__STALE_RETRIES", "0")];
    let worker = start_with(&folder, &settings, api, relay).await;
    webhook(&worker, &task_completed("r1", "t1", AT)).await;
    let event = events.recv().await.unwrap();
    worker.stop().await;
    assert_eq!(json(&event)["data"]["stale"], true);
}

#[tokio::test]
async fn a_failing_handler_gets_the_same_event_again_and_nothing_of_that_run_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::new(|_, before| (200, run("r1", &format!(r#""name":"version {before}""#))));
    let (relay, mut events) = Relay::new(|event| {
        if event.attempt() < 3 {
            Err(HandlerError::retry("not now"))
        } else {
            Ok(())
        }
    });
    let worker = start_with(&folder, &[], api, relay).await;
    webhook(&worker, &task_completed("r1", "t1", AT)).await;
    let first = events.recv().await.unwrap();
    webhook(&worker, &task_completed("r1", "t2", AT)).await;
    let mut seen = vec![first];
    while seen.len() < 6 {
        seen.push(events.recv().await.unwrap());
    }
    worker.stop().await;
    let attempts: Vec<(u64, u32)> = seen.iter().map(|event| (event.number(), event.attempt())).collect();
    assert_eq!(attempts, [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]);
    assert_eq!(seen[0].id(), seen[2].id());
    assert_eq!(seen[0].json(), seen[2].json());
    assert_ne!(seen[0].id(), seen[3].id());
}

#[tokio::test]
async fn a_handler_that_cannot_work_costs_no_attempt_and_makes_the_worker_not_ready() {
    let folder = tempfile::tempdir().unwrap();
    let left = std::sync::atomic::AtomicU32::new(1);
    let (relay, mut events) = Relay::new(move |_| {
        if left.swap(0, std::sync::atomic::Ordering::Relaxed) == 1 {
            Err(HandlerError::unavailable("the disk is full"))
        } else {
            Ok(())
        }
    });
    let worker = start_with(
        &folder,
        &[("RUNS_WORKER__DELIVER__MAX_ATTEMPTS", "1")],
        Api::new(|_, _| (200, run("r1", r#""status":"active""#))),
        relay,
    )
    .await;
    webhook(&worker, r#"{"event":"process.launched","process":{"id":"r1"}}"#).await;
    let first = events.recv().await.unwrap();
    let ready = loop {
        let (status, body) = get(worker.admin_address(), "/health/ready").await;
        if status != 200 {
            break body;
        }
    };
    assert!(ready.contains("handler relay: nothing is delivered since"), "{ready}");
    assert!(ready.contains("the disk is full"), "{ready}");
    let second = events.recv().await.unwrap();
    assert_eq!((second.id(), second.attempt()), (first.id(), 1));
    while get(worker.admin_address(), "/health/ready").await.0 != 200 {}
    worker.stop().await;
}

#[tokio::test]
async fn a_panic_or_a_rejection_of_one_event_stops_neither_the_run_nor_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::new(|path, _| {
        let id = path.rsplit('/').next().unwrap_or_default().to_owned();
        (200, run(&id, r#""status":"active""#))
    });
    let (relay, mut events) = Relay::new(
        |event| match (event.run_id().as_str(), event.number(), event.attempt()) {
            ("panics", 1, 1) => panic!("on purpose"),
            ("rejects", 1, _) => Err(HandlerError::reject("never")),
            _ => Ok(()),
        },
    );
    let worker = start_with(&folder, &[], api, relay).await;
    for run in ["panics", "rejects"] {
        webhook(&worker, &task_completed(run, "t1", AT)).await;
    }
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.push(events.recv().await.unwrap());
    }
    webhook(&worker, &task_completed("rejects", "t2", AT)).await;
    seen.push(events.recv().await.unwrap());
    worker.stop().await;
    let mut seen: Vec<(String, u64, u32)> = seen
        .iter()
        .map(|event| (event.run_id().to_string(), event.number(), event.attempt()))
        .collect();
    seen.sort();
    let expected = [("panics", 1, 1), ("panics", 1, 2), ("rejects", 1, 1), ("rejects", 2, 1)];
    assert_eq!(
        seen,
        expected.map(|(run, number, attempt)| (run.to_owned(), number, attempt))
    );
}

#[tokio::test]
async fn a_burst_for_one_run_costs_two_fetches() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::new(|_, before| (200, run("r1", &format!(r#""name":"version {before}""#))));
    let (relay, mut events) = Relay::new(|_| Ok(()));
    let settings = [("RUNS_WORKER__REFRESH__WINDOW", "1h")];
    let worker = start_with(&folder, &settings, Arc::clone(&api), relay).await;
    for task in 0..50 {
        assert_eq!(
            webhook(&worker, &task_completed("r1", &format!("t{task}"), AT)).await.0,
            202
        );
    }
    events.recv().await.unwrap();
    worker.stop().await;
    assert_eq!(api.asked().len(), 1, "the second waits for the window to pass");
}

#[tokio::test]
async fn a_refused_token_pauses_fetching_and_a_new_one_resumes_it() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::new(|_, before| {
        if before < 2 {
            (401, r#"{"error":true,"message":"Unauthenticated."}"#.to_owned())
        } else {
            (200, run("r1", r#""name":"x""#))
        }
    });
    let (relay, mut events) = Relay::new(|_| Ok(()));
    let settings = [("RUNS_WORKER__API__TOKEN_RETRY", "50ms")];
    let worker = start_with(&folder, &settings, Arc::clone(&api), relay).await;
    webhook(&worker, &task_completed("r1", "t1", AT)).await;
    let event = events.recv().await.unwrap();
    assert_eq!(
        event.event_type(),
        "com.tallyfy.run.seen.v1",
        "not gone, and no dead letter"
    );
    worker.stop().await;
}

#[tokio::test]
async fn a_run_that_alone_is_refused_stops_only_itself() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::new(|path, _| match path.contains("r1") {
        true => (401, r#"{"error":true,"message":"Unauthenticated."}"#.to_owned()),
        false => (200, run("r2", r#""name":"x""#)),
    });
    let (relay, mut events) = Relay::new(|_| Ok(()));
    let settings = [
        ("RUNS_WORKER__API__TOKEN_RETRY", "50ms"),
        ("RUNS_WORKER__REFRESH__RETRY_INITIAL", "1h"),
        ("RUNS_WORKER__REFRESH__RETRY_MAX", "1h"),
    ];
    let worker = start_with(&folder, &settings, Arc::clone(&api), relay).await;
    webhook(&worker, &task_completed("r1", "t1", AT)).await;
    for task in ["t1", "t2", "t3"] {
        webhook(&worker, &task_completed("r2", task, AT)).await;
        assert_eq!(events.recv().await.unwrap().run_id().as_str(), "r2");
    }
    let (status, body) = get(worker.admin_address(), "/health/ready").await;
    worker.stop().await;
    assert_eq!(status, 200, "{body}");
    let refused = api.asked().iter().filter(|path| path.contains("r1")).count();
    assert!((1..=10).contains(&refused), "{refused}");
}

#[tokio::test]
async fn an_include_that_drops_out_once_is_kept_and_compared_when_it_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let tasks = [
        r#""tasks":[{"id":"t1","status":"active"}]"#,
        r#""tasks":null,"name":"new""#,
        r#""tasks":[{"id":"t1","status":"completed"}],"name":"new""#,
    ];
    let (worker, mut events) = start(
        &folder,
        Api::new(move |_, before| (200, run("r1", tasks[before.min(2)]))),
    )
    .await;
    let mut told = Vec::new();
    for _ in 0..3 {
        webhook(&worker, r#"{"event":"process.updated","process":{"id":"r1"}}"#).await;
        let event = json(&events.recv().await.unwrap());
        let kinds = event["data"]["changes"].as_array().unwrap().iter();
        let kinds: Vec<_> = kinds
            .map(|change| change["kind"].as_str().unwrap().to_owned())
            .collect();
        told.push((kinds.join(" "), event["data"]["kept"].clone()));
    }
    worker.stop().await;
    let expected = [
        ("", Value::Null),
        ("name", serde_json::json!(["tasks"])),
        ("task.completed", Value::Null),
    ];
    assert_eq!(told, expected.map(|(kinds, kept)| (kinds.to_owned(), kept)));
}

#[tokio::test]
async fn what_is_empty_where_there_was_something_is_told_when_another_look_confirms_it() {
    let folder = tempfile::tempdir().unwrap();
    let tasks = [
        r#""tasks":[{"id":"t1","status":"active"}]"#,
        r#""tasks":[],"name":"new""#,
    ];
    let api = Api::new(move |_, before| (200, run("r1", tasks[before.min(1)])));
    let (relay, mut events) = Relay::new(|_| Ok(()));
    let worker = start_with(&folder, &[("RUNS_WORKER__REFRESH__SECOND_LOOK", "200ms")], api, relay).await;
    webhook(&worker, r#"{"event":"process.updated","process":{"id":"r1"}}"#).await;
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|last| last != "task.removed") {
        let event = json(&events.recv().await.unwrap());
        if kinds.is_empty() {
            webhook(&worker, r#"{"event":"process.updated","process":{"id":"r1"}}"#).await;
        }
        let changes = event["data"]["changes"].as_array().unwrap().iter();
        let of_event: Vec<_> = changes
            .map(|change| change["kind"].as_str().unwrap().to_owned())
            .collect();
        kinds.push(of_event.join(" "));
    }
    worker.stop().await;
    let named = kinds.iter().position(|kinds| kinds == "name");
    assert!(named.is_some_and(|named| named < kinds.len() - 1), "{kinds:?}");
}

#[tokio::test]
async fn health_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let worker = builder(&folder, &[])
        .transport(Arc::new(SilentApi))
        .start()
        .await
        .unwrap();
    let get = |path: &'static str| get(worker.admin_address(), path);
    assert_eq!(get("/health/live").await, (200, r#"{"status":"live"}"#.to_owned()));
    assert_eq!(get("/health/ready").await, (200, r#"{"status":"ready"}"#.to_owned()));
    assert_eq!(get("/nothing").await.0, 404);
    worker.stop().await;

    let folder = tempfile::tempdir().unwrap();
    let api = Api::new(|_, _| (401, r#"{"message":"Unauthenticated."}"#.to_owned()));
    let worker = builder(&folder, &[]).transport(api).start().await.unwrap();
    webhook(&worker, &task_completed("r1", "t1", AT)).await;
    let answer = loop {
        let request = b"GET /health/ready HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n";
        let answer = crate::world::parts(&crate::world::exchange(worker.admin_address(), request).await);
        if answer.0 == 503 {
            break answer.1;
        }
        tokio::task::yield_now().await;
    };
    assert!(
        answer.contains("organization acme: nothing is fetched since"),
        "{answer}"
    );
    assert!(!answer.contains("t0ken"), "{answer}");
    worker.stop().await;
}

#[tokio::test]
async fn a_run_whose_last_state_is_gone_is_changed_and_not_seen_again() {
    let folder = tempfile::tempdir().unwrap();
    let (relay, mut events) = Relay::new(|_| Ok(()));
    let store = Arc::new(
        runs_store::SqliteStore::open(
            folder.path().join("runs.db"),
            runs_store::SchedulingTime::by_wall_clock(),
        )
        .unwrap(),
    );
    let worker = builder(&folder, &[])
        .transport(Api::new(|_, before| {
            let members = format!(r#""name":"{before}","last_updated":"2099-01-31T09:00:00Z""#);
            (200, run("r1", &members))
        }))
        .store(Arc::clone(&store) as Arc<dyn runs_store::Store>)
        .handler("relay", relay)
        .start()
        .await
        .unwrap();
    for (expected, prunes) in [("seen", false), ("changed", false), ("changed", true)] {
        if prunes {
            let prune = runs_store::Prune {
                snapshots_before: Some(jiff::Timestamp::MAX),
                limit: 100,
                ..runs_store::Prune::default()
            };
            runs_store::OperatorDesk::prune(store.as_ref(), prune).await.unwrap();
        }
        webhook(&worker, r#"{"event":"task.assigned","process":{"id":"r1"}}"#).await;
        let event = events.recv().await.unwrap();
        assert_eq!(event.kind(), expected);
    }
    worker.stop().await;
}

#[tokio::test]
async fn while_the_api_is_down_readiness_says_so_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let is_up = Arc::new(AtomicBool::new(false));
    let answers = Arc::clone(&is_up);
    let api = Api::new(move |_, _| match answers.load(Ordering::Relaxed) {
        true => (200, run("r1", r#""status":"active""#)),
        false => (502, "<html>Bad gateway</html>".to_owned()),
    });
    let (worker, mut events) = start(&folder, Arc::clone(&api)).await;
    webhook(&worker, r#"{"event":"process.launched","process":{"id":"r1"}}"#).await;
    loop {
        let (status, body) = get(worker.admin_address(), "/health/ready").await;
        if body.contains("the API does not answer") {
            assert_eq!(status, 503);
            break;
        }
    }
    // Ten failures have shown it. While it is down, there is a try now and then, and no more.
    let asked = api.asked().len();
    assert!(asked <= 11, "{asked}");
    is_up.store(true, Ordering::Relaxed);
    assert_eq!(events.recv().await.unwrap().run_id().as_str(), "r1");
    worker.stop().await;
}

#[tokio::test]
async fn an_older_state_than_was_seen_before_is_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    // The second answer is that of a replica that lags behind; the notification has no time that would show it.
    let times = ["09:00:05", "09:00:01", "09:00:09"];
    let api = Api::new(move |_, before| {
        let at = times[before.min(2)];
        (200, run("r1", &format!(r#""last_updated":"2026-01-31T{at}Z""#)))
    });
    let (worker, mut events) = start(&folder, api).await;
    webhook(&worker, r#"{"event":"process.launched","process":{"id":"r1"}}"#).await;
    events.recv().await.unwrap();
    webhook(&worker, r#"{"event":"task.comment_added","process":{"id":"r1"}}"#).await;
    let event = json(&events.recv().await.unwrap());
    worker.stop().await;
    assert_eq!(event["data"]["run"]["last_updated"], "2026-01-31T09:00:09Z");
    assert!(event["data"]["stale"].is_null());
}

#[tokio::test]
async fn what_was_announced_without_a_time_and_does_not_show_is_looked_at_once_more() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::new(move |_, before| {
        let members = match before {
            // The second answer is that of a replica that lags behind.
            0 | 1 => r#""status":"active","last_updated":"2026-01-31T09:00:00Z""#,
            _ => r#""status":"active","last_updated":"2026-01-31T09:00:09Z","has_open_issue":true"#,
        };
        (200, run("r1", members))
    });
    let (worker, mut events) = start(&folder, Arc::clone(&api)).await;
    let launched =
        r#"{"id":"r1","status":"active","last_updated":"2026-01-31T09:00:00Z","created_at":"2026-01-31T09:00:00Z"}"#;
    webhook(&worker, launched).await;
    events.recv().await.unwrap();
    webhook(&worker, r#"{"event":"task.issue_raised","process":{"id":"r1"}}"#).await;
    assert_eq!(events.recv().await.unwrap().event_type(), "com.tallyfy.run.notified.v1");
    let event = events.recv().await.unwrap();
    worker.stop().await;
    assert_eq!(event.event_type(), "com.tallyfy.run.changed.v1");
    assert_eq!(api.asked().len(), 3, "once more, and then it is believed");
}

#[tokio::test]
async fn what_was_done_while_the_store_was_full_is_not_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(
        folder.path().join("store.db"),
        runs_store::SchedulingTime::by_wall_clock(),
    )
    .unwrap();
    let store = OddStore::new(Arc::new(store), &["resolve", "postpone", "commit", "settle"]);
    let api = Api::new(|path, before| match before {
        _ if path.contains("/tasks/") => (200, r#"{"data":{"id":"t9","run_id":"r1"}}"#.to_owned()),
        1 => (500, String::new()),
        _ => (200, run("r1", r#""status":"active""#)),
    });
    let (relay, mut events) = Relay::new(|_| Ok(()));
    let worker = builder(&folder, &[])
        .transport(Arc::clone(&api) as _)
        .store(Arc::clone(&store) as _)
        .handler("relay", relay)
        .start()
        .await
        .unwrap();
    webhook(&worker, r#"{"event":"task.assigned","task":{"id":"t9"}}"#).await;
    events.recv().await.unwrap();
    worker.stop().await;
    assert!(store.will_refuse().is_empty());
    let (task, run) = ("/organizations/acme/tasks/t9", "/organizations/acme/runs/r1");
    let asked = api.asked();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert!(
        asked[0] == task && asked[1..].iter().all(|path| path.starts_with(run)),
        "{asked:?}"
    );
    assert!(events.recv().await.is_none(), "the handler was called once");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_budget_that_is_used_up() {
    let folder = tempfile::tempdir().unwrap();
    let refused = Api::new(|_, _| (401, r#"{"error":true,"message":"Unauthenticated."}"#.to_owned()));
    let worker = builder(&folder, &[]).transport(refused).start().await.unwrap();
    let runs = ["r1", "r2", "r3"];
    for id in runs {
        assert_eq!(webhook(&worker, &task_completed(id, "t", AT)).await.0, 202);
    }
    worker.stop().await;

    // All three are due at once, and there is a request for one.
    let asked_for = move |path: &str| runs.into_iter().find(|id| path.contains(id)).unwrap();
    let api = Api::new(move |path, _| (200, run(asked_for(path), r#""name":"x""#)));
    let (relay, mut events) = Relay::new(|_| Ok(()));
    let worker = start_with(
        &folder,
        &[("RUNS_WORKER__API__REQUESTS_PER_MINUTE", "1")],
        Arc::clone(&api),
        relay,
    )
    .await;
    events.recv().await.unwrap();
    let stopped = tokio::time::timeout(std::time::Duration::from_secs(10), worker.stop()).await;
    stopped.unwrap();
    assert_eq!(api.asked().len(), 1);

    let api = Api::new(move |path, _| (200, run(asked_for(path), r#""name":"x""#)));
    let (relay, mut events) = Relay::new(|_| Ok(()));
    let worker = start_with(&folder, &[], Arc::clone(&api), relay).await;
    events.recv().await.unwrap();
    events.recv().await.unwrap();
    worker.stop().await;
}
