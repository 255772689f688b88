//! What a stage is called when it ends.

use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
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

/// Waits until all of these have ended. One that does although nobody stopped it stops the others; the name of the first.
pub(crate) async fn first_to_end(mut stages: JoinSet<&'static str>, stop: CancellationToken) -> &'static str {
    let mut first = None;
    while let Some(ended) = stages.join_next().await {
        let stage = name(ended);
        if !stop.is_cancelled() {
            error!(stage, "a stage ended although nobody stopped it");
            stop.cancel();
        }
        first.get_or_insert(stage);
    }
    first.unwrap_or("every stage")
}
