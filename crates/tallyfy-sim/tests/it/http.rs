//! A client that shows what is on the wire: one connection, one request, everything until the other side closes.

use std::net::SocketAddr;

use serde_json::Value;
use tallyfy_sim::Simulator;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Everything that was read, head included.
    pub(crate) raw: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn data(&self) -> Value {
        self.json()["data"].clone()
    }

    /// How much longer the body should have been.
    pub(crate) fn missing(&self) -> usize {
        let promised: usize = self.header("content-length").unwrap().parse().unwrap();
        promised - self.body.len()
    }
}

/// The headers that the API insists on.
pub(crate) fn good_headers(sim: &Simulator) -> Vec<(&'static str, String)> {
    vec![
        ("Authorization", format!("Bearer {}", sim.token())),
        ("Accept", "application/json".to_owned()),
        ("X-Tallyfy-Client", "APIClient".to_owned()),
    ]
}

pub(crate) async fn get(sim: &Simulator, path: &str) -> Answer {
    call(sim.address(), "GET", path, &good_headers(sim), "").await
}

/// A request to the API or the control endpoints, headers included.
pub(crate) async fn send(sim: &Simulator, method: &str, path: &str, body: &str) -> Answer {
    call(sim.address(), method, path, &good_headers(sim), body).await
}

/// A request with these headers only.
pub(crate) async fn call(to: SocketAddr, method: &str, path: &str, headers: &[(&str, String)], body: &str) -> Answer {
    let raw = exchange(to, method, path, headers, body).await;
    parse(raw)
}

/// Everything the server sends until it closes.
pub(crate) async fn exchange(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, String)],
    body: &str,
) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n");
    head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.unwrap();
    let mut raw = Vec::new();
    // A reset is as good an end as any here.
    let _ = stream.read_to_end(&mut raw).await;
    raw
}

fn parse(raw: Vec<u8>) -> Answer {
    let end = raw
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("a whole head");
    let head = String::from_utf8(raw[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(k, v)| (k.to_owned(), v.to_owned()));
    Answer {
        status,
        headers: headers.collect(),
        body: raw[end + 4..].to_vec(),
        raw,
    }
}
