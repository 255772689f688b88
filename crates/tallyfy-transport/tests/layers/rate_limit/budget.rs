//! How many permits there are, and who gets them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tallyfy_transport::{RateLimiter, RateLimits};
use tokio::time::{Instant, sleep};

use super::{drain, greedy, limiter, seconds};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// The shortest time in which one more than `limit` permits were given.
fn closest(taken: &[Instant], limit: u32) -> Option<Duration> {
    let limit = limit as usize;
    taken.windows(limit + 1).map(|window| window[limit] - window[0]).min()
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_a_fifth_of_the_limit_and_a_minute_brings_the_rest() {
    let limiter = limiter(100, 0);
    assert_eq!(drain(&limiter).await, 20);
    let start = Instant::now();
    let taken = greedy(&limiter, 80).await;
    assert_eq!(taken[0] - start, seconds(0.75));
    assert_eq!(taken[79] - start, MINUTE);
}

#[tokio::test(start_paused = true)]
async fn the_tighter_of_the_two_limits_decides() {
    let limiter = RateLimiter::new(RateLimits::default());
    let taken = greedy(&limiter, 2000).await;
    assert!(closest(&taken, 100).unwrap() >= MINUTE);
    assert!(closest(&taken, 1000).unwrap() >= HOUR);
    let last_800 = (taken[1999] - taken[1199]).as_secs();
    assert_eq!(
        last_800,
        HOUR.as_secs(),
        "in the long run, four fifths of the hour's limit"
    );
}

#[tokio::test(start_paused = true)]
async fn without_limits_nobody_waits() {
    let limiter = limiter(0, 0);
    let start = Instant::now();
    greedy(&limiter, 10_000).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn even_the_smallest_limits_hold_and_let_requests_through() {
    for per_minute in [1, 2, 3, 4, 5, 6, 9, 10] {
        let limiter = limiter(per_minute, 0);
        let taken = greedy(&limiter, 50).await;
        assert!(
            closest(&taken, per_minute).unwrap() >= MINUTE,
            "{per_minute} in a minute"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_stretch_of_time_sees_more_permits_than_the_limit(
        per_minute in 1..40_u32,
        per_hour in 1..400_u32,
        phases in prop::collection::vec((0..240_000_u64, 1..30_usize, any::<bool>()), 1..25),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let taken = runtime.block_on(async {
            let limiter = limiter(per_minute, per_hour);
            let taken = Arc::new(Mutex::new(Vec::new()));
            let mut waiting = Vec::new();
            for (rest_ms, count, together) in phases {
                sleep(Duration::from_millis(rest_ms)).await;
                for _ in 0..count {
                    let (limiter, taken) = (limiter.clone(), Arc::clone(&taken));
                    let one = async move {
                        limiter.acquire().await;
                        taken.lock().unwrap().push(Instant::now());
                    };
                    if together { waiting.push(tokio::spawn(one)) } else { one.await }
                }
            }
            for one in waiting {
                one.await.unwrap();
            }
            Arc::into_inner(taken).unwrap().into_inner().unwrap()
        });
        prop_assert!(closest(&taken, per_minute).is_none_or(|span| span >= MINUTE));
        prop_assert!(closest(&taken, per_hour).is_none_or(|span| span >= HOUR));
    }
}

#[tokio::test(start_paused = true)]
async fn who_asked_first_is_served_first() {
    let limiter = limiter(5, 0);
    drain(&limiter).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let waiters: Vec<_> = (0..6)
        .map(|number| {
            let (limiter, order) = (limiter.clone(), Arc::clone(&order));
            tokio::spawn(async move {
                limiter.acquire().await;
                order.lock().unwrap().push(number);
            })
        })
        .collect();
    for waiter in waiters {
        waiter.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_gives_up_takes_no_permit_with_it() {
    let limiter = limiter(5, 0);
    drain(&limiter).await;
    let start = Instant::now();
    let wait = || {
        let limiter = limiter.clone();
        tokio::spawn(async move {
            limiter.acquire().await;
            Instant::now()
        })
    };
    let (first, second, third) = (wait(), wait(), wait());
    sleep(seconds(14.0)).await;
    first.abort();
    second.abort();
    assert_eq!(
        third.await.unwrap() - start,
        seconds(15.0),
        "the third has the permit that the first waited for"
    );
}

#[tokio::test(start_paused = true)]
async fn ready_waits_for_a_permit_and_leaves_it_there() {
    let limiter = limiter(5, 0);
    limiter.ready().await;
    limiter.ready().await;
    assert_eq!(drain(&limiter).await, 1);

    let start = Instant::now();
    limiter.ready().await;
    assert_eq!(start.elapsed(), seconds(15.0));
    assert_eq!(drain(&limiter).await, 1);
}

#[tokio::test(start_paused = true)]
async fn the_vendors_shortest_window_holds_by_default() {
    let limiter = RateLimiter::new(RateLimits::default());
    let mut taken = Vec::new();
    for _ in 0..90 {
        limiter.acquire().await;
        taken.push(Instant::now());
    }
    // About 12 in five seconds and 140 in ten are allowed (API reference, section k.1).
    assert!(closest(&taken, 10).is_none_or(|span| span >= Duration::from_secs(5)));
    assert!(closest(&taken, 100).is_none_or(|span| span >= MINUTE));
}
