//! Every fault of the API, as a client sees it.

use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::json;
use tallyfy_sim::faults::{Fault, FaultRule, RetryAfter};
use tallyfy_sim::{LEAKED_SQL, Simulator};

use crate::http::{Answer, exchange, get, good_headers};
use crate::{run_path, simulator};

async fn struck(fault: Fault) -> Answer {
    let (sim, path) = one_run().await;
    sim.faults().once(fault);
    let answer = get(&sim, &path).await;
    assert_eq!(get(&sim, &path).await.status, 200, "once is once");
    answer
}

async fn one_run() -> (Simulator, String) {
    let sim = simulator().await;
    let run = sim.launch("Globex").unwrap();
    let path = run_path(&sim, &run, "?with=tasks");
    (sim, path)
}

#[tokio::test]
async fn statuses_come_as_documented_json() {
    for (fault, status) in [
        (Fault::Unauthorized, 401),
        (Fault::Forbidden, 403),
        (Fault::NotFound, 404),
        (Fault::Status { status: 409 }, 409),
        (Fault::Status { status: 500 }, 500),
    ] {
        let answer = struck(fault).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.json()["error"], json!(true), "{status}");
    }
}

#[tokio::test]
async fn server_errors_are_pages_that_leak() {
    for status in [500, 502, 503, 200] {
        let answer = struck(Fault::Html { status }).await;
        assert_eq!(answer.status, status);
        assert!(answer.header("content-type").unwrap().starts_with("text/html"));
        assert!(answer.text().contains(LEAKED_SQL));
    }
}

#[tokio::test]
async fn a_429_says_when_to_come_back_in_three_ways() {
    let retry_after = async |retry_after| {
        let answer = struck(Fault::TooManyRequests { retry_after }).await;
        assert_eq!(answer.status, 429);
        assert_eq!(answer.json()["code"], "RATE_LIMIT_EXCEEDED");
        answer.header("retry-after").map(str::to_owned)
    };
    assert_eq!(retry_after(RetryAfter::Seconds(7)).await.as_deref(), Some("7"));
    assert_eq!(
        retry_after(RetryAfter::Date(90)).await.as_deref(),
        Some("Mon, 05 Jan 2026 09:01:30 GMT")
    );
    assert_eq!(retry_after(RetryAfter::Absent).await, None);
}

#[tokio::test]
async fn a_success_can_have_nothing_to_say() {
    let empty = struck(Fault::EmptyBody).await;
    assert_eq!((empty.status, empty.text()), (200, ""));
    let hollow = struck(Fault::EmptyData).await;
    assert_eq!((hollow.status, hollow.text()), (200, r#"{"data":{}}"#));
}

#[tokio::test]
async fn a_truncated_answer_is_shorter_than_it_promised() {
    let answer = struck(Fault::Truncated).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.len() > 100, "half of it is there");
    assert!(answer.missing() > 100, "half of it is missing");
    assert!(serde_json::from_slice::<serde_json::Value>(&answer.body).is_err());
}

#[tokio::test]
async fn a_big_answer_can_be_truncated_too() {
    let sim = simulator().await;
    for number in 0..100 {
        sim.launch(&format!("Run {number}")).unwrap();
    }
    sim.faults().once(Fault::Truncated);
    let path = format!("/organizations/{}/runs?with=checklist,tasks&per_page=100", sim.org());
    let answer = get(&sim, &path).await;
    assert!(answer.missing() > 100_000, "{}", answer.missing());
}

#[tokio::test]
async fn a_dropped_connection_says_nothing() {
    let (sim, path) = one_run().await;
    sim.faults().once(Fault::Dropped);
    let raw = exchange(sim.address(), "GET", &path, &good_headers(&sim), "").await;
    assert_eq!(raw, b"");
    sim.requests().wait_until_idle().await;
    let call = &sim.requests().calls()[0];
    assert_eq!((call.ended, call.status), (true, None));
}

#[tokio::test]
async fn a_connection_dropped_midway_never_ends_its_chunks() {
    let answer = struck(Fault::DroppedMidway).await;
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    assert_eq!(answer.header("content-length"), None);
    assert!(answer.body.len() > 100);
    assert!(!answer.raw.ends_with(b"0\r\n\r\n"));
}

#[tokio::test]
async fn the_answer_can_be_about_another_run() {
    let sim = simulator().await;
    let (one, two) = (sim.launch("One").unwrap(), sim.launch("Two").unwrap());
    sim.faults().add(FaultRule::once(Fault::OtherRun).on_run(&one));
    assert_eq!(get(&sim, &run_path(&sim, &two, "")).await.data()["id"], json!(two));
    assert_eq!(get(&sim, &run_path(&sim, &one, "")).await.data()["id"], json!(two));
    assert_eq!(get(&sim, &run_path(&sim, &one, "")).await.data()["id"], json!(one));
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_takes_its_time() {
    let (sim, path) = one_run().await;
    sim.faults().once(Fault::Latency {
        by: Duration::from_secs(40),
    });
    let before = tokio::time::Instant::now();
    assert_eq!(get(&sim, &path).await.status, 200);
    assert!(before.elapsed() >= Duration::from_secs(40));
}

#[tokio::test]
async fn a_held_request_waits_until_it_is_let_go() {
    let (sim, path) = one_run().await;
    let hold = sim.faults().always(Fault::Hold);
    let asking = tokio::spawn({
        let sim = sim.clone();
        async move { get(&sim, &path).await.status }
    });
    hold.wait_for_hits(1).await;
    assert!(!asking.is_finished());
    assert_eq!(sim.requests().peak_in_flight(), 1);
    hold.release();
    assert_eq!(asking.await.unwrap(), 200);
    assert!(sim.faults().active().is_empty());
}

#[tokio::test]
async fn a_fault_keeps_to_its_route_until_cleared() {
    let (sim, path) = one_run().await;
    let route = "GET /organizations/{org}/runs/{run}";
    sim.faults().add(FaultRule::always(Fault::UNAVAILABLE).on_route(route));
    assert_eq!(get(&sim, &path).await.status, 503);
    assert_eq!(get(&sim, &path).await.status, 503);
    assert_eq!(get(&sim, "/me").await.status, 200);
    sim.faults().clear();
    assert_eq!(get(&sim, &path).await.status, 200);
    assert_eq!(sim.requests().of_route(route), 3);
}

#[tokio::test(start_paused = true)]
async fn the_rate_limit_lets_calls_through_again_after_a_minute() {
    let (sim, path) = one_run().await;
    sim.set_rate_limit(NonZeroU32::new(2));
    assert_eq!(get(&sim, &path).await.header("x-ratelimit-remaining"), Some("1"));
    assert_eq!(get(&sim, &path).await.header("x-ratelimit-remaining"), Some("0"));
    let refused = get(&sim, &path).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("60")));
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(get(&sim, &path).await.status, 200);
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_held_requests() {
    let (sim, path) = one_run().await;
    let hold = sim.faults().always(Fault::Hold);
    let headers = good_headers(&sim);
    let asking = tokio::spawn({
        let address = sim.address();
        async move { exchange(address, "GET", &path, &headers, "").await }
    });
    hold.wait_for_hits(1).await;
    sim.shutdown().await;
    assert_eq!(asking.await.unwrap(), b"");
    assert!(tokio::net::TcpStream::connect(sim.address()).await.is_err());
}
