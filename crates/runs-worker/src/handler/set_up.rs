//! A handler from its description in the configuration.

use std::sync::Arc;

use super::{CommandHandler, FileHandler, Handler, HttpHandler, NatsHandler, StdoutHandler};
use crate::clock::Clock;
use crate::config::{ConfigError, DeliverConfig, HandlerConfig, HandlerKind};
use crate::start::StartError;

/// Sets one up. `place` names its description in messages.
pub(crate) fn set_up(
    config: &HandlerConfig,
    place: &str,
    deliver: &DeliverConfig,
    clock: &Clock,
) -> Result<Arc<dyn Handler>, StartError> {
    let name = &config.name;
    Ok(match config.kind(place).map_err(ConfigError::from)? {
        HandlerKind::Stdout => Arc::new(StdoutHandler::new()),
        HandlerKind::File(path) => Arc::new(FileHandler::new(path)),
        HandlerKind::Http(target) => {
            let made = HttpHandler::new(*target, deliver.timeout, clock.clone());
            Arc::new(made.map_err(|error| StartError::Handler(name.clone(), error.into()))?)
        }
        HandlerKind::Nats(target) => Arc::new(NatsHandler::new(name.clone(), *target, deliver.timeout)),
        HandlerKind::Command(line) => Arc::new(CommandHandler::new(name.clone(), line)),
    })
}
