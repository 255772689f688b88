//! What strangers can send: each of it is bounded, and none of it keeps honest senders out.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use runs_store::SqliteStore;
use runs_worker::Worker;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::odd_store::OddStore;
use crate::world::{Api, ORG, Relay, SECRET, builder, exchange, get, parts, post, run, task_completed, webhook};

const HEADER: (&str, &str) = ("X-Tallyfy-orgID", ORG);
const SHORT: Duration = Duration::from_millis(200);
/// Longer than any limit here, shorter than any default.
const LONG: Duration = Duration::from_secs(5);

/// A worker with short limits, and further settings.
async fn start(folder: &tempfile::TempDir, environment: &[(&str, &str)]) -> Worker {
    let mut settings = vec![
        ("RUNS_WORKER__RECEIVE__HEADER_TIMEOUT", "200ms"),
        ("RUNS_WORKER__RECEIVE__BODY_TIMEOUT", "200ms"),
        ("RUNS_WORKER__RECEIVE__WRITE_TIMEOUT", "200ms"),
        ("RUNS_WORKER__RECEIVE__MAX_BODY_BYTES", "2000000"),
    ];
    settings.extend_from_slice(environment);
    builder(folder, &settings)
        .transport(Api::new(|_, _| (503, String::new())))
        .start()
        .await
        .unwrap()
}

async fn is_well(worker: &Worker, task: &str) {
    let answer = webhook(worker, &task_completed("r1", task, "2026-01-31T09:00:00Z")).await;
    assert_eq!(answer.0, 202, "{answer:?}");
}

/// Everything until the other side closes, and how long that took.
async fn until_closed(mut stream: TcpStream) -> (String, Duration) {
    let began = Instant::now();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(LONG, stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "it stays open");
    (String::from_utf8_lossy(&answer).into_owned(), began.elapsed())
}

async fn connect(address: SocketAddr, first: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(first).await.unwrap();
    stream
}

fn head(more: &str) -> String {
    format!("POST /webhooks/{SECRET} HTTP/1.1\r\nhost: t\r\nX-Tallyfy-orgID: {ORG}\r\n{more}\r\n")
}

/// Sends a byte now and then until the other side has had enough; says what it answered.
async fn drip(address: SocketAddr, first: &str) -> String {
    let stream = connect(address, first.as_bytes()).await;
    let (mut read, mut write) = stream.into_split();
    let dripping = tokio::spawn(async move {
        while write.write_all(b"x").await.is_ok() {
            tokio::time::sleep(SHORT / 8).await;
        }
    });
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(LONG, read.read_to_end(&mut answer)).await;
    assert!(closed.is_ok(), "it goes on for ever");
    dripping.abort();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn whoever_is_silent_or_slow_is_closed_after_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let worker = start(&folder, &[]).await;
    let address = worker.receive_address();

    for (what, first) in [
        ("nothing at all", String::new()),
        ("half a request line", "POST /webh".to_owned()),
        ("half a header", head("").trim_end().to_owned()),
    ] {
        let (answer, took) = until_closed(connect(address, first.as_bytes()).await).await;
        assert!(took >= SHORT / 2, "{what}: after {took:?}");
        assert_eq!(answer, "", "{what}");
    }
    let (answer, _) = until_closed(connect(address, b"GET / HTTP/1.1\r\nhost: t\r\n\r\n").await).await;
    assert!(answer.starts_with("HTTP/1.1 404"), "then it is idle: {answer}");

    assert_eq!(
        drip(address, "POST / HTTP/1.1\r\nx-").await,
        "",
        "a header, byte by byte"
    );
    let body = drip(address, &head("content-length: 1000000\r\n")).await;
    assert!(body.starts_with("HTTP/1.1 408"), "a body, byte by byte: {body}");
    is_well(&worker, "t1").await;
    worker.stop().await;
}

