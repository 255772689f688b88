//! What a stage is called when it ends.

use tokio::task::JoinError;
use tracing::error;

/// A stage that tells its name when it ends.
pub(crate) async fn named(stage: &'static str, run: impl Future<Output = ()>) -> &'static str {
    run.await;
    stage
}

/// The name of a stage that has ended.
pub(crate) fn name(ended: Result<&'static str, JoinError>) -> &'static str {
    ended.unwrap_or_else(|error| {
        error!(%error, "a stage ended by a panic");
        "a stage that panicked"
    })
}
