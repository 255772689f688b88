//! What every request must carry, and what one is told who does not.

use serde_json::json;
use tallyfy_sim::quirks::{ErrorForm, Quirks};

use crate::http::{call, exchange, get, good_headers};
use crate::{run_path, simulator};

#[tokio::test]
async fn each_mandatory_header_is_missed() {
    let sim = simulator().await;
    let path = format!("/organizations/{}/runs", sim.org());
    for (index, message) in [
        (0, "unauthenticated"),
        (1, "missing required headers"),
        (2, "missing required headers"),
    ] {
        let mut headers = good_headers(&sim);
        let (name, _) = headers.remove(index);
        let answer = call(sim.address(), "GET", &path, &headers, "").await;
        assert_eq!(answer.status, 401, "without {name}");
        assert_eq!(
            answer.json(),
            json!({"error": true, "message": message}),
            "without {name}"
        );
    }
    let mut headers = good_headers(&sim);
    headers[2].1 = "AnythingElse".to_owned();
    assert_eq!(call(sim.address(), "GET", &path, &headers, "").await.status, 200);
}

#[tokio::test]
async fn a_token_is_taken_after_exactly_one_space() {
    let sim = simulator().await;
    for authorization in ["Bearer  sim-token", "bearer sim-token", "sim-token", "Bearer other"] {
        let mut headers = good_headers(&sim);
        headers[0].1 = authorization.to_owned();
        assert_eq!(
            call(sim.address(), "GET", "/me", &headers, "").await.status,
            401,
            "{authorization}"
        );
    }
    assert_eq!(get(&sim, "/me").await.data()["id"], json!(1002));
}

#[tokio::test]
async fn a_token_can_die_and_another_live() {
    let sim = simulator().await;
    let before = good_headers(&sim);
    sim.revoke_tokens();
    assert_eq!(call(sim.address(), "GET", "/me", &before, "").await.status, 401);
    sim.replace_token("fresh");
    assert_eq!(call(sim.address(), "GET", "/me", &before, "").await.status, 401);
    assert_eq!(get(&sim, "/me").await.status, 200);
}

#[tokio::test]
async fn a_path_and_an_object_are_missed_in_different_words() {
    let sim = simulator().await;
    let path = get(&sim, "/organizations/northwind/processes").await;
    let object = get(&sim, &run_path(&sim, &"0".repeat(32), "")).await;
    assert_eq!((path.status, object.status), (404, 404));
    assert_eq!(path.json()["code"], "ENDPOINT_NOT_FOUND");
    assert_eq!(
        object.json(),
        json!({"error": true, "message": "Resource not found", "code": "RESOURCE_NOT_FOUND"})
    );
    let post = crate::http::send(&sim, "POST", "/me", "{}").await;
    assert_eq!(post.json()["code"], "ENDPOINT_NOT_FOUND");
}

#[tokio::test]
async fn who_does_not_ask_for_json_gets_errors_as_html() {
    let sim = simulator().await;
    let mut headers = good_headers(&sim);
    headers[1].1 = "*/*".to_owned();
    let answer = call(sim.address(), "GET", "/nowhere", &headers, "").await;
    assert_eq!(answer.status, 404);
    assert!(answer.header("content-type").unwrap().starts_with("text/html"));
    assert!(answer.text().starts_with("<!doctype html>"));
    assert!(call(sim.address(), "GET", "/me", &headers, "").await.data().is_object());
}

#[tokio::test]
async fn another_organization_is_forbidden_and_an_unknown_one_not_found() {
    let sim = simulator().await;
    sim.change(|world| {
        world.add_organization("contoso", "Contoso");
        Ok(())
    })
    .unwrap();
    assert_eq!(get(&sim, "/organizations/contoso/runs").await.status, 403);
    assert_eq!(get(&sim, "/organizations/fabrikam/runs").await.status, 404);
    sim.add_token("theirs", "contoso", 1);
    let mut headers = good_headers(&sim);
    headers[0].1 = "Bearer theirs".to_owned();
    assert_eq!(
        call(sim.address(), "GET", "/organizations/contoso/runs", &headers, "")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn an_error_body_has_four_forms() {
    let sim = simulator().await;
    let mut bodies = Vec::new();
    for errors in ErrorForm::ALL {
        sim.quirks().set(Quirks {
            errors: *errors,
            ..Quirks::default()
        });
        let raw = exchange(sim.address(), "GET", "/me", &good_headers(&sim)[1..], "").await;
        let text = String::from_utf8(raw).unwrap();
        bodies.push(text.split("\r\n\r\n").nth(1).unwrap().to_owned());
    }
    assert_eq!(
        bodies,
        [
            r#"{"error":true,"message":"unauthenticated"}"#,
            r#"{"message":"Unauthenticated."}"#,
            r#"{"error":"Unauthorized","message":"unauthenticated"}"#,
            r#"{"error":{"code":"401","details":{},"message":"unauthenticated"}}"#,
        ]
    );
}

#[tokio::test]
async fn every_answer_has_a_request_id_of_its_own() {
    let sim = simulator().await;
    let one = get(&sim, "/me").await;
    let two = get(&sim, "/nowhere").await;
    assert_eq!(one.header("X-Request-Id"), Some("sim-00000001"));
    assert_eq!(two.header("X-Request-Id"), Some("sim-00000002"));
}
