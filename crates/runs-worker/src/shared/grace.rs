//! How long the worker takes to stop.

use std::time::Duration;

/// How long what is in hand may take once the worker stops. Service managers kill after longer than this.
pub(crate) const GRACE: Duration = Duration::from_secs(20);