#[tokio::test]
async fn a_peer_that_never_reads_its_answers_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let worker = start(&folder, &[]).await;
    let mut stream = connect(worker.receive_address(), b"").await;
    let requests = "GET / HTTP/1.1\r\nhost: t\r\n\r\n".repeat(100);
    let flood = async {
        // Both directions fill up; then the worker cannot write, and in the end closes.
        while stream.write_all(requests.as_bytes()).await.is_ok() {}
    };
    assert!(tokio::time::timeout(LONG, flood).await.is_ok(), "it is kept for ever");
    is_well(&worker, "t1").await;
    worker.stop().await;
}

#[tokio::test]
async fn one_connection_gets_no_more_than_a_thousand_answers() {
    let folder = tempfile::tempdir().unwrap();
    let worker = start(&folder, &[]).await;
    let mut stream = connect(worker.receive_address(), b"").await;
    let mut answers = Vec::new();
    loop {
        let mut answer = [0; 1000];
        stream.write_all(b"GET / HTTP/1.1\r\nhost: t\r\n\r\n").await.unwrap();
        let read = stream.read(&mut answer).await.unwrap();
        answers.push(String::from_utf8_lossy(&answer[..read]).into_owned());
        if answers.last().unwrap().contains("connection: close") {
            break;
        }
    }
    assert_eq!(answers.len(), 1000);
    assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 404")));
    assert_eq!(until_closed(stream).await.0, "");
    worker.stop().await;
}

#[tokio::test]
async fn forms_that_proxies_and_servers_read_differently_are_refused_or_end_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let worker = start(&folder, &[]).await;
    let address = worker.receive_address();
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: t\r\n\r\n";

    let refused = [
        ("two lengths", head("content-length: 5\r\ncontent-length: 6\r\n")),
        ("two lengths in one line", head("content-length: 5, 6\r\n")),
        ("a negative length", head("content-length: -1\r\n")),
        ("a length with a sign", head("content-length: +5\r\n")),
        (
            "a length that is too large for anybody",
            head("content-length: 99999999999999999999\r\n"),
        ),
        ("an encoding that is not chunked", head("transfer-encoding: gzip\r\n")),
        (
            "chunked, but not at the end",
            head("transfer-encoding: chunked, gzip\r\n"),
        ),
        ("chunked by another name", head("transfer-encoding: xchunked\r\n")),
        ("a folded header", head("x-a: b\r\n c: d\r\n")),
        ("a space before the colon", head("content-length : 5\r\n")),
        ("a header without a name", head(": 5\r\n")),
        ("a null byte", head("x-a: \0\r\n")),
        (
            "chunks for HTTP/1.0",
            head("transfer-encoding: chunked\r\n").replace("1.1", "1.0"),
        ),
        ("a version that is none", head("").replace("HTTP/1.1", "HTTP/1.2")),
        (
            "spaces in the request line",
            head("").replace(" HTTP/1.1", "  HTTP/1.1"),
        ),
        ("an HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
        (
            "an encoding before chunked",
            head("transfer-encoding: gzip, chunked\r\n"),
        ),
        (
            "an encoding in a line before chunked",
            head("transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n"),
        ),
        ("chunked twice", head("transfer-encoding: chunked, chunked\r\n")),
        ("no host", head("").replace("host: t\r\n", "")),
        ("two hosts", head("host: t\r\n")),
        ("two different hosts", head("host: elsewhere\r\n")),
        ("129 headers", head(&"x-a: b\r\n".repeat(129))),
        ("a header of 50 KB", head(&format!("x-a: {}\r\n", "b".repeat(50_000)))),
    ];
    for (what, request) in refused {
        let answer = exchange(address, format!("{request}12345{smuggled}").as_bytes()).await;
        let statuses = answer.matches("HTTP/1.1 ").count();
        assert!(
            statuses <= 1 && !answer.contains("HTTP/1.1 2") && !answer.contains("HTTP/1.1 404"),
            "{what}: {answer}"
        );
    }

    for chunks in [
        "z\r\n12345\r\n0\r\n\r\n",
        "5\r\n1234567\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\n1",
        "5;a\n12345\r\n0\r\n\r\n",
    ] {
        let request = format!("{}{chunks}{smuggled}", head("transfer-encoding: chunked\r\n"));
        let answer = exchange(address, request.as_bytes()).await;
        assert!(
            !answer.contains("HTTP/1.1 2") && !answer.contains("404"),
            "{chunks}: {answer}"
        );
    }

    // The rule is that chunks count; what follows must not be taken for a request.
    for both in [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
    ] {
        let request = format!("{}5\r\n12345\r\n0\r\n\r\n{smuggled}", head(both));
        let answer = exchange(address, request.as_bytes()).await;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{both}: {answer}");
        assert!(answer.starts_with("HTTP/1.1 202"), "{both}: {answer}");
    }
    is_well(&worker, "t1").await;
    worker.stop().await;
}

