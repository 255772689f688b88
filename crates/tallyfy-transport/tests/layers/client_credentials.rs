use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use tallyfy_transport::{Authenticated, ClientCredentials, ErrorKind, HttpTransport as _, TokenSource};
use tokio::time::{advance, timeout};

use crate::script::{Script, answer, boxed, failed, get};

const SECOND: Duration = Duration::from_secs(1);

fn issued(token: &str, expires_in: &str) -> String {
    format!(r#"{{"token_type":"Bearer","expires_in":{expires_in},"access_token":"{token}"}}"#)
}

/// Issues t1, t2, …, each good for so long.
fn server(expires_in: &'static str) -> Script {
    Script::new((1..=20).map(|number| boxed(move || Ok(answer(200, issued(&format!("t{number}"), expires_in))))))
}

fn credentials(server: &Script) -> ClientCredentials {
    ClientCredentials::new(server.clone(), "17", "s3cret &=+ä")
}

async fn token(tokens: &ClientCredentials) -> String {
    match tokens.token().await {
        Ok(token) => token.expose().to_owned(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_form_is_sent_and_nothing_of_it_is_shown() {
    let server = server("3600");
    let tokens = credentials(&server);
    assert_eq!(token(&tokens).await, "t1");
    let request = server.requests().remove(0);
    assert_eq!((request.method().as_str(), request.path()), ("POST", "/oauth/token"));
    assert_eq!(request.headers()[CONTENT_TYPE], "application/x-www-form-urlencoded");
    assert_eq!(
        request.body_bytes().unwrap(),
        "grant_type=client_credentials&client_id=17&client_secret=s3cret%20%26%3D%2B%C3%A4&scope=%2A"
    );
    assert!(!format!("{tokens:?}{request:?}").contains("s3cret"));
}

#[tokio::test(start_paused = true)]
async fn a_token_serves_until_a_tenth_of_its_life_is_left() {
    let server = server("1000");
    let tokens = credentials(&server);
    let first = (token(&tokens).await, tokens.generation().await);
    advance(899 * SECOND).await;
    assert_eq!((token(&tokens).await, tokens.generation().await), first);
    advance(SECOND).await;
    assert_eq!(token(&tokens).await, "t2");
    assert_ne!(tokens.generation().await, first.1);
    assert_eq!(server.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn lifetimes_come_in_several_forms_and_none_is_taken_at_its_word() {
    for (expires_in, good_for, renewed_after) in [
        ("\"1000\"", 899, 900),
        ("1000.0", 899, 900),
        ("null", 544_319, 544_320),
        ("\"soon\"", 544_319, 544_320),
        ("1e300", 28_000_000, 366 * 24 * 60 * 60),
        ("-5", 0, 1),
        ("0", 0, 1),
    ] {
        let server = server(expires_in);
        let tokens = credentials(&server);
        token(&tokens).await;
        advance(good_for * SECOND).await;
        assert_eq!(token(&tokens).await, "t1", "{expires_in}");
        advance((renewed_after - good_for) * SECOND).await;
        assert_eq!(token(&tokens).await, "t2", "{expires_in}");
    }
}

#[tokio::test(start_paused = true)]
async fn callers_who_need_a_token_at_once_share_one_renewal() {
    let server = server("1000").taking(SECOND);
    let tokens = Arc::new(credentials(&server));
    let ask = || {
        let tokens = Arc::clone(&tokens);
        tokio::spawn(async move { token(&tokens).await })
    };
    let callers: Vec<_> = (0..50).map(|_| ask()).collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "t1");
    }
    assert_eq!(server.count(), 1);

    // While the old one is good, only who renews it waits.
    advance(950 * SECOND).await;
    let mut got = Vec::new();
    for caller in (0..50).map(|_| ask()).collect::<Vec<_>>() {
        got.push(caller.await.unwrap());
    }
    got.sort();
    got.dedup();
    assert_eq!(got, ["t1", "t2"]);
    assert_eq!(server.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_leaves_a_good_token_in_use_and_is_not_repeated_at_once() {
    let server = Script::new([
        boxed(|| Ok(answer(200, issued("t1", "1000")))),
        boxed(|| Ok(answer(500, "<html>"))),
        boxed(|| failed(ErrorKind::Connect)),
        boxed(|| Ok(answer(200, issued("t2", "1000")))),
    ]);
    let tokens = credentials(&server);
    token(&tokens).await;
    advance(900 * SECOND).await;
    for expected in [2, 2, 2] {
        assert_eq!(token(&tokens).await, "t1");
        assert_eq!(server.count(), expected, "asked again during the pause");
    }
    advance(SECOND).await;
    assert_eq!((token(&tokens).await.as_str(), server.count()), ("t1", 3));
    advance(SECOND).await;
    assert_eq!(
        (token(&tokens).await.as_str(), server.count()),
        ("t1", 3),
        "the pause has doubled"
    );
    advance(SECOND).await;
    assert_eq!((token(&tokens).await.as_str(), server.count()), ("t2", 4));
}

#[tokio::test(start_paused = true)]
async fn without_a_token_the_reason_is_told_and_the_server_is_not_flooded() {
    let mut messages = Vec::new();
    for (status, body) in [
        (401, r#"{"error":"invalid_client","message":"secret s3cret is wrong"}"#),
        (401, "no"),
        (500, "<html>SELECT * FROM oauth_clients"),
        (200, "<html>"),
        (200, "{}"),
        (200, r#"{"access_token":"two words"}"#),
    ] {
        let server = Script::new([boxed(move || Ok(answer(status, body)))]);
        let tokens = credentials(&server);
        let message = token(&tokens).await;
        for _ in 0..10 {
            assert_eq!(token(&tokens).await, message);
        }
        assert_eq!(server.count(), 1);
        messages.push(message);
    }
    insta::assert_snapshot!("client_credentials_refused", messages.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_replaced_once() {
    let auth_server = server("100000");
    let api = Script::statuses([200, 401, 401, 200]).taking(SECOND);
    let transport = Authenticated::new(api.clone(), Arc::new(credentials(&auth_server)));
    transport.send(get()).await.unwrap();
    advance(3600 * SECOND).await;
    // Two requests under way with the old token: the second refusal is not one of the new token.
    let (one, two) = tokio::join!(transport.send(get()), transport.send(get()));
    assert_eq!((one.unwrap().status.as_u16(), two.unwrap().status.as_u16()), (401, 401));
    transport.send(get()).await.unwrap();
    assert_eq!(auth_server.count(), 2);
    let sent = api.requests();
    assert_eq!(sent[1].headers()[AUTHORIZATION], "Bearer t1");
    assert_eq!(sent[3].headers()[AUTHORIZATION], "Bearer t2");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_as_soon_as_it_is_issued_is_not_asked_for_in_a_loop() {
    let auth_server = server("100000");
    let api = Script::statuses([401]);
    let transport = Authenticated::new(api.clone(), Arc::new(credentials(&auth_server)));
    for _ in 0..20 {
        match transport.send(get()).await {
            Ok(response) => assert_eq!(response.status.as_u16(), 401),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Credentials);
                assert!(
                    error
                        .source()
                        .unwrap()
                        .to_string()
                        .contains("refused as soon as it was issued")
                );
            }
        }
    }
    assert_eq!(auth_server.count(), 1);
    advance(SECOND).await;
    transport.send(get()).await.unwrap();
    assert_eq!(auth_server.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_was_given_up_keeps_nobody_waiting() {
    let server = server("1000").taking(10 * SECOND);
    let tokens = credentials(&server);
    assert!(timeout(SECOND, tokens.token()).await.is_err());
    assert_eq!(token(&tokens).await, "t1");
    assert_eq!(server.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_application_that_acts_as_a_user_exchanges_each_token() {
    for wrap in [|token: String| token, |token: String| format!(r#"{{"data":{token}}}"#)] {
        let server = server("1000");
        let users =
            (1..=5).map(|number| boxed(move || Ok(answer(200, wrap(issued(&format!("user{number}"), "2000"))))));
        let api = Script::new(users);
        let tokens = credentials(&server).acting_as(api.clone(), "acme", "bot@example.com");
        assert_eq!(token(&tokens).await, "user1");
        let request = api.requests().remove(0);
        assert_eq!(
            (request.method().as_str(), request.path()),
            ("POST", "/applications/acme/users/bot%40example.com/token")
        );
        assert_eq!(request.headers()[AUTHORIZATION], "Bearer t1");
        // The user's lifetime counts, not the application's.
        advance(1799 * SECOND).await;
        assert_eq!(token(&tokens).await, "user1");
        advance(SECOND).await;
        assert_eq!(token(&tokens).await, "user2");
    }
}

#[tokio::test(start_paused = true)]
async fn whom_an_application_may_not_act_as_is_told() {
    for (answered, said) in [
        (answer(404, r#"{"message":"s3cret"}"#), "must be a member"),
        (answer(500, "s3cret"), "answered 500"),
        (answer(200, "s3cret"), "not JSON"),
        (answer(200, "{}"), "is empty"),
    ] {
        let api = Script::new([boxed(move || Ok(answered.clone()))]);
        let tokens = credentials(&server("1000")).acting_as(api, "acme", "bot@example.com");
        let told = token(&tokens).await;
        assert!(told.contains(said) && !told.contains("s3cret"), "{told}");
    }
}
