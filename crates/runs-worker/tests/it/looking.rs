//! What a person sees of events, and what became of them.

use std::process::Command;

use runs_worker::HandlerError;
use serde_json::Value;

use crate::operate::{binary, command, data_dir, rows, store_with_two_runs};
use crate::world::{Api, ORG, Relay, builder, run, webhook};

#[tokio::test]
async fn events_are_found_by_what_is_known_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = store_with_two_runs(&folder).await;
    let runs = |arguments: &[&str]| -> Vec<String> {
        rows(&data_dir, &[&["events", "list"], arguments].concat())
            .iter()
            .map(|row| row["run"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(runs(&["--since", "1h", "--type", "seen", "--org", ORG]), ["r2", "r1"]);
    assert_eq!(runs(&["--handler", "relay", "--pending"]), ["r1"]);
    assert_eq!(runs(&["--run", "https://go.tallyfy.com/acme/processes/r2"]), ["r2"]);
    assert_eq!(command(&data_dir, &["events", "list", "--until", "1d"]).1, 3);
    let (said, status) = command(&data_dir, &["events", "list", "--type", "complete"]);
    assert!(status == 2 && said.contains("did you mean `completed`?"), "{said}");
    let (said, status) = command(&data_dir, &["events", "list", "--since", "yesterday"]);
    assert!(status == 2 && said.contains("write it as 1h, 2d"), "{said}");

    let all = rows(&data_dir, &["events", "list"]);
    let (first, second) = (all[0]["id"].as_str().unwrap(), all[1]["id"].as_str().unwrap());
    let same = first.chars().zip(second.chars()).take_while(|(a, b)| a == b).count();
    let (shown, status) = command(&data_dir, &["events", "show", &first[..=same]]);
    assert!(status == 0 && shown.contains(first), "{shown}");
    let (said, status) = command(&data_dir, &["events", "show", &first[..same]]);
    assert!(status == 2 && said.contains(first) && said.contains(second), "{said}");
    let (said, status) = command(&data_dir, &["events", "show", "ffff"]);
    assert_eq!(
        (said.as_str(), status),
        ("runs-worker: no event has an id that begins with ffff\n", 3)
    );
    let led_to = rows(&data_dir, &["notifications", "list", "--run", "r2"]);
    assert_eq!(led_to[0]["led_to"][0], first);
}

#[tokio::test]
async fn an_event_says_which_handlers_had_it_and_what_kept_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = store_with_two_runs(&folder).await;
    let [second, first]: [Value; 2] = rows(&data_dir, &["events", "list"]).try_into().unwrap();
    assert_eq!(first["kept_back_for"], serde_json::json!(["crm"]));
    assert_eq!(second["kept_back_for"], serde_json::json!([]));
    assert_eq!(
        second["delivered_to"][0]
            .as_str()
            .max(second["delivered_to"][1].as_str()),
        Some("relay")
    );
    let shown = binary(&data_dir, &["events", "show", first["id"].as_str().unwrap()])
        .output()
        .unwrap();
    let said = String::from_utf8(shown.stderr).unwrap();
    assert_eq!(said, "relay: waiting\ncrm: kept back by filter (templates)\n");
    assert!(shown.stdout.starts_with(b"{\"specversion\""), "the event alone");
}

#[tokio::test]
async fn controls_from_outside_reach_no_terminal_and_no_table() {
    let folder = tempfile::tempdir().unwrap();
    let (relay, mut events) = Relay::new(|_| Err(HandlerError::reject("\u{9b}2J\u{202e}\u{1b}[31m")));
    let worker = builder(&folder, &[])
        .transport(Api::new(|_, _| (200, run("r1", "\"name\":\"\u{9b}2J\u{202e}\""))))
        .handler("crm", relay)
        .start()
        .await
        .unwrap();
    webhook(&worker, "{\"event\":\"\u{9b}2J\u{202e}\",\"process\":{\"id\":\"r1\"}}").await;
    events.recv().await.unwrap();
    let data_dir = data_dir(&worker).to_owned();
    while command(&data_dir, &["dead-letters", "list"]).1 != 0 {}
    worker.stop().await;
    let ids = |what| rows(&data_dir, &[what, "list"])[0]["id"].as_str().unwrap().to_owned();
    let (event, notification) = (ids("events"), ids("notifications"));
    let has_controls = |text: &str| text.contains(['\u{9b}', '\u{202e}', '\u{1b}']);
    let looks: [&[&str]; 8] = [
        &["events", "list"],
        &["events", "list", "--json"],
        &["notifications", "list", "--json"],
        &["dead-letters", "list"],
        &["dead-letters", "show", &event],
        &["events", "show", &event],
        &["notifications", "show", &notification],
        &["notifications", "show", "--guest-links", &notification],
    ];
    for arguments in looks {
        let words: Vec<String> = arguments.iter().map(|word| format!("'{word}'")).collect();
        let line = format!("{} {}", env!("CARGO_BIN_EXE_runs-worker"), words.join(" "));
        // Under a terminal.
        let mut script = Command::new("script");
        script
            .args(["-qec", &line, "/dev/null"])
            .env("RUNS_WORKER_DATA_DIR", &data_dir);
        let shown = String::from_utf8(script.output().unwrap().stdout).unwrap();
        assert!(!has_controls(&shown) && shown.len() > 20, "{arguments:?}: {shown:?}");
    }
    // As it is, for programs and for who asks.
    assert!(has_controls(&command(&data_dir, &["events", "show", &event]).0));
    let line = format!("{} events show {event} --raw", env!("CARGO_BIN_EXE_runs-worker"));
    let mut script = Command::new("script");
    script
        .args(["-qec", &line, "/dev/null"])
        .env("RUNS_WORKER_DATA_DIR", &data_dir);
    assert!(has_controls(
        &String::from_utf8(script.output().unwrap().stdout).unwrap()
    ));
}
