//! A handler as the configuration describes it.

use std::sync::Arc;

use super::{CommandHandler, FileHandler, Handler, HttpHandler, StdoutHandler};
use crate::clock::Clock;
use crate::config::{ConfiguredHandler, HandlerKind};
use crate::start::StartError;

/// Sets one up.
pub(crate) fn set_up(configured: ConfiguredHandler, clock: &Clock) -> Result<Arc<dyn Handler>, StartError> {
    let (name, timeout) = (configured.name.to_string(), configured.deliver.timeout);
    Ok(match configured.kind {
        HandlerKind::Stdout => Arc::new(StdoutHandler::new()),
        HandlerKind::File(path) => Arc::new(FileHandler::new(path)),
        HandlerKind::Http(target) => {
            let made = HttpHandler::new(*target, timeout, clock.clone());
            Arc::new(made.map_err(|error| StartError::Handler(name, error.into()))?)
        }
        #[cfg(feature = "nats")]
        HandlerKind::Nats(target) => Arc::new(super::NatsHandler::new(name, *target, timeout)),
        HandlerKind::Command(line) => Arc::new(CommandHandler::new(name, line)),
    })
}