#[tokio::test]
async fn odd_but_lawful_requests_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let worker = start(&folder, &[]).await;
    let address = worker.receive_address();
    let body = |task: &str| format!(r#"{{"this_task":{{"id":"{task}"}},"process":{{"id":"r1"}}}}"#);
    let sized = |task: &str, close: &str| {
        let body = body(task);
        format!("{}{body}", head(&format!("{close}content-length: {}\r\n", body.len())))
    };
    let close = "connection: close\r\n";

    let absolute = sized("t1", close).replace("POST /", "POST http://elsewhere.example/");
    assert_eq!(parts(&exchange(address, absolute.as_bytes()).await).0, 202);
    let twice = sized("t2", &format!("{close}content-length: {}\r\n", body("t2").len()));
    assert_eq!(
        parts(&exchange(address, twice.as_bytes()).await).0,
        202,
        "the same length twice"
    );
    let bare = sized("t8", close).replace("\r\n", "\n");
    assert_eq!(
        parts(&exchange(address, bare.as_bytes()).await).0,
        202,
        "lines that end without a carriage return, as the standard allows"
    );
    let old = sized("t9", "").replace("HTTP/1.1\r\nhost: t", "HTTP/1.0");
    assert!(
        exchange(address, old.as_bytes()).await.contains(" 202 "),
        "HTTP/1.0 needs no host"
    );
    let dressed = "x-forwarded-by: a-proxy-on-the-way\r\n".repeat(95) + "cookie: " + &"c".repeat(28_000) + "\r\n";
    let dressed = sized("t10", &format!("{close}{dressed}"));
    assert_eq!(
        parts(&exchange(address, dressed.as_bytes()).await).0,
        202,
        "100 headers, 32 KB"
    );
    let chunked = format!(
        "{}5;name=value\r\n{{\"thi\r\n1d\r\ns_task\":{{\"id\":\"t3\"}},\"process\"\r\nd\r\n:{{\"id\":\"r1\"}}}}\r\n0\r\nx-trailer: 1\r\n\r\n",
        head("connection: close\r\ntransfer-encoding: chunked\r\n")
    );
    let answer = exchange(address, chunked.as_bytes()).await;
    assert_eq!(parts(&answer).0, 202, "{answer}");
    let pipelined = [sized("t4", ""), sized("t5", ""), sized("t6", close)].concat();
    let answers = exchange(address, pipelined.as_bytes()).await;
    assert_eq!(
        answers.matches("HTTP/1.1 202").count(),
        3,
        "each in its turn: {answers}"
    );

    let expecting = head(&format!(
        "{close}expect: 100-continue\r\ncontent-length: {}\r\n",
        body("t7").len()
    ));
    let answer = exchange(address, format!("{expecting}{}", body("t7")).as_bytes()).await;
    assert!(
        answer.starts_with("HTTP/1.1 100") && answer.contains("HTTP/1.1 202"),
        "{answer}"
    );
    let stranger = exchange(address, expecting.replace(SECRET, "guess").as_bytes()).await;
    assert!(
        stranger.starts_with("HTTP/1.1 404"),
        "a stranger is not asked to go on: {stranger}"
    );
    worker.stop().await;
}

