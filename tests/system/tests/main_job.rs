//! The main job, end to end: a webhook comes in, the full run goes out.

use std::collections::BTreeSet;

use system_tests::{Account, ReceivedEvent, Stage};
use tallyfy_sim::SimConfig;
use tallyfy_sim::faults::{Fault, FaultRule};
use tallyfy_sim::webhooks::Notification;

/// Two fetches of one run may follow each other at once: these tests do not wait for what they do not test.
const NO_WINDOW: (&str, &str) = ("RUNS_WORKER__REFRESH__WINDOW", "0s");

fn last_of<'a>(events: &'a [ReceivedEvent], run: &str) -> Option<&'a ReceivedEvent> {
    events.iter().rfind(|event| event.run() == run)
}

fn tells_all(events: &[ReceivedEvent], acknowledged: &[Notification]) -> bool {
    let mut account = Account::default();
    account.add(events);
    account.missing(acknowledged).is_empty()
}

fn shows_completed(event: &ReceivedEvent) -> bool {
    !event.json["data"]["run"]["completed_at"].is_null()
}

#[tokio::test]
async fn a_run_is_followed_from_its_launch_to_its_completion() -> anyhow::Result<()> {
    let mut stage = Stage::set(SimConfig::default(), &[NO_WINDOW]).await?;
    stage.connect_templates()?;
    let run = stage.sim.launch("Onboarding of Globex")?;
    stage.worker.wait_for_events(|events| !events.is_empty()).await?;
    while stage.sim.complete_next(&run)?.is_some() {
        stage.sim.settle().await;
    }
    let acknowledged = stage.sim.ledger().acknowledged();
    let events = stage
        .worker
        .wait_for_events(|events| {
            tells_all(events, &acknowledged) && last_of(events, &run).is_some_and(shows_completed)
        })
        .await?;

    let types: Vec<&str> = events.iter().filter_map(|event| event.json["type"].as_str()).collect();
    assert_eq!(types.first(), Some(&"com.tallyfy.run.seen.v1"));
    assert!(types.contains(&"com.tallyfy.run.completed.v1"), "{types:?}");
    let mut account = Account::default();
    account.add(&events);
    assert_eq!(account.contradictions(), [""; 0]);

    let exit = stage.worker.terminate().await?;
    assert!(exit.status.success(), "{:?}", exit.stderr);
    assert!(
        exit.stdout.iter().all(|line| line.starts_with('{')),
        "only events go to the standard output"
    );
    Ok(())
}

#[tokio::test]
async fn an_event_is_a_cloud_event_with_the_run_as_the_api_sends_it() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[NO_WINDOW]).await?;
    stage.connect_templates()?;
    let run = stage.sim.launch("Onboarding of Globex")?;
    let events = stage.worker.wait_for_events(|events| !events.is_empty()).await?;
    let event = &events[0].json;
    assert_eq!(event["subject"], run.as_str());
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["data"]["run"]["id"], run.as_str());
    assert_eq!(event["data"]["run"]["name"], "Onboarding of Globex");
    let members: BTreeSet<&str> = event
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .collect();
    insta::assert_debug_snapshot!("cloud_event_members", members);
    Ok(())
}

#[tokio::test]
async fn the_events_of_an_organization_lead_to_runs_too() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[NO_WINDOW]).await?;
    stage.connect_organization()?;
    let run = stage.sim.launch("Onboarding of Globex")?;
    stage.sim.complete_next(&run)?;
    stage.sim.settle().await;
    let acknowledged = stage.sim.ledger().acknowledged();
    assert!(!acknowledged.is_empty());
    stage
        .worker
        .wait_for_events(|events| tells_all(events, &acknowledged))
        .await?;
    Ok(())
}

