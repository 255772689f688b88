//! Replicas that lag, includes that drop out, lists that contradict themselves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tallyfy_sim::clock::ManualClock;
use tallyfy_sim::replicas::Replicas;
use tallyfy_sim::{SimConfig, Simulator};

use crate::control::control;
use crate::http::get;
use crate::{run_path, still_clock};

/// Only what a test asks for goes wrong.
fn replicas() -> Replicas {
    Replicas {
        dropped_includes: 0.0,
        contradicting_lists: 0.0,
        ..Replicas::default()
    }
}

async fn simulator(replicas: Replicas) -> (Simulator, ManualClock) {
    let clock = still_clock();
    let sim = Simulator::start(SimConfig {
        clock: Arc::new(clock.clone()),
        replicas: Some(replicas),
        ..SimConfig::default()
    })
    .await
    .unwrap();
    (sim, clock)
}

/// How many tasks each of many reads shows as complete, while one task is completed each second.
async fn shown(seed: u64) -> Vec<u64> {
    let (sim, clock) = simulator(Replicas { seed, ..replicas() }).await;
    let run = sim.launch("Globex").unwrap();
    clock.advance(Duration::from_secs(10));
    let mut shown = Vec::new();
    for _ in 0..3 {
        sim.complete_next(&run).unwrap();
        for _ in 0..10 {
            clock.advance(Duration::from_millis(100));
            let answer = get(&sim, &run_path(&sim, &run, "")).await.data();
            shown.push(answer["progress"]["complete"].as_u64().unwrap());
        }
    }
    clock.advance(Duration::from_secs(3));
    let caught_up = get(&sim, &run_path(&sim, &run, "")).await.data();
    assert_eq!(
        caught_up["progress"]["complete"],
        json!(3),
        "no lag is longer than this"
    );
    shown
}

#[tokio::test]
async fn reads_lag_by_different_times_and_may_go_back_the_same_way_for_the_same_seed() {
    let one = shown(5).await;
    assert_eq!(one, shown(5).await);
    assert_ne!(one, shown(6).await);
    assert!(!one.is_sorted(), "one replica is further behind than another: {one:?}");
}

#[tokio::test]
async fn includes_drop_out_in_four_forms_and_nothing_else_does() {
    let (sim, clock) = simulator(Replicas {
        dropped_includes: 0.5,
        ..replicas()
    })
    .await;
    let run = sim.launch("Globex").unwrap();
    clock.advance(Duration::from_secs(10));
    let mut forms = BTreeSet::new();
    for _ in 0..60 {
        let data = get(&sim, &run_path(&sim, &run, "?with=tasks,tags")).await.data();
        assert_eq!(data["name"], json!("Globex"));
        let told = data.get("tasks");
        assert!(told.is_none_or(|tasks| tasks["data"].as_array().is_none_or(|tasks| tasks.len() == 3)));
        forms.insert(told.map(|tasks| match tasks["data"] {
            Value::Array(_) => "all".to_owned(),
            _ => tasks.to_string(),
        }));
    }
    let expected = [None, Some("all"), Some("false"), Some("null"), Some(r#"{"data":null}"#)];
    assert_eq!(forms, expected.map(|form| form.map(str::to_owned)).into());
}

#[tokio::test]
async fn lists_are_empty_short_or_halved() {
    let (sim, clock) = simulator(Replicas {
        contradicting_lists: 0.5,
        ..replicas()
    })
    .await;
    for number in 0..8 {
        sim.launch(&format!("Run {number}")).unwrap();
    }
    clock.advance(Duration::from_secs(10));
    let mut seen = BTreeSet::new();
    for _ in 0..60 {
        let body = get(&sim, &format!("/organizations/{}/runs", sim.org())).await.json();
        let total = body["meta"]["pagination"]["total"].as_u64().unwrap();
        seen.insert((body["data"].as_array().unwrap().len(), total));
    }
    assert_eq!(seen, [(8, 8), (0, 8), (7, 8), (4, 4)].into());
}

#[tokio::test]
async fn replicas_are_switched_on_and_off_from_outside() {
    let (sim, clock) = simulator(replicas()).await;
    control(&sim, "DELETE", "/replicas", &Value::Null).await;
    let run = sim.launch("Globex").unwrap();
    let path = run_path(&sim, &run, "?with=tasks");
    assert_eq!(get(&sim, &path).await.status, 200, "no lag");
    clock.advance(Duration::from_secs(10));
    let wanted = json!({"dropped_includes": 1, "mean_lag_millis": 20});
    let answer = control(&sim, "POST", "/replicas", &wanted).await.json();
    assert_eq!(
        answer["replicas"],
        json!({"seed": 1, "count": 3, "mean_lag_millis": 20, "longest_lag_millis": 3000, "dropped_includes": 1.0,
            "contradicting_lists": 0.1})
    );
    assert_eq!(get(&sim, &path).await.data()["tasks"]["data"].as_array(), None);
    assert_eq!(control(&sim, "GET", "/replicas", &Value::Null).await.json(), answer);
    for (wrong, words) in [
        (json!({"dropped_includes": 1.5}), "dropped_includes must be from 0 to 1"),
        (json!({"count": 0}), "nonzero"),
        (json!({"lag": 5}), "unknown field `lag`"),
    ] {
        let answer = control(&sim, "POST", "/replicas", &wrong).await;
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains(words), "{}", answer.text());
    }
}
