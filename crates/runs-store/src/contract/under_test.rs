//! What the suite is run on.

use std::sync::Arc;

use crate::time::SchedulingTime;
use async_trait::async_trait;

use crate::desks::Store;

/// A store that a test may do anything with.
#[async_trait]
pub trait StoreUnderTest: Send + Sync + Sized {
    /// Whether it can be tested here. Where it needs a server that is not there, the tests pass without having tested
    /// anything, and have to say so.
    fn is_there() -> bool {
        true
    }

    /// How many random stories the model plays: enough to find a bug on the first day, few enough for every day.
    /// `PROPTEST_CASES` asks for more.
    fn stories() -> u32 {
        48
    }

    /// Sets up an empty one.
    async fn fresh(now: SchedulingTime) -> Self;

    /// The store.
    fn store(&self) -> &dyn Store;

    /// The same store, opened beside its worker for a person's commands.
    async fn beside(&self) -> Arc<dyn Store>;

    /// Ends its worker in an orderly way, and starts another one.
    async fn restart(self, now: SchedulingTime) -> Self;

    /// Ends its worker as `kill -9` does, and starts another one.
    async fn crash(self, now: SchedulingTime) -> Self;
}
