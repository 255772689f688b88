//! Any request, through a client with everything around it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tallyfy_runs::transport::{HttpTransport, Request, Response, RetryPolicy, TransportError};
use tallyfy_runs::{Client, Error};
use tokio::time::Instant;

use crate::answering::{answer, with_header};

/// Counts what it is asked, and answers as it is told to.
#[derive(Clone)]
struct Counting(Arc<AtomicU32>, fn() -> Response);

impl Counting {
    fn answering(answer: fn() -> Response) -> Self {
        Self(Arc::default(), answer)
    }

    fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl HttpTransport for Counting {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        assert_eq!(request.headers()["authorization"], "Bearer token");
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok((self.1)())
    }
}

fn tags() -> Request {
    Request::get(["organizations", "acme", "tags"]).unwrap()
}

#[tokio::test]
async fn any_endpoint_is_three_lines_with_the_errors_of_all_others() {
    let wire = Counting::answering(|| answer(200, r#"{"data":[{"id":"x"}]}"#));
    let client = Client::builder("acme", "token").transport(wire).build().unwrap();
    let tags: serde_json::Value = client.send(tags()).await.unwrap().json().unwrap();
    assert_eq!(tags["data"][0]["id"], "x");
    assert_eq!(format!("{client:?}"), r#"Client { org: OrgId("acme"), .. }"#);
}

#[tokio::test(start_paused = true)]
async fn what_reads_is_sent_again_and_what_writes_is_not() {
    let wire = Counting::answering(|| with_header(answer(503, ""), "x-request-id", "abc-1"));
    let client = || {
        Client::builder("acme", "token")
            .transport(wire.clone())
            .retry(RetryPolicy::default().with_max_attempts(3))
    };
    let error = client().build().unwrap().send(tags()).await.unwrap_err();
    assert_eq!((wire.count(), error.request_id()), (3, Some("abc-1")));
    for method in ["PUT", "POST", "DELETE", "PATCH"] {
        let before = wire.count();
        let request = Request::new(method.parse().unwrap(), ["x"]).unwrap();
        let error = client().build().unwrap().send(request).await.unwrap_err();
        assert!(matches!(error, Error::OutcomeUnknown(_)), "{error}");
        assert_eq!(
            (wire.count() - before, error.status().unwrap().as_u16()),
            (1, 503),
            "{method}"
        );
    }
}

/// A page's words, however its lines are broken.
fn words(page: &str) -> String {
    let lines = page.lines().map(|line| line.trim_start_matches("//!").trim());
    lines.collect::<Vec<_>>().join(" ")
}

#[tokio::test(start_paused = true)]
async fn the_first_page_says_what_the_default_budget_does_to_the_21st_call_and_after_200() {
    let wire = Counting::answering(|| answer(200, "{}"));
    let client = Client::builder("acme", "token").transport(wire).build().unwrap();
    let start = Instant::now();
    let mut at = Vec::new();
    for _ in 0..500 {
        client.send(tags()).await.unwrap();
        at.push(start.elapsed().as_secs_f64());
    }
    let at_once = at.iter().filter(|at| **at == 0.0).count();
    let first = format!(
        "{at_once} calls go out at once, each one after them waits {:.1} s, and the 21st goes out after {:.0} s.",
        at[at_once], at[20]
    );
    let later = format!("one call in {:.1} s.", at[499] - at[498]);
    for page in [include_str!("../../README.md"), include_str!("../../src/lib.rs")] {
        let page = words(page);
        assert!(
            page.contains(&first) && page.contains(&later),
            "expected: {first} {later}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_the_budget_that_is_too_long_is_an_error_that_says_for_how_long() {
    let wire = Counting::answering(|| with_header(answer(429, ""), "retry-after", "60"));
    let client = Client::builder("acme", "token")
        .transport(wire.clone())
        .max_wait(Duration::from_secs(5))
        .build()
        .unwrap();
    let limited = client.send(tags()).await.unwrap_err();
    assert_eq!(
        (limited.retry_after(), limited.status().unwrap().as_u16()),
        (Some(Duration::from_secs(60)), 429)
    );
    let spent = client.send(tags()).await.unwrap_err();
    assert!(matches!(spent, Error::BudgetSpent(_)) && spent.is_retryable());
    assert_eq!(
        (spent.retry_after(), wire.count()),
        (Some(Duration::from_millis(60_750)), 1)
    );
}

#[tokio::test]
async fn layers_see_each_attempt_the_latest_first() {
    #[derive(Clone)]
    struct Named<T>(T, &'static str, Arc<std::sync::Mutex<Vec<&'static str>>>);

    #[async_trait]
    impl<T: HttpTransport> HttpTransport for Named<T> {
        async fn send(&self, request: Request) -> Result<Response, TransportError> {
            assert!(
                request.headers().get("authorization").is_none(),
                "no layer sees the token"
            );
            self.2.lock().unwrap().push(self.1);
            self.0.send(request).await
        }
    }

    let seen = Arc::<std::sync::Mutex<Vec<_>>>::default();
    let (first, second) = (Arc::clone(&seen), Arc::clone(&seen));
    let client = Client::builder("acme", "token")
        .transport(Counting::answering(|| answer(503, "")))
        .retry(RetryPolicy::default().with_max_attempts(2).with_initial(Duration::ZERO))
        .layer(|inner| Named(inner, "first", first))
        .layer(|inner| Named(inner, "second", second))
        .build()
        .unwrap();
    client.send(tags()).await.unwrap_err();
    assert_eq!(*seen.lock().unwrap(), ["second", "first", "second", "first"]);
}

#[test]
fn a_base_url_may_be_a_text_and_is_refused_when_the_client_is_built() {
    let build = |text: &str| Client::builder("acme", "token").base_url(text).build();
    assert!(build("http://127.0.0.1:4010/api").is_ok());
    assert_eq!(
        build("go.tallyfy.com").unwrap_err().to_string(),
        "base url does not begin with https://"
    );
}