#[tokio::test]
async fn an_authenticated_body_is_kept_whatever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let worker = start(&folder, &[]).await;
    let address = worker.receive_address();
    let path = format!("/webhooks/{SECRET}");
    let gzip = ("content-encoding", "gzip");
    let deep = |depth: usize| "[".repeat(depth).into_bytes();
    // The beginning of a gzip file; what it would unpack to is nobody's business here.
    let packed = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0; 10_000]].concat();
    for (what, headers, body) in [
        ("nested a million deep", &[HEADER][..], deep(1_000_000)),
        (
            "nested and closed",
            &[HEADER],
            [deep(900_000), "]".repeat(900_000).into_bytes()].concat(),
        ),
        ("packed", &[HEADER, gzip], packed),
        ("no UTF-8", &[HEADER], b"{\"process\":{\"id\":\"\xff\xfe\"}}".to_vec()),
        (
            "half a surrogate",
            &[HEADER],
            br#"{"process":{"id":"\ud800"}}"#.to_vec(),
        ),
        ("a number without end", &[HEADER], "9".repeat(1_000_000).into_bytes()),
    ] {
        let (status, answer) = post(address, &path, headers, &body).await;
        assert_eq!(status, 202, "{what}: {answer}");
        assert!(answer.contains("unrecognized"), "{what}: {answer}");
    }
    is_well(&worker, "t1").await;
    worker.stop().await;
}

#[tokio::test]
async fn a_run_whose_notification_is_nested_deeply_is_delivered_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (relay, mut events) = Relay::unchecked();
    let api = Api::new(|_, _| (200, run("r1", r#""status":"active""#)));
    let worker = builder(&folder, &[])
        .transport(api)
        .handler("relay", relay)
        .start()
        .await
        .unwrap();
    for depth in [100, 1000, 100_000] {
        let body = format!(
            r#"{{"this_task":{{"id":"t{depth}"}},"process":{{"id":"r1"}},"x":{}{}}}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        );
        let answer = webhook(&worker, &body).await;
        assert_eq!(answer.0, 202, "{answer:?}");
        let event = tokio::time::timeout(Duration::from_secs(30), events.recv())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(event.run_id().as_str(), "r1");
    }
    worker.stop().await;
}

#[tokio::test]
async fn strangers_cost_no_body_and_no_log_line_and_keep_their_connection() {
    let folder = tempfile::tempdir().unwrap();
    let worker = start(&folder, &[]).await;
    let address = worker.receive_address();
    // Its body never comes: an answer shows that nobody waits for it.
    let announced = head("content-length: 1000000\r\n").replace(SECRET, "guess");
    let (answer, _) = until_closed(connect(address, announced.as_bytes()).await).await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    // A small one is there already. To close for it would cost both sides more than to go on.
    let small = head("content-length: 2\r\n").replace(SECRET, "guess") + "{}";
    let answers = exchange(address, small.repeat(3).as_bytes()).await;
    assert_eq!(answers.matches("HTTP/1.1 404").count(), 3, "{answers}");
    worker.stop().await;
}

#[tokio::test]
async fn strangers_who_send_many_requests_at_once_are_cut_short() {
    let folder = tempfile::tempdir().unwrap();
    let worker = start(&folder, &[]).await;
    let address = worker.receive_address();
    let flood = "GET / HTTP/1.1\r\nhost: t\r\n\r\n".repeat(200);
    let answers = exchange(address, flood.as_bytes()).await;
    let count = answers.matches("HTTP/1.1 404").count();
    assert!((1..=20).contains(&count), "{count} of 200 were answered");
    assert!(answers.contains("connection: close"), "{answers}");

    // Who knows a secret may.
    let body = |number: u32| task_completed("r1", &format!("t{number}"), "2026-01-31T09:00:00Z");
    let sized =
        |more: &str, body: &str| format!("{}{body}", head(&format!("{more}content-length: {}\r\n", body.len())));
    let mut many: String = (0..50).map(|number| sized("", &body(number))).collect();
    many += &sized("connection: close\r\n", &body(50));
    let answers = exchange(address, many.as_bytes()).await;
    assert_eq!(answers.matches("HTTP/1.1 202").count(), 51);
    worker.stop().await;
}

#[tokio::test]
async fn the_address_is_taken_with_slashes_as_people_and_proxies_write_them() {
    let folder = tempfile::tempdir().unwrap();
    let worker = start(&folder, &[]).await;
    let address = worker.receive_address();
    for (number, path) in [
        format!("/webhooks/{SECRET}/"),
        format!("//webhooks/{SECRET}"),
        format!("/webhooks//{SECRET}"),
        format!("//webhooks//{SECRET}//"),
    ]
    .iter()
    .enumerate()
    {
        let body = task_completed("r1", &format!("t{number}"), "2026-01-31T09:00:00Z");
        let (status, answer) = post(address, path, &[HEADER], body.as_bytes()).await;
        assert_eq!(status, 202, "{path}: {answer}");
    }
    for path in [
        format!("/{SECRET}"),
        format!("/webhooks/{SECRET}/x"),
        format!("/x/webhooks/{SECRET}"),
    ] {
        assert_eq!(post(address, &path, &[HEADER], b"{}").await.0, 404, "{path}");
    }
    worker.stop().await;
}

#[tokio::test]
async fn bodies_that_trickle_make_room_when_they_hold_every_place() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        ("RUNS_WORKER__RECEIVE__BODY_TIMEOUT", "1h"),
        ("RUNS_WORKER__RECEIVE__MAX_CONNECTIONS", "8"),
    ];
    let worker = start(&folder, &settings).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let trickle = format!("{}x", head("content-length: 1000\r\n"));
        held.push(connect(worker.receive_address(), trickle.as_bytes()).await);
    }
    let honest = tokio::time::timeout(LONG / 2, is_well(&worker, "t1")).await;
    assert!(honest.is_ok(), "it waits for those who hold the places");
    let held = held.into_iter().map(|held| Box::pin(until_closed(held)));
    let ((answer, _), _, still_held) = futures_util::future::select_all(held).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "one made room: {answer}");
    drop(still_held);
    worker.stop().await;
}

