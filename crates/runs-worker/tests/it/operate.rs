//! Commands beside a worker that runs.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use runs_worker::{HandlerError, Worker};
use serde_json::Value;

use crate::world::{Api, ORG, Relay, builder, file_builder, get, run, webhook};

pub(crate) fn binary(data_dir: &Path, arguments: &[&str]) -> Command {
    let mut binary = Command::new(env!("CARGO_BIN_EXE_runs-worker"));
    binary
        .args(arguments)
        .env_clear()
        .env("RUNS_WORKER_DATA_DIR", data_dir)
        .env("TALLYFY_ORG_ID", ORG)
        .env("TALLYFY_TOKEN", "t0ken-t0ken");
    binary
}

/// What a command prints, and its exit status.
pub(crate) fn command(data_dir: &Path, arguments: &[&str]) -> (String, i32) {
    let output = binary(data_dir, arguments).output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (text, output.status.code().unwrap())
}

pub(crate) fn rows(data_dir: &Path, arguments: &[&str]) -> Vec<Value> {
    let (text, status) = command(data_dir, &[arguments, &["--json"]].concat());
    assert_eq!(status, 0, "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) fn data_dir(worker: &Worker) -> &Path {
    worker.data_dir().unwrap()
}

#[tokio::test]
async fn a_dead_letter_is_seen_and_sent_again_while_the_worker_runs() {
    let folder = tempfile::tempdir().unwrap();
    let open = Arc::new(AtomicBool::new(false));
    let is_open = Arc::clone(&open);
    let (relay, mut events) = Relay::new(move |_| {
        if is_open.load(Ordering::Relaxed) {
            Ok(())
        } else {
            Err(HandlerError::reject("it is closed").with_answer("come back\ntomorrow"))
        }
    });
    let worker = builder(&folder, &[])
        .transport(Api::new(|_, _| (200, run("r1", r#""status":"active""#))))
        .handler("crm", relay)
        .start()
        .await
        .unwrap();
    webhook(&worker, r#"{"event":"process.launched","process":{"id":"r1"}}"#).await;
    let first = events.recv().await.unwrap();
    let letters = loop {
        let (text, status) = command(data_dir(&worker), &["dead-letters", "list", "--json"]);
        if status == 0 {
            break text;
        }
        assert_eq!((text.as_str(), status), ("runs-worker: nothing found\n", 3));
    };
    let letter: Value = serde_json::from_str(letters.trim()).unwrap();
    assert_eq!(
        (&letter["handler"], &letter["reason"]),
        (&"crm".into(), &"it is closed".into())
    );
    assert_eq!(letter["event"], first.id().to_string());
    assert_eq!(letter["answer"], "come back\ntomorrow");
    let (shown, _) = command(data_dir(&worker), &["dead-letters", "show", &first.id().to_string()]);
    assert!(
        shown.contains("for crm: it is closed") && shown.ends_with("  answer\n    come back\n    tomorrow\n"),
        "{shown}"
    );
    assert_eq!(
        rows(data_dir(&worker), &["events", "list", "--run", "r1"])[0]["given_up_for"][0],
        "crm"
    );
    assert_eq!(rows(data_dir(&worker), &["handlers", "list"])[0]["dead_letters"], 1);
    let (shown, _) = command(data_dir(&worker), &["events", "show", &first.id().to_string()]);
    let (body, fate) = shown.split_once('\n').unwrap();
    assert_eq!(body.as_bytes(), first.json());
    assert_eq!(fate, "crm: given up; `dead-letters show` says why\n");

    assert_eq!(
        command(data_dir(&worker), &["dead-letters", "retry"]).1,
        2,
        "says which"
    );
    open.store(true, Ordering::Relaxed);
    let (said, status) = command(data_dir(&worker), &["dead-letters", "retry", "--handler", "crm"]);
    assert_eq!((said.as_str(), status), ("1 event put back\n", 0));
    let again = events.recv().await.unwrap();
    assert_eq!((again.id(), again.attempt()), (first.id(), 1));

    let (said, _) = command(
        data_dir(&worker),
        &["replay", "--handler", "crm", "--run", "r1", "--ignore-filter"],
    );
    assert_eq!(said, "1 event put in line again\n");
    assert_eq!(events.recv().await.unwrap().id(), first.id());
    worker.stop().await;
}

#[tokio::test]
async fn a_handler_is_paused_and_resumed_and_says_what_fails() {
    let folder = tempfile::tempdir().unwrap();
    let (relay, mut events) = Relay::new(|event| match event.attempt() {
        1 => Err(HandlerError::retry_after(
            "it is closed",
            std::time::Duration::from_secs(3600),
        )),
        _ => Ok(()),
    });
    let worker = builder(&folder, &[])
        .transport(Api::new(|path, _| {
            let id = path.rsplit('/').next().unwrap_or_default().to_owned();
            (200, run(&id, r#""status":"active""#))
        }))
        .handler("crm", relay)
        .start()
        .await
        .unwrap();
    webhook(&worker, r#"{"event":"process.launched","process":{"id":"r1"}}"#).await;
    events.recv().await.unwrap();
    let failing = loop {
        let row = rows(data_dir(&worker), &["handlers", "list"]).remove(0);
        if !row["last_error"].is_null() {
            break row;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    };
    assert_eq!(
        (&failing["last_error"], &failing["attempts"], &failing["paused"]),
        (&"it is closed".into(), &1.into(), &false.into())
    );
    let (status, ready) = get(worker.admin_address(), "/health/ready").await;
    assert!(
        status == 200 && ready.contains("handler crm: try 1 failed: it is closed; the next one is at "),
        "{ready}"
    );
    assert_eq!(command(data_dir(&worker), &["handlers", "pause", "cmr"]).1, 2);
    assert_eq!(command(data_dir(&worker), &["handlers", "pause", "crm"]).1, 0);
    webhook(&worker, r#"{"event":"process.launched","process":{"id":"r2"}}"#).await;
    let paused = loop {
        let row = rows(data_dir(&worker), &["handlers", "list"]).remove(0);
        if row["waiting"] == 2 {
            break row;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    };
    assert_eq!(paused["paused"], true);
    assert!(events.try_recv().is_err(), "nothing is handed out");
    assert_eq!(command(data_dir(&worker), &["handlers", "resume", "crm"]).1, 0);
    assert_eq!(events.recv().await.unwrap().run_id().as_str(), "r2");
    worker.stop().await;
}

#[tokio::test]
async fn notifications_are_listed_and_shown_without_guest_links() {
    let folder = tempfile::tempdir().unwrap();
    let (relay, mut events) = Relay::new(|_| Ok(()));
    let worker = builder(&folder, &[])
        .transport(Api::new(|_, _| (200, run("r1", r#""status":"active""#))))
        .handler("crm", relay)
        .start()
        .await
        .unwrap();
    webhook(
        &worker,
        r#"{"event":"process.launched","process":{"id":"r1"},"guest-links":{"a":{"link_for_guest":"s3cret"}}}"#,
    )
    .await;
    webhook(&worker, r#"{"what":"is this"}"#).await;
    events.recv().await.unwrap();
    let all = rows(data_dir(&worker), &["notifications", "list"]);
    assert_eq!(
        all.iter().map(|row| row["state"].as_str().unwrap()).collect::<Vec<_>>(),
        ["unrecognized", "covered"]
    );
    let unread = rows(data_dir(&worker), &["notifications", "list", "--unrecognized"]);
    assert_eq!(unread.len(), 1);
    let show = |extra: &[&str]| {
        let id = all[1]["id"].as_str().unwrap();
        command(data_dir(&worker), &[&["notifications", "show", id], extra].concat()).0
    };
    assert!(!show(&[]).contains("s3cret") && show(&["--guest-links"]).contains("s3cret"));
    let (said, status) = command(data_dir(&worker), &["notifications", "retry"]);
    assert_eq!((said.as_str(), status), ("0 can be read now, 1 still cannot\n", 0));
    worker.stop().await;
}

#[test]
fn without_a_store_the_place_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("data");
    for arguments in [
        ["events", "list"].as_slice(),
        &["handlers", "list"],
        &["deliveries", "retry", "--all"],
        &["audit"],
    ] {
        let (said, status) = command(&nowhere, arguments);
        assert_eq!(status, 1, "{said}");
        assert!(
            said.starts_with("runs-worker: there is no store at ") && said.contains("runs.db yet"),
            "{said}"
        );
    }
    assert!(!nowhere.exists(), "looking makes nothing");
}

/// Flips some bits.
fn overwrite(file: &Path, what: &[u8], with: &[u8]) {
    let mut bytes = std::fs::read(file).unwrap();
    let place = bytes.windows(what.len()).position(|window| window == what).unwrap();
    bytes[place..place + with.len()].copy_from_slice(with);
    std::fs::write(file, bytes).unwrap();
}

#[tokio::test]
async fn the_store_and_the_intake_log_are_examined_from_end_to_end() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = command(&folder.path().join("data"), &["verify-store"]);
    assert_eq!(nowhere.1, 3, "{}", nowhere.0);
    let (relay, mut events) = Relay::new(|_| Ok(()));
    let worker = builder(&folder, &[])
        .transport(Api::new(|_, _| (200, run("r1", r#""status":"active""#))))
        .handler("crm", relay)
        .start()
        .await
        .unwrap();
    webhook(&worker, r#"{"event":"process.launched","process":{"id":"r1"}}"#).await;
    events.recv().await.unwrap();
    let data_dir = data_dir(&worker).to_owned();
    let (text, status) = command(&data_dir, &["verify-store"]);
    assert!(status == 0 && text.contains("is sound and in use by process"), "{text}");
    assert!(
        text.contains("1 runs and tasks, 1 notifications (0 pending), 1 events"),
        "{text}"
    );
    assert!(text.contains("intake is whole, 1 notification"), "{text}");
    worker.stop().await;

    overwrite(&data_dir.join("runs.db"), b"\"specversion\"", b"\"spec version ");
    let segments = std::fs::read_dir(data_dir.join("intake")).unwrap();
    let with_records = segments.map(|entry| entry.unwrap().path()).find(|path| {
        let bytes = std::fs::read(path).unwrap();
        bytes.get(4096..4100).is_some_and(|first| first != [0; 4])
    });
    let segment = with_records.unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[4096..4100].copy_from_slice(b"torn");
    std::fs::write(&segment, bytes).unwrap();
    let (text, status) = command(&data_dir, &["verify-store"]);
    let text = text.replace(&data_dir.display().to_string(), "[data]");
    insta::with_settings!({filters => vec![("event [0-9a-f]{32}", "event [id]")]}, {
        insta::assert_snapshot!(format!("{text}exit status {status}"), @r"
        FAIL  store: event [id] is no JSON any more
        FAIL  intake log: [data]/intake is damaged in 1 places, 32 bytes; 0 notifications in it can be read
        exit status 1
        ");
    });
}

/// A store with an event of each of two runs, of which `r1` failed for the handler `crm` and waits for an hour.
pub(crate) async fn store_with_two_runs(folder: &tempfile::TempDir) -> std::path::PathBuf {
    let file = folder.path().join("worker.toml");
    let config = format!(
        "[[organizations]]\nid = \"{ORG}\"\ntoken = \"t0ken-t0ken\"\nwebhook_secrets = [\"{}\"]\n{CRM}",
        crate::world::SECRET
    );
    std::fs::write(&file, config).unwrap();
    let (relay, mut events) = Relay::new(|event| match event.run_id().as_str() {
        "r1" => Err(HandlerError::retry_after(
            "it is closed",
            std::time::Duration::from_secs(3600),
        )),
        _ => Ok(()),
    });
    let worker = file_builder(folder, &file)
        .transport(Api::new(|path, _| {
            let id = path.rsplit('/').next().unwrap();
            (200, run(id, &format!(r#""status":"active","checklist_id":"of-{id}""#)))
        }))
        .handler("relay", relay)
        .start()
        .await
        .unwrap();
    for id in ["r1", "r2"] {
        let body = format!(r#"{{"event":"process.launched","process":{{"id":"{id}"}}}}"#);
        webhook(&worker, &body).await;
        events.recv().await.unwrap();
    }
    let data_dir = data_dir(&worker).to_owned();
    worker.stop().await;
    data_dir
}

/// Wants one template only.
const CRM: &str =
    "[[handlers]]\nname = \"crm\"\ntype = \"file\"\npath = \"/dev/null\"\n[handlers.filter]\ntemplates = [\"of-r2\"]\n";

#[tokio::test]
async fn a_delivery_that_fails_is_seen_and_tried_now() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = store_with_two_runs(&folder).await;
    let failing = rows(&data_dir, &["deliveries", "list", "--failing", "--handler", "relay"]);
    assert_eq!(
        (&failing[0]["run"], &failing[0]["state"], &failing[0]["last_error"]),
        (&"r1".into(), &"failing".into(), &"it is closed".into())
    );
    let (said, status) = command(&data_dir, &["deliveries", "retry"]);
    assert!(status == 2 && said.contains("say which"), "{said}");
    let (said, status) = command(&data_dir, &["deliveries", "retry", "--run", "r1"]);
    assert_eq!((said.as_str(), status), ("1 delivery due now\n", 0));
    let (said, status) = command(&data_dir, &["deliveries", "retry", "--all"]);
    assert_eq!((said.as_str(), status), ("runs-worker: nothing found\n", 3));
}

#[tokio::test]
async fn a_replay_keeps_to_the_filter_as_it_is_configured() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = store_with_two_runs(&folder).await;
    let config = folder.path().join("worker.toml");
    let replay = |arguments: &[&str]| {
        let config = config.to_str().unwrap();
        let all = [&["replay", "--config", config, "--handler"], arguments].concat();
        let output = Command::new(env!("CARGO_BIN_EXE_runs-worker"))
            .args(all)
            .env_clear()
            .env("RUNS_WORKER_DATA_DIR", &data_dir)
            .output()
            .unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (text, output.status.code().unwrap())
    };
    let (said, status) = replay(&["crm", "--all", "--dry-run"]);
    assert_eq!(
        (said.as_str(), status),
        (
            "1 event would be replayed\n  1 com.tallyfy.run.seen.v1\n  1 kept back by the handler's filter\n",
            0
        )
    );
    let (said, status) = replay(&["crm", "--all"]);
    assert!(status == 2 && said.contains("--yes"), "nobody was asked: {said}");
    let (said, _) = replay(&["crm", "--all", "--yes"]);
    assert!(
        said.starts_with("1 event put in line again; the handler's filter keeps 1 back"),
        "{said}"
    );
    let (said, _) = replay(&["crm", "--since", "1h", "--ignore-filter"]);
    assert_eq!(said, "2 events put in line again\n");
    let waiting = rows(&data_dir, &["deliveries", "list", "--handler", "crm"]);
    assert_eq!(waiting.len(), 2);

    let (said, status) = replay(&["crms", "--since", "1h"]);
    assert!(status == 2 && said.contains("did you mean `crm`?"), "{said}");
    let (said, status) = replay(&["crms", "--since", "1h", "--ignore-filter"]);
    assert_eq!(
        (said.as_str(), status),
        (
            "runs-worker: no handler was ever called `crms`; configure it and start the worker once\n",
            2
        )
    );
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = store_with_two_runs(&folder).await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = binary(&data_dir, &["events", "list"]).stdout(writer).output().unwrap();
    assert_eq!(
        (String::from_utf8(output.stderr).unwrap().as_str(), output.status.code()),
        ("", Some(0))
    );
}
