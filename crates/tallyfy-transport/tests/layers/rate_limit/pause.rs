//! When nobody gets a permit.

use std::time::Duration;

use tokio::time::{Instant, advance};

use super::{drain, greedy, limiter, seconds};

#[tokio::test(start_paused = true)]
async fn a_pause_stops_everybody_and_a_shorter_one_does_not_end_it() {
    let limiter = limiter(100, 0);
    let start = Instant::now();
    let waiting = tokio::spawn({
        let limiter = limiter.clone();
        async move {
            drain(&limiter).await;
            limiter.acquire().await;
            Instant::now()
        }
    });
    tokio::task::yield_now().await;
    limiter.pause(seconds(30.0));
    limiter.pause(seconds(5.0));
    assert_eq!(limiter.paused_until(), Some(start + seconds(30.0)));
    assert_eq!(
        waiting.await.unwrap() - start,
        seconds(30.0),
        "also who was waiting already"
    );

    advance(seconds(1.0)).await;
    assert_eq!(limiter.paused_until(), None);
    limiter.pause(Duration::MAX);
    assert!(limiter.paused_until().is_some());
}

#[tokio::test(start_paused = true)]
async fn after_a_429_permits_come_back_one_by_one() {
    let limiter = limiter(100, 0);
    let permit = limiter.acquire().await;
    let start = Instant::now();
    limiter.throttled(&permit, Some(seconds(30.0)));
    let taken: Vec<_> = greedy(&limiter, 3).await.iter().map(|&at| at - start).collect();
    assert_eq!(taken, [seconds(30.75), seconds(31.5), seconds(32.25)]);
}

#[tokio::test(start_paused = true)]
async fn without_retry_after_each_429_in_a_row_doubles_the_pause() {
    let limiter = limiter(0, 0);
    let mut pauses = Vec::new();
    for _ in 0..7 {
        let permit = limiter.acquire().await;
        limiter.throttled(&permit, None);
        pauses.push((limiter.paused_until().unwrap() - Instant::now()).as_secs());
    }
    assert_eq!(pauses, [10, 20, 40, 80, 160, 300, 300]);

    let permit = limiter.acquire().await;
    limiter.answered(&permit);
    let permit = limiter.acquire().await;
    limiter.throttled(&permit, None);
    assert_eq!(
        limiter.paused_until().unwrap() - Instant::now(),
        seconds(10.0),
        "another answer starts anew"
    );
}

#[tokio::test(start_paused = true)]
async fn answers_to_requests_under_way_together_count_once() {
    let limiter = limiter(0, 0);
    let (first, second, third) = (
        limiter.acquire().await,
        limiter.acquire().await,
        limiter.acquire().await,
    );
    let start = Instant::now();
    limiter.throttled(&first, None);
    limiter.throttled(&second, None);
    assert_eq!(
        limiter.paused_until(),
        Some(start + seconds(10.0)),
        "the second is no news"
    );

    limiter.answered(&third);
    let next = limiter.acquire().await;
    limiter.throttled(&next, None);
    assert_eq!(
        limiter.paused_until(),
        Some(Instant::now() + seconds(20.0)),
        "the late success is no news either"
    );

    limiter.throttled(&third, Some(seconds(60.0)));
    assert_eq!(
        limiter.paused_until(),
        Some(Instant::now() + seconds(60.0)),
        "but a longer wait is"
    );
}

#[tokio::test(start_paused = true)]
async fn retry_after_zero_does_not_become_a_loop() {
    let limiter = limiter(0, 0);
    let permit = limiter.acquire().await;
    limiter.throttled(&permit, Some(Duration::ZERO));
    assert_eq!(limiter.paused_until(), Some(Instant::now() + seconds(1.0)));
}
