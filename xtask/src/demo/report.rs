//! What the demo shows of what came in and what went out.

use serde_json::Value;
use system_tests::{Account, ReceivedEvent, Stage};
use tallyfy_sim::webhooks::Outcome;

/// Remembers what was shown.
#[derive(Default)]
pub(super) struct Report {
    notifications: usize,
    calls: u64,
    events: usize,
}

impl Report {
    /// Waits until every webhook was answered and every acknowledged one is in an event, then prints what is new.
    pub(super) async fn settle(&mut self, stage: &Stage) -> anyhow::Result<()> {
        stage.sim.settle().await;
        let acknowledged = stage.sim.ledger().acknowledged();
        let all_told = |events: &[ReceivedEvent]| {
            let mut account = Account::default();
            account.add(events);
            account.missing(&acknowledged).is_empty()
        };
        let events = stage.worker.wait_for_events(all_told).await?;
        for sent in stage.sim.ledger().notifications().iter().skip(self.notifications) {
            self.notifications += 1;
            let answer = match &sent.outcome {
                Outcome::Answered { status } => status.to_string(),
                other => format!("{other:?}"),
            };
            let again = if sent.duplicate_of.is_some() { "   (again)" } else { "" };
            println!(
                "   in     {:<13}{:<20}run {}   {answer}{again}",
                sent.kind.as_str(),
                sent.event,
                short(&sent.run)
            );
        }
        let calls = stage.sim.requests().total();
        println!("   fetch  {} API calls", calls - self.calls);
        self.calls = calls;
        for event in events.iter().skip(self.events) {
            print_event(event);
        }
        self.events = events.len();
        Ok(())
    }
}

/// One event on a line, and what changed below it.
pub(super) fn print_event(event: &ReceivedEvent) {
    let event_type = event.json["type"]
        .as_str()
        .unwrap_or_default()
        .trim_start_matches("com.tallyfy.");
    let run = &event.json["data"]["run"];
    println!(
        "   out    {event_type:<33}run {}   #{}  {}  ({} notifications)",
        short(event.run()),
        event.number(),
        run["name"].as_str().unwrap_or("-"),
        event.notifications().len()
    );
    for change in event.json["data"]["changes"].as_array().into_iter().flatten() {
        println!("            {}", describe(change));
    }
}

fn describe(change: &Value) -> String {
    let kind = change["kind"].as_str().unwrap_or("?");
    let about = ["title", "id"]
        .into_iter()
        .find_map(|key| change["task"][key].as_str().or(change["tag"][key].as_str()));
    let place = about
        .or(change["label"].as_str())
        .or(change["field"].as_str())
        .or(change["pointer"].as_str())
        .map(|place| format!(" {place}"))
        .unwrap_or_default();
    let fields: Vec<&str> = change["fields"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|field| field["pointer"].as_str())
        .collect();
    if !fields.is_empty() {
        return format!("{kind}{place}: {}", fields.join(", "));
    }
    let step = match (change.get("from"), change.get("to")) {
        (None, None) => String::new(),
        (from, to) => format!(": {} → {}", brief(from), brief(to)),
    };
    format!("{kind}{place}{step}")
}

fn brief(value: Option<&Value>) -> String {
    let text = value.map_or_else(|| "nothing".to_owned(), ToString::to_string);
    if text.chars().count() > 40 {
        text.chars().take(40).chain(['…']).collect()
    } else {
        text
    }
}

fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
