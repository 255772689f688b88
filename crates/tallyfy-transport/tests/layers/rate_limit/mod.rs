//! The limiter and its layer, on a clock that the tests move.

mod budget;
mod layer;
mod pause;

use std::num::NonZeroU32;
use std::time::Duration;

use tallyfy_transport::{RateLimiter, RateLimits};
use tokio::time::{Instant, timeout};

/// A limiter; zero is no limit.
fn limiter(per_minute: u32, per_hour: u32) -> RateLimiter {
    RateLimiter::new(RateLimits {
        per_five_seconds: None,
        per_minute: NonZeroU32::new(per_minute),
        per_hour: NonZeroU32::new(per_hour),
    })
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Takes everything that can be had without waiting.
async fn drain(limiter: &RateLimiter) -> usize {
    let mut taken = 0;
    while timeout(Duration::ZERO, limiter.acquire()).await.is_ok() {
        taken += 1;
    }
    taken
}

/// Takes `count` permits as fast as they come, and tells when each came.
async fn greedy(limiter: &RateLimiter, count: usize) -> Vec<Instant> {
    let mut taken = Vec::new();
    for _ in 0..count {
        limiter.acquire().await;
        taken.push(Instant::now());
    }
    taken
}