#[tokio::test]
async fn duplicates_lost_and_reordered_webhooks_do_no_harm() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[NO_WINDOW]).await?;
    stage.connect_templates()?;
    let faults = stage.sim.faults();
    faults.add(FaultRule::times(3, Fault::WebhookDuplicated));
    faults.add(FaultRule::times(2, Fault::WebhookReordered));
    faults.add(FaultRule::once(Fault::WebhookLost));
    let run = stage.sim.launch("Onboarding of Globex")?;
    while stage.sim.complete_next(&run)?.is_some() {}
    stage.sim.settle().await;
    let acknowledged = stage.sim.ledger().acknowledged();
    let events = stage
        .worker
        .wait_for_events(|events| {
            tells_all(events, &acknowledged) && last_of(events, &run).is_some_and(shows_completed)
        })
        .await?;
    let mut account = Account::default();
    account.add(&events);
    assert_eq!(account.contradictions(), [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_burst_for_one_run_costs_two_calls_and_one_for_each_window() -> anyhow::Result<()> {
    // Longer than the test: what arrives while the first fetch is held shares the second one, which does not come.
    let stage = Stage::set(SimConfig::default(), &[("RUNS_WORKER__REFRESH__WINDOW", "1h")]).await?;
    let run = stage.sim.launch("Onboarding of Globex")?;
    let client = RawClient::new(&stage);
    for task in 0..50 {
        let body =
            format!(r#"{{"this_task":{{"id":"t{task}"}},"process":{{"id":"{run}","organization_id":"northwind"}}}}"#);
        assert_eq!(client.post(&body).await?, 202);
    }
    stage.worker.wait_for_events(|events| !events.is_empty()).await?;
    stage.sim.requests().wait_until_idle().await;
    assert!(
        stage.sim.requests().of_run(&run) <= 2,
        "{} calls",
        stage.sim.requests().of_run(&run)
    );
    Ok(())
}

#[tokio::test]
async fn nothing_secret_is_in_the_log() -> anyhow::Result<()> {
    let sim = SimConfig {
        token: "s3cret-token-s3cret".to_owned(),
        ..SimConfig::default()
    };
    let mut stage = Stage::set(sim, &[NO_WINDOW, ("RUNS_WORKER__LOG__FILTER", "trace")]).await?;
    stage.connect_templates()?;
    stage.sim.faults().add(FaultRule::times(2, Fault::UNAVAILABLE));
    let run = stage.sim.launch("Onboarding of Globex")?;
    stage.sim.complete_next(&run)?;
    stage.sim.settle().await;
    let client = RawClient::new(&stage);
    assert_eq!(client.post("{\"broken\": \"s3cret-body").await?, 202);
    stage.worker.wait_for_events(|events| !events.is_empty()).await?;
    let secret = stage.webhook_url().rsplit('/').next().unwrap_or_default().to_owned();
    let exit = stage.worker.terminate().await?;

    let bodies: Vec<String> = stage
        .sim
        .ledger()
        .notifications()
        .iter()
        .map(|sent| sent.body.to_string())
        .collect();
    let link = bodies
        .iter()
        .find_map(|body| body.split("link_for_guest\":\"").nth(1)?.split('"').next());
    let link = link.expect("the webhooks have guest links").replace("\\/", "/");
    for line in &exit.stderr {
        for planted in ["s3cret", secret.as_str(), link.as_str(), "SQLSTATE"] {
            assert!(!line.contains(planted), "{planted} is in: {line}");
        }
    }
    for event in exit.events() {
        assert!(!event.line.contains(&link), "{}", event.line);
    }
    Ok(())
}

/// Posts webhooks of the test's own.
struct RawClient {
    address: std::net::SocketAddr,
    path: String,
    org: String,
}

impl RawClient {
    fn new(stage: &Stage) -> Self {
        let url = stage.webhook_url();
        let path = url
            .splitn(4, '/')
            .nth(3)
            .map(|path| format!("/{path}"))
            .unwrap_or_default();
        Self {
            address: stage.worker.receive_address(),
            path,
            org: stage.sim.org().to_owned(),
        }
    }

    async fn post(&self, body: &str) -> anyhow::Result<u16> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let mut stream = tokio::net::TcpStream::connect(self.address).await?;
        let Self { path, org, .. } = self;
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: test\r\nx-tallyfy-orgid: {org}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer.split(' ').nth(1).unwrap_or_default().parse()?)
    }
}

#[tokio::test]
async fn the_log_tells_of_a_run_by_ids_and_of_nothing_by_an_empty_field() -> anyhow::Result<()> {
    let mut stage = Stage::set(SimConfig::default(), &[NO_WINDOW]).await?;
    stage.connect_templates()?;
    let run = stage.sim.launch("Onboarding of Globex")?;
    while stage.sim.complete_next(&run)?.is_some() {
        stage.sim.settle().await;
    }
    stage
        .worker
        .wait_for_events(|events| last_of(events, &run).is_some_and(shows_completed))
        .await?;
    let exit = stage.worker.terminate().await?;
    let mut messages = BTreeSet::new();
    for line in &exit.stderr {
        let entry: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line)?;
        let empty = entry.iter().find(|(_, value)| value.as_str() == Some(""));
        assert_eq!(empty, None, "{line}");
        assert!(!line.contains("Globex") && !entry.contains_key("event"), "{line}");
        let message = entry["message"].as_str().unwrap_or_default().to_owned();
        let is_of_event = message.starts_with("event ") || entry.contains_key("event_type");
        assert!(!is_of_event || entry.contains_key("event_id"), "{line}");
        messages.insert(message);
    }
    for message in ["notification stored", "run fetched", "event delivered"] {
        assert!(messages.contains(message), "{messages:?}");
    }
    Ok(())
}
