//! File descriptors: how many this process may have open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::warn;

/// What the store, the API, the handlers and the runtime need beside the connections.
const OTHERS: usize = 128;

/// Raises the soft limit as far as it is allowed, so that this many connections fit.
///
/// The soft limit is 1024 on most systems, for the sake of programs that use `select`.
pub(crate) fn raise(connections: usize) {
    let wanted = u64::try_from(connections.saturating_add(OTHERS)).unwrap_or(u64::MAX);
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else {
        return;
    };
    if soft < wanted
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard)
    {
        warn!(%error, "cannot raise the limit of open files");
    }
}

/// How many connections fit, at most as many as configured: when the descriptors are used up, the store could open no
/// file either.
pub(crate) fn connections(configured: usize) -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE)
        .ok()
        .and_then(|(soft, _)| usize::try_from(soft).ok())
        .unwrap_or(usize::MAX);
    let fit = fitting(configured, limit);
    if fit < configured {
        warn!(
            configured,
            fit, limit, "receive.max_connections is more than the limit of open files allows"
        );
    }
    fit
}

fn fitting(configured: usize, limit: usize) -> usize {
    let share = limit.saturating_sub(OTHERS).max(limit / 4).max(1);
    configured.min(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_to_the_rest() {
        assert_eq!(fitting(4096, 1_048_576), 4096);
        assert_eq!(fitting(4096, 1024), 896);
        assert_eq!(fitting(4096, 100), 25);
        assert_eq!(fitting(4096, 0), 1);
        assert_eq!(fitting(10, 1024), 10);
    }
}
