//! Links that let whoever has them in, in every shape in which runs and webhooks hold them.

use anyhow::ensure;
use serde_json::{Value, json};
use system_tests::{Stage, of_run};
use tallyfy_sim::SimConfig;

/// Part of each link, followed by its number.
const MARK: &str = "let-me-in-";
/// Part of a link that is none for guests.
const OTHER: &str = "stays-as-it-is";

/// Each shape, with the link of this number in it.
fn shapes() -> Vec<Value> {
    let link = |number: usize| format!("https://go.example.com/x/{MARK}{number}.");
    let text = |value: &Value| Value::String(value.to_string());
    vec![
        json!({"guest-links": {"a@example.com": {"link_for_guest": link(0)}}}),
        json!({"owners": {"taskUrls": [{"a@example.com": link(1)}]}}),
        json!({"assets": [{"id": "a1", "public_link": link(2)}]}),
        json!({"guest_url": link(3)}),
        json!({"GuestLink": link(4)}),
        json!({"public-url": {"data": {"any": link(5)}}}),
        json!({"note": format!("https://go.example.com/guest/{MARK}6.")}),
        json!({"note": format!("https://go.example.com/api/guests/{MARK}7.?x=1")}),
        json!({"note": format!("https://go.example.com/t?guest_code={MARK}8.")}),
        json!({"note": text(&json!({"guest_url": link(9)}))}),
        json!({"list": [[{"taskUrls": {"b": [link(10)]}}]]}),
        json!({"note": format!("HTTPS://go.example.com/t?a=b&guestId={MARK}11.")}),
    ]
}

fn planted() -> Value {
    json!({"shapes": shapes(), "note": format!("https://example.com/{OTHER}")})
}

fn left(text: &str) -> Vec<usize> {
    let numbers = 0..shapes().len();
    numbers
        .filter(|number| text.contains(&format!("{MARK}{number}.")))
        .collect()
}

/// A worker that has told of one run with all of them, by a webhook with all of them.
async fn told(environment: &[(&str, &str)]) -> anyhow::Result<(Stage, String)> {
    let stage = Stage::set(SimConfig::default(), environment).await?;
    let run = stage.sim.launch("Order")?;
    stage
        .sim
        .change(|world| world.set_custom_field(&run, "planted", planted()))?;
    let body = json!({"this_task": {"id": "t1", "planted": planted()}, "process": {"id": run}});
    stage.tell(&body.to_string()).await?;
    stage
        .worker
        .wait_for_events(|events| !of_run(events, &run).is_empty())
        .await?;
    Ok((stage, run))
}

#[tokio::test]
async fn links_for_guests_reach_nobody_who_did_not_ask_for_them() -> anyhow::Result<()> {
    let (stage, run) = told(&[]).await?;
    let event = stage.worker.events().remove(0);
    let shown = |line: &str| -> Vec<String> { line.split(' ').map(str::to_owned).collect() };
    let listed = stage
        .command(&["notifications", "list", "--json"])
        .await?
        .stdout
        .concat();
    let notification: Value = serde_json::from_str(&listed)?;
    let id = notification["id"].as_str().unwrap_or_default();
    let commands = [
        (format!("events show {}", event.id()), ""),
        (format!("notifications show {id}"), "--guest-links"),
        (format!("get {run}"), "--guest-links"),
        (format!("runs show {run}"), ""),
    ];
    ensure!(
        left(&event.line).is_empty(),
        "{:?} in {}",
        left(&event.line),
        event.line
    );
    ensure!(event.line.matches(OTHER).count() >= 2, "{}", event.line);
    for (line, asking) in commands {
        let words = shown(&line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let said = stage.command(&words).await?.stdout.join("\n");
        ensure!(left(&said).is_empty(), "{line}: {:?} in {said}", left(&said));
        if !asking.is_empty() {
            let said = stage
                .command(&[&words[..], &[asking]].concat())
                .await?
                .stdout
                .join("\n");
            ensure!(
                left(&said).len() == shapes().len(),
                "{line}: {:?} in {said}",
                left(&said)
            );
        }
    }
    let log = stage.worker.log().join("\n");
    ensure!(left(&log).is_empty(), "{log}");
    Ok(())
}

#[tokio::test]
async fn who_asks_for_links_for_guests_gets_all_of_them() -> anyhow::Result<()> {
    let (stage, _) = told(&[("RUNS_WORKER__EVENTS__GUEST_LINKS", "true")]).await?;
    let event = stage.worker.events().remove(0);
    ensure!(left(&event.line).len() == shapes().len(), "{}", event.line);
    ensure!(event.line.matches(MARK).count() == 2 * shapes().len(), "{}", event.line);
    Ok(())
}
