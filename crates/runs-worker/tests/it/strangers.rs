//! Libraries that nobody here wrote accept what the `http` handler sends: the public verifiers of Standard Webhooks and the
//! SDKs of CloudEvents, in Python and in JavaScript.
//!
//! `RUNS_WORKER_PYTHON` names an interpreter that can import `standardwebhooks` and `cloudevents`;
//! `RUNS_WORKER_NODE_MODULES` a folder that has both. Where they are missing, the checks fail in CI, and say elsewhere that
//! they were skipped.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::handlers::{KEY, OLD_KEY, notify, receiver, start};

/// What a script exits with when its libraries are not there.
const NOT_INSTALLED: i32 = 77;

/// Requests of both modes, as a file.
async fn requests(folder: &tempfile::TempDir) -> std::path::PathBuf {
    let mut handlers = String::new();
    let mut receivers = Vec::new();
    for mode in ["structured", "binary"] {
        let (url, received) = receiver(&[200]).await;
        handlers += &format!(
            "[[handlers]]\nname = \"{mode}\"\ntype = \"http\"\nmode = \"{mode}\"\nurl = \"{url}\"\n\
             signing_keys = [\"{OLD_KEY}\", \"{KEY}\"]\n"
        );
        receivers.push((mode, received));
    }
    let worker = start(folder, &handlers).await;
    notify(&worker, "r1").await;
    let mut requests = Vec::new();
    for (mode, mut received) in receivers {
        let (headers, body) = received.recv().await.unwrap();
        let headers: serde_json::Map<_, _> = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()))
            .collect();
        let body = String::from_utf8(body.to_vec()).unwrap();
        requests.push(json!({"mode": mode, "headers": headers, "body": body}));
    }
    worker.stop().await;
    let file = folder.path().join("requests.json");
    std::fs::write(&file, serde_json::to_vec(&requests).unwrap()).unwrap();
    file
}

#[expect(clippy::print_stderr, reason = "what is skipped is told aloud")]
fn check(what: &str, mut command: Command) {
    let skip = |why: String| {
        assert!(
            std::env::var_os("CI").is_none(),
            "the check in {what} is required, but {why}"
        );
        eprintln!("SKIPPED the check in {what}: {why}");
    };
    let output = match command.output() {
        Ok(output) if output.status.code() == Some(NOT_INSTALLED) => {
            return skip(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(output) => output,
        Err(error) => return skip(error.to_string()),
    };
    let (said, complained) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{said}{complained}");
    assert_eq!(said, "ok structured\nok binary\n", "{complained}");
}

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/strangers").join(name)
}

#[tokio::test]
async fn libraries_in_python_accept_what_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::var("RUNS_WORKER_PYTHON").unwrap_or_else(|_| "python3".to_owned()));
    command.arg(script("verify.py")).arg(requests(&folder).await).arg(KEY);
    check("Python", command);
}

#[tokio::test]
async fn libraries_in_javascript_accept_what_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let modules = std::env::var("RUNS_WORKER_NODE_MODULES").unwrap_or_else(|_| "node_modules".to_owned());
    let mut command = Command::new("node");
    command
        .arg(script("verify.mjs"))
        .arg(requests(&folder).await)
        .args([KEY, &modules]);
    check("JavaScript", command);
}
