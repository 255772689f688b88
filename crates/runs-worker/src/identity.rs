//! Who this worker is.

use runs_store::WorkerIdentity;
use uuid::Uuid;

use crate::shared::worker_name::worker_name;

/// Another worker at each call, on this machine. One that has an intake log takes over the log's id, so that it is the same
/// from one start to the next.
pub(crate) fn identity() -> WorkerIdentity {
    WorkerIdentity::new(Uuid::now_v7(), worker_name().as_ref(), env!("CARGO_PKG_VERSION"))
}
