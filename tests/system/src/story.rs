//! What the events of one run tell, one after the other.

use crate::ReceivedEvent;

/// The events of a run.
pub fn of_run<'a>(events: &'a [ReceivedEvent], run: &str) -> Vec<&'a ReceivedEvent> {
    events.iter().filter(|event| event.run() == run).collect()
}

/// Their types, each in a word.
pub fn words<'a>(events: &'a [ReceivedEvent], run: &str) -> Vec<&'a str> {
    of_run(events, run).into_iter().map(ReceivedEvent::word).collect()
}

/// The name that the run has in each of them.
pub fn names<'a>(events: &'a [ReceivedEvent], run: &str) -> Vec<&'a str> {
    let names = of_run(events, run)
        .into_iter()
        .map(|event| event.state()["name"].as_str());
    names.flatten().collect()
}
