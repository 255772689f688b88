//! How much: calls of the API for many webhooks, and bytes of webhooks in one event.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use system_tests::{ReceivedEvent, Stage};
use tallyfy_sim::SimConfig;
use tallyfy_sim::faults::{Fault, FaultRule};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const WEBHOOKS_ONLY: (&str, &str) = ("RUNS_WORKER__RECONCILE__SCOPE", "off");

/// Posts webhooks one after the other, each connection taking some hundred.
async fn post_all(address: SocketAddr, request: String, bodies: Vec<String>) -> anyhow::Result<()> {
    for bodies in bodies.chunks(500) {
        let mut stream = TcpStream::connect(address).await?;
        for body in bodies {
            let request = format!("{request}content-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(request.as_bytes()).await?;
            let mut answer = Vec::new();
            while !is_whole(&answer) {
                anyhow::ensure!(stream.read_buf(&mut answer).await? > 0, "closed");
            }
            anyhow::ensure!(
                answer.starts_with(b"HTTP/1.1 202"),
                "{}",
                String::from_utf8_lossy(&answer)
            );
        }
    }
    Ok(())
}

fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    body.len() >= length.and_then(|length| length.trim().parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn ten_thousand_webhooks_of_a_hundred_runs_cost_two_hundred_calls() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[WEBHOOKS_ONLY]).await?;
    let runs = (0..100)
        .map(|number| stage.sim.launch(&format!("Run {number}")))
        .collect::<Result<Vec<_>, _>>()?;
    let mut bodies = Vec::new();
    for number in 0..10_000 {
        let run = stage.sim.run(&runs[number % runs.len()])?;
        // What the API shows, so that one look is enough.
        bodies.push(format!(
            r#"{{"this_task":{{"id":"t{number}","last_updated":"{0}"}},"process":{{"id":"{1}","last_updated":"{0}"}}}}"#,
            run.last_updated, run.id
        ));
    }
    // Some fetches are under way when the others arrive, as on any day.
    let held = stage.sim.faults().add(FaultRule::always(Fault::Hold));
    let url = stage.webhook_url();
    let path = url.splitn(4, '/').nth(3).unwrap_or_default();
    let request = format!(
        "POST /{path} HTTP/1.1\r\nhost: test\r\nx-tallyfy-orgid: {}\r\n",
        stage.sim.org()
    );
    let senders: Vec<_> = bodies
        .chunks(1250)
        .map(|bodies| {
            tokio::spawn(post_all(
                stage.worker.receive_address(),
                request.clone(),
                bodies.to_vec(),
            ))
        })
        .collect();
    for sender in senders {
        sender.await??;
    }
    held.release();
    let told = |events: &[ReceivedEvent]| {
        let told = events.iter().map(|event| event.notifications().len());
        told.sum::<usize>() >= bodies.len()
    };
    stage.worker.wait_for_events(told).await?;
    // Further looks, if there were any, would follow within this.
    tokio::time::sleep(Duration::from_secs(6)).await;
    stage.sim.requests().wait_until_idle().await;
    let calls = stage.sim.requests().total();
    assert!((100..=200).contains(&calls), "{calls} calls");
    Ok(())
}

/// What one event has of webhooks.
struct Has {
    /// How many it tells of.
    told: usize,
    /// How many without their bodies.
    omitted: usize,
    /// The bytes of the bodies.
    bytes: usize,
}

fn events_in(file: &Path) -> Vec<Has> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let has = |event: Value| {
        let told = event["data"]["notifications"].as_array().cloned().unwrap_or_default();
        let whole = told.iter().filter(|one| !one["body"].is_null());
        Has {
            bytes: whole.map(|one| one["body"].to_string().len()).sum(),
            omitted: told.iter().filter(|one| one["body_omitted"].is_string()).count(),
            told: told.len(),
        }
    };
    events.map(has).collect()
}

#[tokio::test]
async fn an_event_has_no_more_of_webhooks_than_is_configured_for_all_and_for_its_handler() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(format!("{name}.jsonl"));
    let handler = |name: &str, own: &str| {
        format!(
            "[[handlers]]\nname = {name:?}\ntype = \"file\"\npath = {:?}\n{own}\n",
            file(name)
        )
    };
    let handlers = [
        handler("all", ""),
        handler("few", "max_notifications_bytes = 100000"),
        handler("none", "max_notifications_bytes = 0"),
    ];
    let config = folder.path().join("worker.toml");
    std::fs::write(&config, handlers.concat())?;
    let config = config.display().to_string();
    let stage = Stage::set(SimConfig::default(), &[WEBHOOKS_ONLY, ("RUNS_WORKER_CONFIG", &config)]).await?;
    let run = stage.sim.launch("Globex")?;
    stage.sim.faults().add(FaultRule::always(Fault::UNAVAILABLE));
    let padding = "x".repeat(40_000);
    for number in 0..30 {
        stage
            .tell(&format!(
                r#"{{"event":"task.comment_added","task":{{"id":"t{number}","run_id":"{run}"}},"note":"{padding}"}}"#
            ))
            .await?;
    }
    stage.worker.wait_for_log(|line| line.contains("503")).await?;
    stage.sim.faults().clear();
    for (name, whole, most) in [("all", 6, 256 * 1024), ("few", 2, 100_000), ("none", 0, 0)] {
        let arrive = async {
            while events_in(&file(name)).iter().map(|has| has.told).sum::<usize>() < 30 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), arrive).await?;
        let events = events_in(&file(name));
        for has in &events {
            let expected = has.told.min(whole);
            assert!(has.bytes <= most, "{name}: {} bytes", has.bytes);
            assert_eq!(has.told - has.omitted, expected, "{name}, of {}", has.told);
        }
        assert!(events.iter().any(|has| has.omitted > 0), "{name}");
    }
    Ok(())
}
