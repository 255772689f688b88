//! How many retries there may be among all requests.

use std::sync::{Arc, Mutex, PoisonError};

/// What one request adds, in retries: of ten requests, one may be a retry in the long run.
const SHARE: f64 = 0.1;
/// What is there at first, and the most there can be.
const RESERVE: f64 = 10.0;

/// Retries that may be made: ten at first, and one more for every ten requests. Clones share one budget.
///
/// While few requests fail, it never runs out. While all fail, it keeps the load near what it is without retries.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    left: Arc<Mutex<f64>>,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self {
            left: Arc::new(Mutex::new(RESERVE)),
        }
    }
}

impl RetryBudget {
    /// Notes a request.
    pub(super) fn deposit(&self) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        *left = (*left + SHARE).min(RESERVE);
    }

    /// Takes a retry, if there is one.
    pub(super) fn withdraw(&self) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        // Tenths do not add up to ones exactly.
        let there = *left >= 1.0 - 1e-9;
        if there {
            *left -= 1.0;
        }
        there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn withdrawn(budget: &RetryBudget) -> usize {
        (0..100).take_while(|_| budget.withdraw()).count()
    }

    #[test]
    fn ten_are_there_at_first_and_one_for_every_ten_requests_is_added() {
        let budget = RetryBudget::default();
        assert_eq!(withdrawn(&budget), 10);
        (0..30).for_each(|_| budget.deposit());
        assert_eq!(withdrawn(&budget.clone()), 3);
        (0..9).for_each(|_| budget.deposit());
        assert_eq!(withdrawn(&budget), 0);
        (0..1000).for_each(|_| budget.deposit());
        assert_eq!(withdrawn(&budget), 10);
    }
}
