//! Holds what the sender was told against what came out.

use std::collections::{BTreeMap, HashSet};

use tallyfy_sim::webhooks::Notification;

use crate::worker_process::ReceivedEvent;

/// An acknowledged notification that is in no event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// Its shape.
    pub kind: String,
    /// What happened.
    pub event: String,
    /// The run that it is about.
    pub run: String,
    /// The task that it is about.
    pub task: Option<String>,
}

/// What is in the events that came out.
#[derive(Clone, Debug, Default)]
pub struct Account {
    told: HashSet<(String, String, String, Option<String>)>,
    ids: BTreeMap<String, BTreeMap<u64, HashSet<String>>>,
    events: usize,
    disorder: Vec<String>,
    newest: BTreeMap<String, u64>,
}

impl Account {
    /// Adds the events of one life of the worker, in the order in which they came.
    pub fn add(&mut self, events: &[ReceivedEvent]) {
        for event in events {
            self.events += 1;
            let run = event.run().to_owned();
            for notification in event.notifications() {
                let text = |key: &str| notification[key].as_str().map(str::to_owned);
                self.told.insert((
                    text("kind").unwrap_or_default(),
                    text("event").unwrap_or_default(),
                    run.clone(),
                    text("task_id"),
                ));
            }
            self.ids
                .entry(run.clone())
                .or_default()
                .entry(event.number())
                .or_default()
                .insert(event.id().to_owned());
            let newest = self.newest.entry(run).or_default();
            // Again is allowed; ahead of one that has not come is not.
            if event.number() > *newest + 1 {
                self.disorder.push(format!(
                    "event {} of run {} came after event {newest}",
                    event.number(),
                    event.run()
                ));
            }
            *newest = (*newest).max(event.number());
        }
    }

    /// The notifications that the worker answered with 2xx and that are in no event.
    pub fn missing(&self, acknowledged: &[Notification]) -> Vec<Missing> {
        let mut missing: Vec<Missing> = acknowledged
            .iter()
            .map(|sent| Missing {
                kind: sent.kind.as_str().to_owned(),
                event: sent.event.to_owned(),
                run: sent.run.clone(),
                task: sent.task.clone(),
            })
            .filter(|sent| {
                let wanted = (
                    sent.kind.clone(),
                    sent.event.clone(),
                    sent.run.clone(),
                    sent.task.clone(),
                );
                !self.told.contains(&wanted)
            })
            .collect();
        missing.sort();
        missing.dedup();
        missing
    }

    /// Everything that contradicts order or stable ids.
    pub fn contradictions(&self) -> Vec<String> {
        let unstable = self.ids.iter().flat_map(|(run, numbers)| {
            numbers
                .iter()
                .filter(|(_, ids)| ids.len() > 1)
                .map(move |(number, _)| format!("event {number} of run {run} came with several ids"))
        });
        self.disorder.iter().cloned().chain(unstable).collect()
    }

    /// How many events came, repeated ones included.
    pub fn events(&self) -> usize {
        self.events
    }

    /// How many different events came.
    pub fn distinct_events(&self) -> usize {
        self.ids.values().map(BTreeMap::len).sum()
    }
}
