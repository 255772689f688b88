use std::time::Duration;

use http::StatusCode;
use tallyfy_transport::{ErrorKind, HttpTransport as _, Request, RetryBudget, RetryPolicy, Retrying};

use crate::script::{Script, answer, boxed, failed, get, with_header};

const SECOND: Duration = Duration::from_secs(1);

fn policy() -> RetryPolicy {
    RetryPolicy::default().with_initial(SECOND)
}

fn retrying(script: &Script) -> Retrying<Script> {
    Retrying::new(script.clone(), policy())
        .with_random(|| 1.0)
        .with_clock(|| "2026-11-23T12:00:00Z".parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_request_is_sent_again_after_growing_waits_until_it_is_answered() {
    let script = Script::statuses([503, 502, 200]);
    let response = retrying(&script).send(get()).await.unwrap();
    assert_eq!((response.status, response.attempts()), (StatusCode::OK, 3));
    assert_eq!(script.seconds(), [0.0, 1.0, 3.0]);
}

#[tokio::test(start_paused = true)]
async fn the_last_answer_is_returned_when_the_attempts_are_used_up() {
    let script = Script::statuses([500]);
    let response = retrying(&script).send(get()).await.unwrap();
    assert_eq!(
        (response.status.as_u16(), response.attempts(), script.count()),
        (500, 4, 4)
    );

    let script = Script::new([boxed(|| failed(ErrorKind::Timeout))]);
    let error = retrying(&script).send(get()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 4));
    assert_eq!(error.to_string(), "timed out during GET /runs/r1 (after 4 attempts)");
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_repeated_is_sent_once() {
    for status in [429, 503] {
        let script = Script::statuses([status, 200]);
        let request = Request::post(["runs"]).unwrap().json("{}");
        let response = retrying(&script).send(request).await.unwrap();
        assert_eq!(
            (response.status.as_u16(), response.attempts(), script.count()),
            (status, 1, 1)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_server_says_how_long_to_wait_in_seconds_or_as_a_date() {
    for (name, value, seconds) in [
        ("retry-after", "7", 7.0),
        ("retry-after", "Mon, 23 Nov 2026 12:00:09 GMT", 9.0),
        ("retry-after", "0", 1.0),
        ("retry-after", "soon", 1.0),
    ] {
        let script = Script::new([
            boxed(move || Ok(with_header(answer(429, ""), name, value))),
            boxed(|| Ok(answer(200, ""))),
        ]);
        retrying(&script).send(get()).await.unwrap();
        assert_eq!(script.seconds(), [0.0, seconds], "{value}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_longer_wait_than_the_longest_is_left_to_the_caller() {
    let script = Script::new([boxed(|| Ok(with_header(answer(429, ""), "retry-after", "31")))]);
    let response = retrying(&script).send(get()).await.unwrap();
    assert_eq!((response.status.as_u16(), script.count()), (429, 1));
}

#[tokio::test(start_paused = true)]
async fn no_attempt_begins_after_the_time_for_all_of_them() {
    let script = Script::statuses([503]).taking(3 * SECOND);
    let transport = Retrying::new(script.clone(), policy().with_max_elapsed(8 * SECOND)).with_random(|| 1.0);
    assert_eq!(transport.send(get()).await.unwrap().attempts(), 2);
    assert_eq!(script.seconds(), [0.0, 4.0]);
}

#[tokio::test(start_paused = true)]
async fn all_callers_share_one_budget() {
    let script = Script::statuses([503]);
    let budget = RetryBudget::default();
    let sent = 100;
    for _ in 0..sent {
        let transport = retrying(&script).with_budget(budget.clone());
        transport.send(get()).await.unwrap();
    }
    let retries = script.count() - sent;
    assert_eq!(retries, 19, "ten at first, and a tenth of what was sent");
}

#[tokio::test(start_paused = true)]
async fn giving_up_between_attempts_sends_nothing_more() {
    let script = Script::statuses([503]);
    let transport = retrying(&script);
    let abandoned = tokio::time::timeout(SECOND / 2, transport.send(get())).await;
    assert!(abandoned.is_err());
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(script.count(), 1);
}
