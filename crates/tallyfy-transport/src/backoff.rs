//! How long to wait after failures.

use std::time::Duration;

/// A wait that doubles with each failure in a row, up to a longest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first failure.
    pub initial: Duration,
    /// The longest wait.
    pub max: Duration,
}

impl Backoff {
    /// The wait after this many failures in a row, the present one included.
    pub fn full(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.initial.saturating_mul(1 << doublings).min(self.max)
    }

    /// The same with jitter: between half and the whole of it, so that what failed together does not come back together.
    /// `random` is between 0 and 1.
    pub fn wait(self, failures: u32, random: f64) -> Duration {
        self.full(failures).mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_the_longest_wait() {
        let backoff = Backoff {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(60),
        };
        let waits = [1, 2, 3, 6, 7, 8, 1000].map(|failures| backoff.full(failures).as_secs());
        assert_eq!(waits, [1, 2, 4, 32, 60, 60, 60]);
        assert_eq!(backoff.full(0), Duration::from_secs(1));
    }

    #[test]
    fn jitter_shortens_a_wait_by_up_to_a_half() {
        let backoff = Backoff {
            initial: Duration::from_secs(4),
            max: Duration::from_secs(60),
        };
        let waits = [-1.0, 0.0, 0.5, 1.0, 2.0].map(|random| backoff.wait(1, random).as_secs());
        assert_eq!(waits, [2, 2, 3, 4, 4]);
    }
}
