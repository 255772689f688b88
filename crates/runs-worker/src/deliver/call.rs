//! The steps from the call of the handler to what it amounts to.

use std::sync::Arc;

use runs_store::{HandlerName, torture};

use super::decide::{Called, Decided, decide};
use super::health::HandlerHealth;
use super::report::{self, Meters};
use crate::clock::Clock;
use crate::config::DeliverConfig;
use crate::handler::{Event, Handler, HandlerError};
use crate::vitals::Vitals;

/// What these steps need.
pub(super) struct Calling {
    pub(super) handler: Arc<dyn Handler>,
    pub(super) health: Arc<HandlerHealth>,
    pub(super) meters: Meters,
    pub(super) clock: Clock,
    pub(super) vitals: Arc<Vitals>,
    pub(super) name: HandlerName,
    pub(super) config: DeliverConfig,
}

impl Calling {
    /// Attempts these deliveries, in one call.
    pub(super) async fn attempt(self: Arc<Self>, events: Vec<Event>) -> Vec<Decided> {
        let called = self.call(events).await;
        self.health
            .note(called.iter().map(|called| &called.result), self.clock.wall());
        let mut attempts = Vec::with_capacity(called.len());
        for called in called {
            let decided = decide(called, &self.config, rand::random());
            self.meters.measure(&decided);
            report::count(&self.vitals, &decided);
            report::log(&self.name, &decided);
            attempts.push(decided);
        }
        attempts
    }

    async fn call(&self, events: Vec<Event>) -> Vec<Called> {
        let began = self.clock.now();
        let events: Arc<[Event]> = events.into();
        let mut results = self.results(&events).await.into_iter();
        torture::point("deliver.called");
        let (ended, at) = (self.clock.now(), self.clock.wall());
        let took = ended.since(began);
        let called = events.iter().map(|event| Called {
            event: event.clone(),
            result: results
                .next()
                .unwrap_or_else(|| Err(HandlerError::retry("the handler did not say what became of it"))),
            took,
            ended,
            at,
        });
        called.collect()
    }

    /// Calls the handler in a task of its own: a panic ends there.
    async fn results(&self, events: &Arc<[Event]>) -> Vec<Result<(), HandlerError>> {
        let (handler, given) = (Arc::clone(&self.handler), Arc::clone(events));
        let mut task = tokio::spawn(async move {
            match &*given {
                [event] => vec![handler.handle(event).await],
                events => handler.handle_many(events).await,
            }
        });
        let failure = match tokio::time::timeout(self.config.timeout, &mut task).await {
            Ok(Ok(results)) => return results,
            Ok(Err(_)) => HandlerError::retry("the handler panicked"),
            Err(_) => {
                task.abort();
                HandlerError::retry(format!("the handler took longer than {:?}", self.config.timeout))
            }
        };
        vec![Err(failure); events.len()]
    }
}