#[tokio::test]
async fn half_open_connections_make_room_for_honest_ones() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing ends by itself while the test runs.
    let settings = [
        ("RUNS_WORKER__RECEIVE__HEADER_TIMEOUT", "1h"),
        ("RUNS_WORKER__RECEIVE__MAX_CONNECTIONS", "20"),
    ];
    let worker = start(&folder, &settings).await;
    let address = worker.receive_address();
    // One that has sent a webhook before, and goes on to use its connection.
    let mut known = connect(address, b"").await;
    let mut say = async |task: &str| {
        let body = task_completed("r1", task, "2026-01-31T09:00:00Z");
        let request = format!("{}{body}", head(&format!("content-length: {}\r\n", body.len())));
        known.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 1000];
        let read = known.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..read]).into_owned()
    };
    assert!(say("known1").await.starts_with("HTTP/1.1 202"));

    let mut held = Vec::new();
    for _ in 0..200 {
        held.push(connect(address, b"POST /webhooks/guess HTTP/1.1\r\nx-").await);
    }
    for number in 0..10 {
        is_well(&worker, &format!("t{number}")).await;
    }
    assert!(say("known2").await.starts_with("HTTP/1.1 202"), "strangers go first");
    let (_, took) = until_closed(held.remove(0)).await;
    assert!(took < LONG, "the first to come was the first to go");
    worker.stop().await;
}

