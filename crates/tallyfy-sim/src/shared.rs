//! What the parts of a running simulator have in common.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::faults::Faults;
use crate::quirks::QuirkSource;
use crate::rate_limit::RateLimit;
use crate::render::Includes;
use crate::replicas::{ReplicaSource, View};
use crate::requests::Requests;
use crate::webhooks::{Ledger, Sender, plan};
use crate::world::{Founding, Lag, World, WorldError};

/// Who a token belongs to. A personal token is good for one organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) user: i64,
    pub(crate) org: String,
}

/// The state behind the API, the control endpoints and the library's handle.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) world: Mutex<World>,
    pub(crate) founding: Founding,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) quirks: QuirkSource,
    pub(crate) faults: Faults,
    pub(crate) requests: Requests,
    pub(crate) rate_limit: RateLimit,
    pub(crate) tokens: Mutex<BTreeMap<String, Caller>>,
    pub(crate) lag: Mutex<Lag>,
    pub(crate) replicas: ReplicaSource,
    pub(crate) ledger: Ledger,
    pub(crate) sender: Sender,
    pub(crate) base_url: String,
    pub(crate) last_request: AtomicU64,
    pub(crate) shutdown: CancellationToken,
}

impl Shared {
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tokens(&self) -> MutexGuard<'_, BTreeMap<String, Caller>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the next read sees the world.
    pub(crate) fn view(&self, includes: &Includes) -> View {
        let of_replica = self.replicas.view(includes.names(), self.clock.now());
        of_replica.unwrap_or_else(|| View::behind(*self.lag.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    pub(crate) fn set_lag(&self, lag: Lag) {
        *self.lag.lock().unwrap_or_else(PoisonError::into_inner) = lag;
    }

    pub(crate) fn next_request(&self) -> u64 {
        self.last_request.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Changes the world and sends the webhooks that tell of it. The lock is held until they are in the sender's queue,
    /// so that they stand there in the order of the changes.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut World) -> Result<T, WorldError>) -> Result<T, WorldError> {
        let mut world = self.world();
        let result = change(&mut world);
        for happening in world.take_happenings() {
            let quirks = self.quirks.draw();
            for planned in plan(&world, &quirks, &happening) {
                self.sender.send(planned, quirks.pretty);
            }
        }
        result
    }
}
