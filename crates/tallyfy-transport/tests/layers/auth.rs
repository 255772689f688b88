//! Tokens, and the layer that puts them on requests.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::header::AUTHORIZATION;
use tallyfy_transport::{
    Authenticated, ErrorKind, HttpTransport, Request, StaticToken, TokenFile, TokenSource, TransportError,
};
use tempfile::TempDir;

use crate::script::Script;

async fn send_with(tokens: impl TokenSource + 'static) -> Result<Request, TransportError> {
    let script = Script::statuses([200]);
    Authenticated::new(script.clone(), Arc::new(tokens))
        .send(Request::get(["runs", "r1"])?)
        .await?;
    Ok(script.requests().remove(0))
}

fn file_with(content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, content).unwrap();
    (folder, path)
}

/// What a person is told, without the folder of this run and without the number of the system's error.
fn told(error: &TransportError, path: &Path) -> String {
    assert_eq!(error.kind(), ErrorKind::Credentials);
    let cause = error.source().unwrap();
    let root = cause.source().map(|root| format!(": {root}")).unwrap_or_default();
    format!("{error}: {cause}{root}").replace(path.parent().unwrap().to_str().unwrap(), "[folder]")
}

#[tokio::test]
async fn the_token_goes_out_as_a_sensitive_bearer_header() {
    let sent = send_with(StaticToken::new(" secret-1 \n")).await.unwrap();
    let header = &sent.headers()[AUTHORIZATION];
    assert_eq!(header, "Bearer secret-1");
    assert!(header.is_sensitive());
    assert!(!format!("{sent:?}").contains("secret-1"));
}

#[tokio::test]
async fn a_token_file_is_trimmed_and_read_again_for_every_request() {
    let (_folder, path) = file_with("\n  first \r\n");
    let script = Script::statuses([200]);
    let transport = Authenticated::new(script.clone(), Arc::new(TokenFile::new(&path)));

    transport.send(Request::get(["x"]).unwrap()).await.unwrap();
    // The same length, and likely the same time stamp and inode.
    fs::write(&path, "\n  other \r\n").unwrap();
    transport.send(Request::get(["x"]).unwrap()).await.unwrap();

    let sent: Vec<_> = script
        .requests()
        .iter()
        .map(|sent| sent.headers()[AUTHORIZATION].clone())
        .collect();
    assert_eq!(sent, ["Bearer first", "Bearer other"]);
}

#[tokio::test]
async fn the_generation_changes_with_the_token_and_only_then() {
    let (_folder, path) = file_with("first");
    let tokens = TokenFile::new(&path);
    let before = tokens.generation().await;
    tokens.token().await.unwrap();
    assert_eq!(tokens.generation().await, before, "reading changes nothing");

    fs::write(&path, "first\n").unwrap();
    assert_eq!(
        tokens.generation().await,
        before,
        "neither does the same token written again"
    );

    fs::remove_file(&path).unwrap();
    assert_eq!(tokens.generation().await, before, "nor a file that is gone");

    fs::write(&path, "second").unwrap();
    let after = tokens.generation().await;
    assert_ne!(after, before);
    assert_eq!(tokens.generation().await, after);
}

#[tokio::test]
async fn a_file_that_appears_later_is_a_new_generation() {
    let (_folder, path) = file_with("");
    let tokens = TokenFile::new(&path);
    let before = tokens.generation().await;
    fs::write(&path, "first").unwrap();
    assert_ne!(tokens.generation().await, before);
}

#[tokio::test]
async fn a_static_token_never_changes() {
    let tokens = StaticToken::new("x");
    assert_eq!(tokens.generation().await, tokens.generation().await);
}

#[tokio::test]
async fn an_unusable_token_file_is_named_and_its_content_is_not_shown() {
    let mut lines = Vec::new();
    for content in [
        &b" \n"[..],
        b"Bearer hidden",
        b"hid den",
        b"hidden\0",
        b"hid\nden",
        b"\xffhidden",
        &[b'h'; 70_000],
    ] {
        let (_folder, path) = file_with(content);
        lines.push(told(&send_with(TokenFile::new(&path)).await.unwrap_err(), &path));
    }
    let (folder, path) = file_with("");
    fs::remove_file(&path).unwrap();
    lines.push(told(&send_with(TokenFile::new(&path)).await.unwrap_err(), &path));
    lines.push(told(
        &send_with(TokenFile::new(folder.path())).await.unwrap_err(),
        &path,
    ));
    let text = lines.join("\n");
    assert!(!text.contains("hidden"));
    insta::assert_snapshot!("unusable_token_files", text);
}

#[tokio::test]
async fn an_unusable_static_token_is_refused_without_being_shown() {
    let mut lines = Vec::new();
    for token in ["", "hid den", "hidden\u{e9}", "hid\r\nden: x"] {
        let error = send_with(StaticToken::new(token)).await.unwrap_err();
        lines.push(told(&error, Path::new("/unused/file")));
    }
    insta::assert_snapshot!("unusable_static_tokens", lines.join("\n"));
}

#[tokio::test]
async fn debug_shows_no_token() {
    let (_folder, path) = file_with("hidden");
    let file = TokenFile::new(&path);
    file.token().await.unwrap();
    let tokens = StaticToken::new("hidden");
    let layer = Authenticated::new(Script::statuses([200]), Arc::new(tokens.clone()));
    assert!(!format!("{file:?} {tokens:?} {layer:?}").contains("hidden"));
}
