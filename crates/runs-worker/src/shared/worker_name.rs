//! What this worker is called, in what is told of its work.

use std::sync::Arc;

/// The name of the machine: the same after a restart, and another one for each worker that shares a database.
pub(crate) fn worker_name() -> Arc<str> {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty())
        .map_or_else(|| "worker".into(), Into::into)
}
