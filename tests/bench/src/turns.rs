//! Contestants take turns, and their times are compared turn by turn.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Rounds before the first that counts: caches, branch predictors and the allocator have to get used to the work.
const WARM_UP: usize = 20;

/// Something to be timed.
pub struct Contestant<'a> {
    once: Box<dyn FnMut() -> Duration + 'a>,
    times: Vec<Duration>,
}

impl<'a> Contestant<'a> {
    /// Times one call of `work`, what it returns being dropped within that time: to free what was built is part of the
    /// price.
    pub fn new<T>(mut work: impl FnMut() -> T + 'a) -> Self {
        let once = move || {
            let start = Instant::now();
            drop(black_box(work()));
            start.elapsed()
        };
        Self {
            once: Box::new(once),
            times: Vec::new(),
        }
    }
}

/// The times of several contestants, by turn.
#[derive(Debug)]
pub struct Turns<const N: usize>([Vec<Duration>; N]);

impl<const N: usize> Turns<N> {
    /// Lets each contestant have its turn, as many times over as asked for; who begins changes from round to round.
    pub fn take(rounds: usize, mut contestants: [Contestant<'_>; N]) -> Self {
        for round in 0..WARM_UP + rounds {
            for turn in 0..N {
                let contestant = &mut contestants[(round + turn) % N];
                let time = (contestant.once)();
                if round >= WARM_UP {
                    contestant.times.push(time);
                }
            }
        }
        Self(contestants.map(|contestant| contestant.times))
    }

    /// How many times as long `one` took as `other`: the median of the ratios of all rounds, because what disturbs one
    /// round disturbs it for both, and what disturbs only one of them is an outlier.
    pub fn ratio(&self, one: usize, other: usize) -> f64 {
        let pairs = self.0[one].iter().zip(&self.0[other]);
        median(
            pairs
                .map(|(one, other)| one.as_secs_f64() / other.as_secs_f64())
                .collect(),
        )
    }

    /// The shortest time of one contestant, which is the one that was disturbed least.
    pub fn shortest(&self, one: usize) -> Duration {
        self.0[one].iter().min().copied().unwrap_or_default()
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_disturbed_round_does_not_count() {
        let millis = |times: &[u64]| times.iter().copied().map(Duration::from_millis).collect::<Vec<_>>();
        let turns = Turns([millis(&[2, 4, 900]), millis(&[1, 2, 3])]);
        assert!((turns.ratio(0, 1) - 2.0).abs() < 1e-9);
        assert_eq!(turns.shortest(0), Duration::from_millis(2));
    }
}
