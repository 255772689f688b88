//! Counts the calls to the API while a round goes on: whatever becomes of the seat, there are never more than the budget
//! allows.

use std::time::Duration;

use tallyfy_sim::Simulator;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// How often it looks.
const EVERY: Duration = Duration::from_millis(20);
/// A little less than the five seconds of the budget: on the way to the API, calls may come closer together.
const STRETCH: Duration = Duration::from_millis(4500);

/// A look: when it began and ended, and how many calls there had been.
#[derive(Clone, Copy)]
struct Look {
    began: Instant,
    ended: Instant,
    calls: u64,
}

/// Looks until it is dropped or asked.
pub(super) struct Calls(JoinHandle<Vec<Look>>, tokio::sync::watch::Sender<bool>);

impl Calls {
    pub(super) fn count(sim: Simulator) -> Self {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let looking = tokio::spawn(async move {
            let mut looks = Vec::new();
            while !*stopped.borrow() {
                let began = Instant::now();
                let calls = sim.requests().total();
                looks.push(Look {
                    began,
                    ended: Instant::now(),
                    calls,
                });
                sleep(EVERY).await;
            }
            looks
        });
        Self(looking, stop)
    }

    /// The most calls in any stretch of nearly five seconds.
    pub(super) async fn most(self) -> anyhow::Result<u64> {
        self.1.send_replace(true);
        Ok(most(&self.0.await?))
    }
}

fn most(looks: &[Look]) -> u64 {
    let mut first = 0;
    let mut most = 0;
    for last in looks {
        while looks.get(first).is_some_and(|look| last.ended - look.began > STRETCH) {
            first += 1;
        }
        let before = looks.get(first).map_or(last.calls, |look| look.calls);
        most = most.max(last.calls.saturating_sub(before));
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fullest_stretch_counts() {
        let start = Instant::now();
        let look = |millis, calls| {
            let at = start + Duration::from_millis(millis);
            Look {
                began: at,
                ended: at,
                calls,
            }
        };
        assert_eq!(most(&[]), 0);
        assert_eq!(most(&[look(0, 0), look(4000, 7), look(6000, 8), look(9000, 10)]), 7);
        assert_eq!(most(&[look(0, 3), look(4000, 5), look(8000, 11)]), 6);
    }
}
