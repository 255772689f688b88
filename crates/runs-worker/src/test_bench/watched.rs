//! A handler whose events and outcomes are noted.

use std::any::Any;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::FutureExt as _;

use crate::handler::{Event, Handler, HandlerError};

/// What was handled and not taken yet.
#[derive(Clone, Default)]
pub(super) struct Handled(Arc<Mutex<Vec<super::Handled>>>);

impl Handled {
    pub(super) fn take(&self) -> Vec<super::Handled> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, event: &Event, outcome: Result<(), HandlerError>) {
        let event = event.clone();
        let mut handled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        handled.push(super::Handled { event, outcome });
    }

    /// Notes a panic of events, which then goes on to the worker.
    fn panicked(&self, events: &[Event], panic: Box<dyn Any + Send>) -> ! {
        for event in events {
            self.note(event, Err(HandlerError::retry("the handler panicked")));
        }
        resume_unwind(panic)
    }
}

/// A handler, watched.
pub(super) struct Watched<H> {
    handler: H,
    handled: Handled,
}

impl<H> Watched<H> {
    pub(super) fn new(handler: H, handled: &Handled) -> Self {
        Self {
            handler,
            handled: handled.clone(),
        }
    }
}

#[async_trait]
impl<H: Handler> Handler for Watched<H> {
    async fn handle(&self, event: &Event) -> Result<(), HandlerError> {
        let handling = AssertUnwindSafe(self.handler.handle(event)).catch_unwind();
        match handling.await {
            Ok(outcome) => {
                self.handled.note(event, outcome.clone());
                outcome
            }
            Err(panic) => self.handled.panicked(std::slice::from_ref(event), panic),
        }
    }

    fn at_once(&self) -> NonZeroUsize {
        self.handler.at_once()
    }

    async fn handle_many(&self, events: &[Event]) -> Vec<Result<(), HandlerError>> {
        let handling = AssertUnwindSafe(self.handler.handle_many(events)).catch_unwind();
        match handling.await {
            Ok(outcomes) => {
                for (event, outcome) in events.iter().zip(&outcomes) {
                    self.handled.note(event, outcome.clone());
                }
                outcomes
            }
            Err(panic) => self.handled.panicked(events, panic),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventType;
    use crate::handler::EventDraft;

    struct Several;

    #[async_trait]
    impl Handler for Several {
        async fn handle(&self, _: &Event) -> Result<(), HandlerError> {
            Err(HandlerError::reject("one by one"))
        }

        fn at_once(&self) -> NonZeroUsize {
            NonZeroUsize::new(8).unwrap()
        }

        async fn handle_many(&self, events: &[Event]) -> Vec<Result<(), HandlerError>> {
            events.iter().map(|_| Ok(())).collect()
        }
    }

    #[tokio::test]
    async fn a_handler_of_several_events_gets_them_as_such() {
        let handled = Handled::default();
        let watched = Watched::new(Several, &handled);
        let event = |run: &str| EventDraft::new(EventType::Seen, run).build().unwrap();
        assert_eq!(watched.at_once().get(), 8);
        assert_eq!(watched.handle_many(&[event("r1"), event("r2")]).await, [Ok(()), Ok(())]);
        let noted = handled.take();
        assert_eq!((noted.len(), noted[1].event.run_id().as_str()), (2, "r2"));
        assert!(noted.iter().all(|handled| handled.outcome.is_ok()) && handled.take().is_empty());
    }
}
