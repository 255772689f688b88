//! Whether the API is there and the token good for it.

use tallyfy_runs::Error;

use crate::answering::{answer, client};

#[tokio::test]
async fn it_asks_for_one_run_of_the_list() {
    for body in [
        r#"{"data":[{"id":"r1"}],"meta":{}}"#,
        r#"{"data":[]}"#,
        r#"{"data":{}}"#,
    ] {
        let (client, asked) = client(Ok(answer(200, body)));
        client.probe().await.unwrap();
        assert_eq!(asked.recv().unwrap(), "GET /organizations/acme/runs?per_page=1");
    }
}

#[tokio::test]
async fn a_page_of_something_else_is_not_the_api() {
    for body in ["<!doctype html>", "", "ok", "[]", "{}"] {
        let (client, _asked) = client(Ok(answer(200, body)));
        let error = client.probe().await.unwrap_err();
        assert!(matches!(error, Error::NotTheExpectedJson { .. }), "{body}: {error}");
    }
    let (client, _asked) = client(Ok(answer(401, r#"{"error":"invalid_client"}"#)));
    assert!(matches!(client.probe().await, Err(Error::TokenRefused(_))));
}
