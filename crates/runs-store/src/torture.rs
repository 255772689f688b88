//! Places at which the process can be made to die, and deliberate defects: what `cargo xtask torture` needs inside.
//!
//! Without the feature `torture` a point is an empty function. With it, nothing happens either, unless the environment
//! says so. A new point is one line, `torture::point("stage.moment")`: the torture finds it in the source and tries it.

/// Ends the process here, without any clean-up, if `TORTURE_CRASH_AT` names this point: `stage.moment`, or
/// `stage.moment:3` for the third time that it is passed. With `TORTURE_HOLD_AT=stage.moment:3`, each third thread that
/// comes here stands still for `TORTURE_HOLD_MILLIS`, as one does that the system gives no time.
#[inline]
pub fn point(name: &str) {
    #[cfg(feature = "torture")]
    armed::point(name);
    #[cfg(not(feature = "torture"))]
    let _ = name;
}

/// After how many pages the write-ahead log is moved into the file: `TORTURE_CHECKPOINT_PAGES`, or what is usual.
#[inline]
pub fn checkpoint_pages(usual: u32) -> u32 {
    #[cfg(feature = "torture")]
    return armed::checkpoint_pages().unwrap_or(usual);
    #[cfg(not(feature = "torture"))]
    usual
}

/// How long a segment of the intake log is: `TORTURE_SEGMENT_BYTES`, or what is usual.
#[inline]
pub(crate) fn segment_bytes(usual: u64) -> u64 {
    #[cfg(feature = "torture")]
    return armed::segment_bytes().unwrap_or(usual);
    #[cfg(not(feature = "torture"))]
    usual
}

/// Whether `TORTURE_SABOTAGE` names this deliberate defect. The judge of the torture must find it.
#[cfg(feature = "torture")]
pub fn is_sabotaged(defect: &str) -> bool {
    armed::sabotage() == Some(defect)
}

#[cfg(feature = "torture")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    /// A point that the environment names, as `stage.moment` or `stage.moment:3`.
    struct Named {
        point: String,
        times: u64,
        passed: AtomicU64,
    }

    impl Named {
        fn by(variable: &str) -> Option<Self> {
            let text = std::env::var(variable).ok()?;
            let (point, times) = match text.rsplit_once(':') {
                Some((point, times)) => (point, times.parse().ok()?),
                None => (text.as_str(), 1),
            };
            Some(Self {
                point: point.to_owned(),
                times,
                passed: AtomicU64::new(0),
            })
        }

        /// Counts, if it is this one: how often it was passed, this time included.
        fn pass(&self, point: &str) -> Option<u64> {
            (self.point == point).then(|| self.passed.fetch_add(1, Ordering::Relaxed) + 1)
        }
    }

    pub(super) fn point(name: &str) {
        static CRASH: OnceLock<Option<Named>> = OnceLock::new();
        static HOLD: OnceLock<Option<(Named, Duration)>> = OnceLock::new();
        let crash = CRASH.get_or_init(|| Named::by("TORTURE_CRASH_AT"));
        if let Some(crash) = crash
            && crash.pass(name) == Some(crash.times)
        {
            std::process::abort();
        }
        let hold = HOLD.get_or_init(|| {
            let millis = std::env::var("TORTURE_HOLD_MILLIS").ok()?.parse().ok()?;
            Some((Named::by("TORTURE_HOLD_AT")?, Duration::from_millis(millis)))
        });
        if let Some((hold, length)) = hold
            && hold.pass(name).is_some_and(|passed| passed.is_multiple_of(hold.times))
        {
            std::thread::sleep(*length);
        }
    }

    pub(super) fn checkpoint_pages() -> Option<u32> {
        std::env::var("TORTURE_CHECKPOINT_PAGES").ok()?.parse().ok()
    }

    pub(super) fn segment_bytes() -> Option<u64> {
        std::env::var("TORTURE_SEGMENT_BYTES").ok()?.parse().ok()
    }

    pub(super) fn sabotage() -> Option<&'static str> {
        static SABOTAGE: OnceLock<Option<String>> = OnceLock::new();
        SABOTAGE
            .get_or_init(|| std::env::var("TORTURE_SABOTAGE").ok())
            .as_deref()
    }
}
