//! Ctrl-C for commands that go on until they are stopped.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::with_store::Trouble;

/// Notices Ctrl-C from now on, also while something else is awaited: whoever waits for it only now and then would miss it
/// in between.
pub(super) fn interrupts() -> Result<Signal, Trouble> {
    signal(SignalKind::interrupt()).map_err(|error| Trouble::Failed(format!("Ctrl-C cannot be noticed: {error}")))
}
