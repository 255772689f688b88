//! The control endpoints.

use serde_json::{Value, json};
use tallyfy_sim::SimConfig;

use crate::http::{Answer, call, get};
use crate::receiver::Receiver;
use crate::{run_path, simulator, simulator_with};

/// A control request, which needs no headers.
pub(crate) async fn control(sim: &tallyfy_sim::Simulator, method: &str, path: &str, body: &Value) -> Answer {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    call(sim.address(), method, &format!("/_sim{path}"), &[], &body).await
}

#[tokio::test]
async fn a_run_is_launched_worked_on_and_finished() {
    let sim = simulator().await;
    let launched = control(&sim, "POST", "/runs", &json!({"name": "Globex"})).await.json();
    let run = launched["id"].as_str().unwrap().to_owned();
    let task = launched["tasks"][0]["id"].as_str().unwrap().to_owned();
    let done = control(&sim, "POST", &format!("/tasks/{task}/complete"), &json!({"user": 1003}))
        .await
        .json();
    assert_eq!(done["tasks"][0]["done"], json!(true));
    control(&sim, "POST", &format!("/tasks/{task}/reopen"), &Value::Null).await;
    for _ in 0..3 {
        control(&sim, "POST", &format!("/runs/{run}/complete-next"), &Value::Null).await;
    }
    control(
        &sim,
        "POST",
        &format!("/runs/{run}/rename"),
        &json!({"name": "Initech"}),
    )
    .await;
    let archived = control(&sim, "POST", &format!("/runs/{run}/archive"), &Value::Null)
        .await
        .json();
    assert_eq!(
        (&archived["complete"], &archived["archived"], &archived["name"]),
        (&json!(true), &json!(true), &json!("Initech"))
    );
    assert_eq!(
        control(&sim, "GET", "/runs", &Value::Null).await.json()["runs"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_burst_is_told_to_webhooks_and_settles() {
    let receiver = Receiver::start().await;
    let sim = simulator_with(SimConfig::default()).await;
    control(&sim, "POST", "/webhook-url", &json!({"url": receiver.url("/hook")})).await;
    let burst = control(&sim, "POST", "/burst", &json!({"runs": 20, "complete": 2}))
        .await
        .json();
    assert_eq!(
        (&burst["launched"], &burst["completed_tasks"]),
        (&json!(20), &json!(40))
    );
    let settled = control(&sim, "POST", "/settle", &Value::Null).await.json();
    assert_eq!(settled, json!({"notifications": 60, "acknowledged": 60}));
    let ledger = control(&sim, "GET", "/ledger?outcome=acknowledged&bodies=false", &Value::Null)
        .await
        .json();
    assert_eq!(ledger["count"], json!(60));
    assert_eq!(ledger["notifications"][0].get("body"), None);
    assert_eq!(receiver.received().len(), 60);
}

#[tokio::test]
async fn faults_quirks_lag_limits_and_tokens_are_set_from_outside() {
    let sim = simulator().await;
    let run = sim.launch("Globex").unwrap();
    let path = run_path(&sim, &run, "");
    let fault = json!({"kind": "html", "status": 502, "times": 1, "run": run});
    control(&sim, "POST", "/faults", &fault).await;
    assert_eq!(get(&sim, &path).await.status, 502);
    control(&sim, "POST", "/faults", &json!({"kind": "forbidden"})).await;
    control(&sim, "DELETE", "/faults", &Value::Null).await;
    control(&sim, "POST", "/quirks", &json!({"progress": "number"})).await;
    assert_eq!(get(&sim, &path).await.data()["progress"], json!(0));
    let mode = control(&sim, "POST", "/quirks", &json!({"random": 7})).await.json();
    assert_eq!(mode, json!({"random": 7}));
    control(&sim, "POST", "/quirks", &json!({})).await;
    control(&sim, "POST", "/lag", &json!({"versions": 1})).await;
    assert_eq!(get(&sim, &path).await.status, 404);
    control(&sim, "POST", "/lag", &json!({})).await;
    control(&sim, "POST", "/rate-limit", &json!({"per_minute": 1})).await;
    assert_eq!(
        (get(&sim, &path).await.status, get(&sim, &path).await.status),
        (200, 429)
    );
    control(&sim, "POST", "/rate-limit", &json!({})).await;
    control(&sim, "POST", "/token", &json!({"token": "next"})).await;
    assert_eq!(sim.token(), "next");
    assert_eq!(get(&sim, &path).await.status, 200);
    let requests = control(&sim, "GET", "/requests?calls=true", &Value::Null).await.json();
    assert_eq!(requests["by_run"][&run], json!(6));
    assert_eq!(requests["calls"][0]["status"], json!(502));
    control(&sim, "DELETE", "/requests", &Value::Null).await;
    assert_eq!(sim.requests().total(), 0);
}

#[tokio::test]
async fn bad_input_is_refused_in_clear_words() {
    let sim = simulator().await;
    let none = "0".repeat(32);
    let cases = [
        ("POST", "/runs", json!({"nme": "x"}), 400, "unknown field `nme`"),
        ("POST", "/runs", json!({"template": none}), 404, "no template with id"),
        (
            "POST",
            "/runs",
            json!({"answers": {"Kompany": "x"}}),
            422,
            "Kompany: there is no such form field",
        ),
        ("POST", "/runs/nope/archive", Value::Null, 404, "no run with id nope"),
        (
            "POST",
            "/runs/nope/explode",
            Value::Null,
            400,
            "there is no \"explode\"; there are archive",
        ),
        ("POST", "/tasks/nope/complete", Value::Null, 404, "no task with id nope"),
        (
            "POST",
            "/faults",
            json!({"kind": "meteor"}),
            400,
            "unknown variant `meteor`",
        ),
        (
            "POST",
            "/faults",
            json!({"kind": "dropped", "tmes": 1}),
            400,
            "there is no \"tmes\" in a fault",
        ),
        ("DELETE", "/faults/99", Value::Null, 400, "there is no fault 99"),
        (
            "POST",
            "/quirks",
            json!({"progress": "bar"}),
            400,
            "unknown variant `bar`",
        ),
        (
            "POST",
            "/lag",
            json!({"versions": 1, "millis": 1}),
            400,
            "exclude each other",
        ),
        ("POST", "/webhook-url", json!({"url": "nowhere"}), 400, "is no URL"),
        (
            "POST",
            "/burst",
            json!({"runs": 4_000_000}),
            400,
            "must not be more than",
        ),
        ("GET", "/ledger?outcome=good", Value::Null, 400, "there is no outcome"),
        ("GET", "/ledger?runs=x", Value::Null, 400, "unknown field `runs`"),
        ("GET", "/nowhere", Value::Null, 404, "there is no such control endpoint"),
        ("PUT", "/faults", Value::Null, 404, "there is no such control endpoint"),
    ];
    for (method, path, body, status, words) in cases {
        let answer = control(&sim, method, path, &body).await;
        assert_eq!(answer.status, status, "{method} {path} {body}: {}", answer.text());
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(words), "{method} {path}: {error}");
    }
}

#[tokio::test]
async fn the_index_names_every_endpoint() {
    let sim = simulator().await;
    let index = control(&sim, "GET", "", &Value::Null).await.json();
    assert_eq!(index["org"], json!(sim.org()));
    for line in index["endpoints"].as_array().unwrap() {
        let mut words = line.as_str().unwrap().split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap().trim_start_matches("/_sim"));
        let answer = control(&sim, method, path, &Value::Null).await;
        let known = answer.json()["error"] != json!("there is no such control endpoint");
        assert!(known, "{line}");
    }
}
