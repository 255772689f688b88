//! A board that shows how runs stand, kept up to date by events.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use runs_worker::{Event, Handler, HandlerError};
use tallyfy_model::Run;

/// What the board shows of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// The run's name.
    pub name: String,
    /// The titles of its open tasks.
    pub open: Vec<String>,
    /// The number of the event that it was last changed by.
    number: u64,
}

/// A board. Clones are the same board.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<BTreeMap<String, Card>>>);

impl Board {
    /// What is on it, by the id of the run.
    pub fn cards(&self) -> BTreeMap<String, Card> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Handler for Board {
    async fn handle(&self, event: &Event) -> Result<(), HandlerError> {
        // A run that cannot be read now cannot be read later either: the event becomes a dead letter, for a person.
        let run = event.run().map_err(HandlerError::reject)?;
        let mut cards = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let id = event.run_id().to_string();
        // An event may come again. The events of one run come in order, so its number tells.
        if cards.get(&id).is_some_and(|card| card.number >= event.number()) {
            return Ok(());
        }
        match run {
            Some(run) => cards.insert(id, card(&run, event.number())),
            None => cards.remove(&id),
        };
        Ok(())
    }
}

fn card(run: &Run, number: u64) -> Card {
    let title = |title: Option<&str>| title.unwrap_or("(untitled)").to_owned();
    Card {
        name: title(run.name.as_str()),
        open: run.open_tasks().map(|task| title(task.title.as_str())).collect(),
        number,
    }
}

impl fmt::Display for Board {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for card in self.cards().values() {
            writeln!(
                formatter,
                "{}: {}",
                card.name,
                match card.open.as_slice() {
                    [] => "all done".to_owned(),
                    open => open.join(", "),
                }
            )?;
        }
        Ok(())
    }
}
