//! What the layer does with the answers it sees.

use std::time::Duration;

use http::HeaderValue;
use http::header::{DATE, RETRY_AFTER};
use tallyfy_transport::{ErrorKind, HttpTransport as _, RateLimited, RateLimiter, Request, TransportError};
use tokio::time::Instant;

use super::{drain, limiter, seconds};
use crate::script::{Line, Script, answer, boxed};

fn answer_with(status: u16, headers: &[(http::HeaderName, &'static str)]) -> Line {
    let headers = headers.to_vec();
    boxed(move || {
        let bare = answer(status, "");
        let answer = headers.iter().fold(bare, |answer, (name, value)| {
            answer.with_header(name.clone(), HeaderValue::from_static(value))
        });
        Ok(answer)
    })
}

/// Sends until the script is over, and tells when each answer came, in seconds.
async fn play(script: Vec<Line>, limiter: RateLimiter) -> Vec<f64> {
    let count = script.len();
    let noon = || "2026-11-23T12:00:00Z".parse().unwrap();
    let layer = RateLimited::new(Script::new(script), limiter).with_clock(noon);
    let start = Instant::now();
    let mut answered = Vec::new();
    for _ in 0..count {
        layer.send(Request::get(["x"]).unwrap()).await.unwrap();
        answered.push(start.elapsed().as_secs_f64());
    }
    answered
}

#[tokio::test(start_paused = true)]
async fn the_layer_passes_a_429_on_and_holds_the_next_request_back() {
    let script = vec![
        answer_with(429, &[(RETRY_AFTER, "30")]),
        answer_with(500, &[]),
        answer_with(200, &[]),
    ];
    assert_eq!(play(script, limiter(100, 0)).await, [0.0, 30.75, 31.5]);
}

#[tokio::test(start_paused = true)]
async fn the_layer_takes_a_permit_for_every_request() {
    let script = (0..4).map(|_| answer_with(200, &[])).collect();
    assert_eq!(play(script, limiter(5, 0)).await, [0.0, 15.0, 30.0, 45.0]);
}

#[tokio::test(start_paused = true)]
async fn a_date_in_retry_after_is_compared_with_the_servers_own_date() {
    let half_past = (RETRY_AFTER, "Mon, 23 Nov 2026 12:00:30 GMT");
    let with_date = vec![
        answer_with(429, &[half_past.clone(), (DATE, "Mon, 23 Nov 2026 12:00:20 GMT")]),
        answer_with(200, &[]),
    ];
    assert_eq!(play(with_date, limiter(0, 0)).await, [0.0, 10.0]);

    let without = vec![answer_with(429, &[half_past]), answer_with(200, &[])];
    assert_eq!(play(without, limiter(0, 0)).await, [0.0, 30.0]);
}

/// Sends once more than the burst of a limiter of five a minute, and says what became of the last.
async fn one_too_many(layer: impl FnOnce(RateLimited<Script>) -> RateLimited<Script>) -> TransportError {
    let layer = layer(RateLimited::new(Script::statuses([200]), limiter(5, 0)));
    layer.send(Request::get(["x"]).unwrap()).await.unwrap();
    layer.send(Request::get(["x"]).unwrap()).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn who_cannot_wait_long_enough_is_told_at_once_for_how_long() {
    let start = Instant::now();
    let error = one_too_many(|layer| layer.with_max_wait(seconds(14.0))).await;
    assert_eq!(error.kind(), ErrorKind::BudgetSpent);
    assert_eq!(error.retry_after(), Some(seconds(15.0)));
    assert_eq!(
        error.to_string(),
        "the request budget is spent, not sent: GET /x: room again in 15.0s, which is waited for at most 14.0s"
    );
    assert_eq!(start.elapsed(), seconds(0.0), "nothing to wait for");
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_permit_is_part_of_the_time_that_a_request_has() {
    let error = one_too_many(|layer| layer.with_timeout(seconds(10.0))).await;
    assert_eq!(error.kind(), ErrorKind::BudgetSpent);
}

#[tokio::test(start_paused = true)]
async fn who_waits_behind_others_waits_no_longer_than_it_said() {
    let limiter = limiter(5, 0);
    drain(&limiter).await;
    let others = (0..3).map(|_| limiter.clone());
    let others: Vec<_> = others
        .map(|limiter| tokio::spawn(async move { limiter.acquire().await }))
        .collect();
    tokio::task::yield_now().await;
    let start = Instant::now();
    assert_eq!(limiter.acquire_within(seconds(20.0)).await.unwrap_err(), seconds(10.0));
    assert_eq!(start.elapsed(), seconds(20.0));
    for other in others {
        other.await.unwrap();
    }
    assert!(limiter.acquire_within(Duration::MAX).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_has_its_permit_has_what_is_left_of_its_time() {
    let limiter = limiter(5, 0);
    drain(&limiter).await;
    let silent = Script::statuses([200]).taking(Duration::MAX);
    let layer = RateLimited::new(silent, limiter).with_timeout(seconds(20.0));
    let start = Instant::now();
    let error = layer.send(Request::get(["x"]).unwrap()).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed()), (ErrorKind::Timeout, seconds(20.0)));
}
