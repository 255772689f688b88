//! Servers on this machine for the transport to talk to.

use std::future::Future;

use axum::Router;
use tallyfy_transport::{BaseUrl, ReqwestTransport, ReqwestTransportBuilder};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Serves the router for as long as the test runs. The base URL has the prefix `/api`.
pub(crate) async fn serve(router: Router) -> ReqwestTransportBuilder {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = base("http", &listener, "/api");
    tokio::spawn(async { axum::serve(listener, router).await });
    ReqwestTransport::builder(base)
}

/// Hands each connection to a function, which may do with it what no HTTP server would.
pub(crate) async fn raw<F, Fut>(scheme: &str, handle: F) -> ReqwestTransportBuilder
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = base(scheme, &listener, "");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            handle(stream).await;
        }
    });
    ReqwestTransport::builder(base)
}

/// Reads the head of a request and writes these bytes.
pub(crate) async fn answer(stream: &mut TcpStream, bytes: &[u8]) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    stream.write_all(bytes).await.unwrap();
}

/// Reads the head of a request, writes these bytes and closes the connection.
pub(crate) async fn answer_and_close(mut stream: TcpStream, bytes: &[u8]) {
    answer(&mut stream, bytes).await;
    stream.shutdown().await.unwrap();
}

fn base(scheme: &str, listener: &TcpListener, prefix: &str) -> BaseUrl {
    format!("{scheme}://{}{prefix}", listener.local_addr().unwrap())
        .parse()
        .unwrap()
}
