//! The program.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::http::call;

#[tokio::test]
async fn it_says_where_it_is_serves_and_ends_when_asked_to() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tallyfy-sim"))
        .args([
            "--listen",
            "127.0.0.1:0",
            "--org",
            "acme",
            "--token",
            "tok-1",
            "--seed",
            "9",
            "--runs",
            "2",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next_line().await.unwrap().unwrap();
    let address = first
        .split("http://")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let headers = [
        ("Authorization", "Bearer tok-1".to_owned()),
        ("Accept", "application/json".to_owned()),
        ("X-Tallyfy-Client", "APIClient".to_owned()),
    ];
    let runs = call(address, "GET", "/api/organizations/acme/runs", &headers, "")
        .await
        .data();
    assert_eq!(runs.as_array().unwrap().len(), 2);

    let mut text = first;
    while !text.contains("/_sim/requests") {
        text.push_str(&lines.next_line().await.unwrap().unwrap());
    }
    assert!(text.contains("tok-1") && text.contains("acme") && text.contains(runs[1]["id"].as_str().unwrap()));

    let id = child.id().unwrap().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .await
            .unwrap()
            .success()
    );
    assert!(child.wait().await.unwrap().success());
}
