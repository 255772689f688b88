//! A handler that is given less of webhook bodies than others.

use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Event, Handler, HandlerError};
use crate::event::Most;

/// Another handler, which gets so many bytes of bodies in each event.
pub(crate) struct Limited {
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) max_notifications_bytes: usize,
}

impl Limited {
    fn cut(&self, event: &Event) -> Event {
        event.with_fewer_bodies(Most::OfBodies(self.max_notifications_bytes))
    }
}

#[async_trait]
impl Handler for Limited {
    async fn handle(&self, event: &Event) -> Result<(), HandlerError> {
        self.handler.handle(&self.cut(event)).await
    }

    fn at_once(&self) -> NonZeroUsize {
        self.handler.at_once()
    }

    async fn handle_many(&self, events: &[Event]) -> Vec<Result<(), HandlerError>> {
        let cut: Vec<Event> = events.iter().map(|event| self.cut(event)).collect();
        self.handler.handle_many(&cut).await
    }
}
