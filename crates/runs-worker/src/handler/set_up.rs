//! A handler as the configuration describes it.

use std::path::Path;
use std::sync::Arc;

use super::{CommandHandler, FileHandler, Handler, HttpHandler, Limited, StdoutHandler};
use crate::clock::Clock;
use crate::config::{ConfiguredHandler, HandlerKind};
use crate::start::StartError;

/// Sets one up.
pub(crate) fn set_up(configured: ConfiguredHandler, clock: &Clock) -> Result<Arc<dyn Handler>, StartError> {
    let most = configured.max_notifications_bytes;
    let handler = of_kind(configured, clock)?;
    Ok(match most {
        Some(max_notifications_bytes) => Arc::new(Limited {
            handler,
            max_notifications_bytes,
        }),
        None => handler,
    })
}

fn of_kind(configured: ConfiguredHandler, clock: &Clock) -> Result<Arc<dyn Handler>, StartError> {
    let (name, timeout) = (configured.name.to_string(), configured.deliver.timeout);
    Ok(match configured.kind {
        HandlerKind::Stdout => standard_output(name)?,
        HandlerKind::File(path) if is_standard_output(&path) => standard_output(name)?,
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

fn standard_output(name: String) -> Result<Arc<dyn Handler>, StartError> {
    let handler = StdoutHandler::at_start().map_err(|error| StartError::Handler(name, error.into()))?;
    Ok(Arc::new(handler))
}

/// Whether a path is another name of the standard output, which cannot be opened by its name when it is a socket.
fn is_standard_output(path: &Path) -> bool {
    ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"]
        .map(Path::new)
        .contains(&path)
}
