use std::io::Write;
use std::sync::{Arc, Mutex};

use http::header::{CONTENT_TYPE, SET_COOKIE};
use proptest::prelude::*;
use tallyfy_transport::{
    Authenticated, ErrorKind, HttpTransport, Recorded, Recording, RecordingError, Replay, Request, StaticToken,
};

use crate::script::{Script, answer, boxed, failed, get, with_header};

/// What was written.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Memory {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn recorded(script: Script) -> (Recorded<Script>, Memory) {
    let memory = Memory::default();
    (Recorded::new(script, Recording::to_writer(memory.clone())), memory)
}

#[tokio::test(start_paused = true)]
async fn an_exchange_is_a_line_without_secrets() {
    let body = "{ \"data\": {\"id\":\"r1\", \"amount\":1.50, \"guest-links\":{\"a@b.example\":{\"link_for_guest\":\"https://s3cret\"}}} }\n";
    let script = Script::new([
        boxed(move || {
            let response = with_header(answer(200, body), "x-request-id", "q1");
            let response = with_header(response, "set-cookie", "session=s3cret");
            Ok(with_header(response, "content-type", "application/json"))
        }),
        boxed(|| Ok(answer(500, "<html>s3cret"))),
        boxed(|| Ok(answer(204, ""))),
        boxed(|| failed(ErrorKind::Timeout)),
    ]);
    let (transport, memory) = recorded(script);
    let transport = Authenticated::new(transport, Arc::new(StaticToken::new("t0k-s3cret")));
    let response = transport
        .send(get().query("with", "tasks").query("token", "s3cret"))
        .await
        .unwrap();
    assert!(response.headers.contains_key(SET_COOKIE), "the caller gets everything");
    assert_eq!(response.body, body);
    let request = Request::post(["oauth", "token"])
        .unwrap()
        .json(r#"{"password":"s3cret"}"#);
    transport.send(request).await.unwrap();
    transport.send(get()).await.unwrap();
    transport.send(get()).await.unwrap_err();
    assert!(!memory.text().contains("s3cret"), "{}", memory.text());
    insta::assert_snapshot!("recording", memory.text());
}

#[tokio::test(start_paused = true)]
async fn a_recording_answers_as_the_server_did() {
    let script = Script::new([
        boxed(|| {
            Ok(with_header(
                answer(200, "{\"n\":1}"),
                "content-type",
                "application/json",
            ))
        }),
        boxed(|| Ok(answer(404, "{\"message\":\"no\"}"))),
        boxed(|| failed(ErrorKind::Timeout)),
    ]);
    let (transport, memory) = recorded(script);
    transport.send(get()).await.unwrap();
    transport.send(get()).await.unwrap();
    transport
        .send(Request::delete(["runs", "r1"]).unwrap())
        .await
        .unwrap_err();

    let replay = Replay::from_text(&memory.text()).unwrap();
    let first = replay.send(get()).await.unwrap();
    assert_eq!(
        (first.status.as_u16(), first.body.as_ref()),
        (200, b"{\"n\":1}".as_slice())
    );
    assert_eq!(first.headers[CONTENT_TYPE], "application/json");
    for _ in 0..3 {
        assert_eq!(replay.send(get()).await.unwrap().status.as_u16(), 404);
    }
    let unanswered = replay.send(Request::delete(["runs", "r1"]).unwrap()).await.unwrap_err();
    assert_eq!(unanswered.kind(), ErrorKind::Interrupted);
    let unknown = replay.send(get().query("with", "tasks")).await.unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "invalid request GET /runs/r1: it is not in the recording"
    );
}

#[tokio::test(start_paused = true)]
async fn a_file_is_private_and_a_line_that_is_no_exchange_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("exchanges.jsonl");
    let transport = Recorded::new(Script::statuses([200]), Recording::to_file(&file).unwrap());
    transport.send(get()).await.unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(
        Replay::from_file(&file)
            .unwrap()
            .send(get())
            .await
            .unwrap()
            .status
            .as_u16(),
        200
    );

    std::fs::write(&file, std::fs::read_to_string(&file).unwrap() + "\n{}\n").unwrap();
    let error = Replay::from_file(&file).unwrap_err();
    assert!(matches!(error, RecordingError::Line { line: 3, .. }), "{error}");
    assert!(matches!(
        Replay::from_file(folder.path().join("none")),
        Err(RecordingError::Io(_))
    ));
}

#[tokio::test(start_paused = true)]
async fn trouble_with_the_recording_is_no_trouble_of_the_request() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let transport = Recorded::new(Script::statuses([200]), Recording::to_writer(Full));
    for _ in 0..2 {
        assert_eq!(transport.send(get()).await.unwrap().status.as_u16(), 200);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_planted_secret_is_never_recorded_and_the_rest_comes_back(
        name in "(access_token|guest-links|link_for_guest|clientSecret|webhook|PASSWORD)",
        depth in 0_usize..4,
        in_array in any::<bool>(),
        other in "[a-z \\\\\"ä{}\\[\\]:,]{0,12}",
    ) {
        let mut value = serde_json::json!("pl4nted");
        if in_array {
            value = serde_json::json!([value]);
        }
        for level in 0..depth {
            value = serde_json::json!({ format!("level{level}"): value, "other": "pl4nted" });
        }
        let mut expected = serde_json::json!({ "data": { "note": other } });
        let mut body = expected.clone();
        body["data"][&name] = value;
        let text = body.to_string();
        let sent = text.clone();
        let (transport, memory) = recorded(Script::new([boxed(move || Ok(answer(200, sent.clone())))]));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let replayed = runtime.block_on(async {
            assert_eq!(transport.send(get()).await.unwrap().body, text);
            Replay::from_text(&memory.text()).unwrap().send(get()).await.unwrap()
        });
        prop_assert!(!memory.text().contains("pl4nted"));
        let mut replayed: serde_json::Value = serde_json::from_slice(&replayed.body).unwrap();
        replayed["data"].as_object_mut().unwrap().remove(&name);
        expected["data"].as_object_mut().unwrap().remove(&name);
        prop_assert_eq!(replayed, expected);
    }
}