#[tokio::test]
async fn slow_bodies_make_room_for_quick_ones() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        ("RUNS_WORKER__RECEIVE__BODY_TIMEOUT", "1h"),
        ("RUNS_WORKER__RECEIVE__MAX_BODY_BYTES", "10000"),
        ("RUNS_WORKER__RECEIVE__MAX_BYTES_IN_HAND", "20000"),
    ];
    let worker = start(&folder, &settings).await;
    let slow = format!("{}{}", head("content-length: 10000\r\n"), "x".repeat(9000));
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(connect(worker.receive_address(), slow.as_bytes()).await);
    }
    let body = format!(
        r#"{{"this_task":{{"id":"t1"}},"process":{{"id":"r1"}},"x":"{}"}}"#,
        "y".repeat(9000)
    );
    assert_eq!(webhook(&worker, &body).await.0, 202);
    let (answer, _) = until_closed(held.remove(0)).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    drop(held);
    worker.stop().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_half_open_connections() {
    let folder = tempfile::tempdir().unwrap();
    let worker = start(&folder, &[("RUNS_WORKER__RECEIVE__HEADER_TIMEOUT", "1h")]).await;
    let mut held = Vec::new();
    for first in ["", "POST /webh", "GET / HTTP/1.1\r\nhost: t\r\n\r\n"] {
        held.push(connect(worker.receive_address(), first.as_bytes()).await);
    }
    is_well(&worker, "t1").await;
    let began = Instant::now();
    worker.stop().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test]
async fn metrics_are_not_for_strangers() {
    let folder = tempfile::tempdir().unwrap();
    let worker = start(&folder, &[]).await;
    for path in ["/metrics", "/health/live", "/health/ready", "/webhooks/../metrics"] {
        assert_eq!(get(worker.receive_address(), path).await.0, 404, "{path}");
    }
    let mut line = Vec::new();
    write!(
        line,
        "GET /webhooks/%2e%2e/metrics HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    assert_eq!(parts(&exchange(worker.receive_address(), &line).await).0, 404);
    worker.stop().await;
}

/// A worker whose store stumbles over some webhooks.
async fn start_with_odd_store(folder: &tempfile::TempDir, environment: &[(&str, &str)]) -> Worker {
    let store = SqliteStore::open(
        folder.path().join("store.db"),
        runs_store::SchedulingTime::by_wall_clock(),
    )
    .unwrap();
    let api = Api::new(|_, _| (503, String::new()));
    let builder = builder(folder, environment).transport(api);
    builder
        .store(OddStore::new(Arc::new(store), &[]))
        .start()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_panic_costs_one_request_and_nobody_elses_connection() {
    let folder = tempfile::tempdir().unwrap();
    let worker = start_with_odd_store(&folder, &[]).await;
    let request = |run: &str| {
        let body = task_completed(run, "t1", "2026-01-31T09:00:00Z");
        format!("{}{body}", head(&format!("content-length: {}\r\n", body.len())))
    };
    let last = request("r1").replace("host: t", "host: t\r\nconnection: close");
    let answers = exchange(worker.receive_address(), (request("panic") + &last).as_bytes()).await;
    let statuses: Vec<&str> = answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["503", "202"], "{answers}");
    assert!(!answers.contains("s3cret"), "{answers}");
    worker.stop().await;
}

#[tokio::test]
async fn more_than_the_store_can_take_gets_a_503_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let worker = start_with_odd_store(&folder, &[("RUNS_WORKER__RECEIVE__MAX_WAITING", "2")]).await;
    is_well(&worker, "t1").await;
    let body = task_completed("wait", "t1", "2026-01-31T09:00:00Z");
    let stuck = format!("{}{body}", head(&format!("content-length: {}\r\n", body.len())));
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(connect(worker.receive_address(), stuck.as_bytes()).await);
    }
    let refused = async {
        // Until both have got there.
        loop {
            let answer = webhook(&worker, &task_completed("r1", "t2", "2026-01-31T09:00:00Z")).await;
            if answer.0 == 503 {
                break answer.1;
            }
        }
    };
    let answer = tokio::time::timeout(LONG, refused).await.unwrap();
    assert_eq!(answer, r#"{"error":"too many webhooks at a time"}"#);
    drop(held);
    let taken = async {
        while webhook(&worker, &task_completed("r1", "t3", "2026-01-31T09:00:00Z"))
            .await
            .0
            == 503
        {}
    };
    assert!(
        tokio::time::timeout(LONG, taken).await.is_ok(),
        "then there is room again"
    );
    worker.stop().await;
}
