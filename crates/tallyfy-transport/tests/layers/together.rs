use std::sync::Arc;
use std::time::Duration;

use tallyfy_transport::{
    Authenticated, BreakerSettings, CircuitBreaker, ErrorKind, Guarded, HttpTransport, RateLimited, RateLimiter,
    RateLimits, Recorded, Recording, RetryPolicy, Retrying, StaticToken,
};

use crate::script::{Script, answer, boxed, get, with_header};

const SECOND: Duration = Duration::from_secs(1);

/// All layers, in the order that the documentation gives.
fn layered(script: &Script) -> Arc<dyn HttpTransport> {
    let signed = Authenticated::new(script.clone(), Arc::new(StaticToken::new("t0ken")));
    let limited = RateLimited::new(signed, RateLimiter::new(RateLimits::default()));
    let breaker = CircuitBreaker::new(BreakerSettings::default().with_failures(3));
    let guarded = Guarded::new(limited, breaker);
    Arc::new(Retrying::new(guarded, RetryPolicy::default().with_initial(SECOND)).with_random(|| 1.0))
}

#[tokio::test(start_paused = true)]
async fn a_429_is_waited_for_once_and_not_by_each_layer_in_turn() {
    let script = Script::new([
        boxed(|| Ok(with_header(answer(429, ""), "retry-after", "7"))),
        boxed(|| Ok(answer(200, ""))),
    ]);
    let response = layered(&script).send(get()).await.unwrap();
    assert_eq!((response.status.as_u16(), response.attempts()), (200, 2));
    let second = script.seconds()[1];
    assert!((7.0..12.0).contains(&second), "{second}");
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_ends_the_retries_and_costs_no_permit() {
    let script = Script::statuses([503]);
    let transport = layered(&script);
    let error = transport.send(get()).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.attempts(), script.count()),
        (ErrorKind::CircuitOpen, 4, 3)
    );
    for _ in 0..1000 {
        let error = transport.send(get()).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::CircuitOpen, 1));
    }
    assert_eq!(script.count(), 3);
}

#[test]
fn layers_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    let script = Script::statuses([200]);
    shared(&layered(&script));
    shared(&Recorded::new(script, Recording::to_writer(std::io::sink())));
}
