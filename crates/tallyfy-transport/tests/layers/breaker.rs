use std::time::Duration;

use tallyfy_transport::{BreakerSettings, CircuitBreaker, CircuitState, ErrorKind, Guarded, HttpTransport as _};
use tokio::time::{Instant, advance, timeout};

use crate::script::{Script, answer, boxed, failed, get};

const SECOND: Duration = Duration::from_secs(1);

fn settings() -> BreakerSettings {
    BreakerSettings::default()
        .with_failures(3)
        .with_open_for(5 * SECOND, 15 * SECOND)
}

fn guarded(script: &Script) -> (Guarded<Script>, CircuitBreaker) {
    let breaker = CircuitBreaker::new(settings());
    (Guarded::new(script.clone(), breaker.clone()), breaker)
}

async fn outcome(transport: &Guarded<Script>) -> String {
    match transport.send(get()).await {
        Ok(response) => response.status.as_u16().to_string(),
        Err(error) => format!("{:?}", error.kind()),
    }
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_open_it_and_one_trial_closes_it() {
    let script = Script::statuses([500, 502, 503, 200]);
    let (transport, breaker) = guarded(&script);
    for status in ["500", "502", "503"] {
        assert_eq!(breaker.state(), CircuitState::Closed);
        assert_eq!(outcome(&transport).await, status);
    }
    let error = transport.send(get()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CircuitOpen);
    assert_eq!(
        error.to_string(),
        "the API does not answer, not even asked for GET /runs/r1: tried again in 5.0s"
    );
    assert_eq!(breaker.state(), CircuitState::Open(Instant::now() + 5 * SECOND));
    assert_eq!(script.count(), 3, "nothing is sent while it is open");

    advance(5 * SECOND).await;
    assert_eq!(breaker.state(), CircuitState::Trial);
    assert_eq!(outcome(&transport).await, "200");
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn each_failed_trial_opens_it_for_twice_as_long() {
    let script = Script::new([boxed(|| failed(ErrorKind::Connect))]);
    let (transport, breaker) = guarded(&script);
    for _ in 0..3 {
        outcome(&transport).await;
    }
    for seconds in [5, 10, 15, 15] {
        assert_eq!(breaker.state(), CircuitState::Open(Instant::now() + seconds * SECOND));
        advance(seconds * SECOND - Duration::from_millis(1)).await;
        assert_eq!(outcome(&transport).await, "CircuitOpen");
        advance(Duration::from_millis(1)).await;
        assert_eq!(outcome(&transport).await, "Connect");
    }
    script.push(|| Ok(answer(200, "")));
    advance(15 * SECOND).await;
    outcome(&transport).await;
    advance(15 * SECOND).await;
    assert_eq!(outcome(&transport).await, "200");
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn answers_that_show_that_the_server_works_keep_it_closed() {
    let works = [200, 301, 400, 401, 403, 404, 409, 422, 429];
    let script = Script::statuses(works.into_iter().flat_map(|status| [500, 500, status]).chain([200]));
    let (transport, breaker) = guarded(&script);
    for _ in 0..works.len() * 3 {
        outcome(&transport).await;
        assert_eq!(breaker.state(), CircuitState::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_never_sent_shows_nothing() {
    for kind in [ErrorKind::Credentials, ErrorKind::InvalidRequest] {
        let script = Script::new([boxed(move || failed(kind))]);
        let (transport, breaker) = guarded(&script);
        for _ in 0..10 {
            outcome(&transport).await;
        }
        assert_eq!(breaker.state(), CircuitState::Closed, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_request_at_a_time_is_the_trial() {
    let script = Script::statuses([500, 500, 500, 200]).taking(SECOND);
    let (transport, _) = guarded(&script);
    for _ in 0..3 {
        outcome(&transport).await;
    }
    advance(5 * SECOND).await;
    let (trial, other) = tokio::join!(outcome(&transport), outcome(&transport));
    assert_eq!((trial.as_str(), other.as_str()), ("200", "CircuitOpen"));
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_was_given_up_leaves_the_next_one_to_somebody_else() {
    let script = Script::statuses([500, 500, 500, 200]).taking(SECOND);
    let (transport, breaker) = guarded(&script);
    for _ in 0..3 {
        outcome(&transport).await;
    }
    advance(5 * SECOND).await;
    assert!(timeout(SECOND / 2, outcome(&transport)).await.is_err());
    assert_eq!(breaker.state(), CircuitState::Trial);
    assert_eq!(outcome(&transport).await, "200");
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_what_was_sent_before_it_opened_does_not_close_it() {
    let slow = Script::statuses([200]).taking(2 * SECOND);
    let failing = Script::statuses([500]);
    let breaker = CircuitBreaker::new(settings());
    let (slow, failing) = (
        Guarded::new(slow, breaker.clone()),
        Guarded::new(failing, breaker.clone()),
    );
    let late = tokio::spawn(async move { outcome(&slow).await });
    tokio::task::yield_now().await;
    for _ in 0..3 {
        outcome(&failing).await;
    }
    assert_eq!(late.await.unwrap(), "200");
    assert!(matches!(breaker.state(), CircuitState::Open(_)));
}
