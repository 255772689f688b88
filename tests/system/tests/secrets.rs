//! Plants secrets everywhere, lets as much as possible go wrong, and searches everything that the worker writes.

use std::path::Path;
use std::time::Duration;

use system_tests::{HonestSender, Stage, Told};
use tallyfy_sim::SimConfig;
use tallyfy_sim::faults::{Fault, FaultRule};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const TOKEN: &str = "s3cret-token-7f3a";
/// As `Stage` has it.
const PATH_SECRET: &str = "3b1f0c8e5a7d49629f8e7a6b5c4d3e2f";
const SIGNING_KEY: &str = "c2VjcmV0LXNpZ25pbmcta2V5LTAxMjM0NTY3ODk=";
const HANDLER_HEADER: &str = "s3cret-header-91bc";
const HANDLER_PATH: &str = "s3cret-handler-path-5d5d";
const GUEST_LINK: &str = "https://go.tallyfy.com/guest/s3cret-link-aa01";
const REQUEST_HEADER: &str = "s3cret-request-header-0e0e";

/// What nothing may hold, the store's files included.
const PLANTED: [&str; 6] = [
    TOKEN,
    PATH_SECRET,
    SIGNING_KEY,
    HANDLER_HEADER,
    HANDLER_PATH,
    REQUEST_HEADER,
];

#[tokio::test]
async fn no_secret_is_in_anything_that_the_worker_writes() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("worker.toml");
    let http = |name: &str, address: &str| {
        format!(
            "[[handlers]]\nname = \"{name}\"\ntype = \"http\"\nurl = \"http://{address}/{HANDLER_PATH}\"\nmax_attempts = 1\n\
             signing_keys = [\"whsec_{SIGNING_KEY}\"]\nheaders = {{ Authorization = \"Bearer {HANDLER_HEADER}\" }}\n"
        )
    };
    let echo = TcpListener::bind("127.0.0.1:0").await?;
    // Nobody listens at the one, and the error knows the URL; the other one repeats what it was sent.
    let handlers = [
        http("closed", "127.0.0.1:9"),
        http("echo", &echo.local_addr()?.to_string()),
        "[[handlers]]\nname = \"stdout\"\ntype = \"stdout\"\n".to_owned(),
    ];
    std::fs::write(&file, handlers.concat())?;
    tokio::spawn(refuse_and_repeat(echo));
    let sim = SimConfig {
        token: TOKEN.to_owned(),
        ..SimConfig::default()
    };
    let environment = [
        ("RUNS_WORKER__REFRESH__WINDOW", "0s"),
        ("RUNS_WORKER__LOG__FILTER", "trace"),
        ("RUNS_WORKER_CONFIG", file.to_str().unwrap_or_default()),
    ];
    let mut stage = Stage::set(sim, &environment).await?;
    let written = provoke(&stage).await?;

    let exit = stage.worker.terminate().await?;
    let log = exit.stderr.join("\n");
    let events = exit.stdout.join("\n");
    assert!(
        events.contains("[redacted]"),
        "the guest link was taken out of: {events}"
    );
    for (place, text) in written
        .iter()
        .chain([&("log".to_owned(), log), &("events".to_owned(), events)])
    {
        for planted in PLANTED.iter().chain([&GUEST_LINK, &"s3cret-link"]) {
            assert!(
                !text.contains(planted),
                "{planted} is in {place}: {}",
                around(text, planted)
            );
        }
    }
    let mut links = 0;
    for (file, bytes) in files(&stage.folder().join("data"))? {
        let text = String::from_utf8_lossy(&bytes);
        for planted in PLANTED {
            assert!(!text.contains(planted), "{planted} is in {file}");
        }
        links += usize::from(text.contains("s3cret-link"));
    }
    // The one exception: webhooks are kept as they came, so that a person can read those that nobody else could.
    assert!(links > 0, "docs/security.md says that guest links are in the store");
    Ok(())
}

#[tokio::test]
async fn a_stranger_leaves_no_line_in_the_log() -> anyhow::Result<()> {
    let mut stage = Stage::set(SimConfig::default(), &[]).await?;
    let url = stage.webhook_url().replace(PATH_SECRET, "guess");
    let stranger = HonestSender::new(&url, stage.sim.org())?;
    for number in 0..20 {
        assert_eq!(
            stranger.send(number, Duration::from_secs(30)).await.0,
            Told::Answered(404)
        );
    }
    let log = stage.worker.terminate().await?.stderr;
    let lines: Vec<&String> = log
        .iter()
        .filter(|line| line.contains("webhook") || line.contains("refused"))
        .collect();
    assert!(lines.is_empty(), "{lines:?}");
    Ok(())
}

/// Answers each request with 400 and its own headers.
async fn refuse_and_repeat(listener: TcpListener) -> anyhow::Result<()> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        let mut request = vec![0; 100_000];
        let read = stream.read(&mut request).await?;
        let text = String::from_utf8_lossy(&request[..read]).into_owned();
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        let answer = format!(
            "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{head}",
            head.len()
        );
        stream.write_all(answer.as_bytes()).await?;
        // The rest, so that the answer is not lost in a reset.
        let _: Result<usize, _> = stream.read_to_end(&mut request).await;
    }
}

/// Lets things go well and wrong, and gives what was answered and printed.
async fn provoke(stage: &Stage) -> anyhow::Result<Vec<(String, String)>> {
    // So the API shows the URL, and in it the secret, with every run.
    stage.connect_templates()?;
    stage.sim.faults().add(FaultRule::once(Fault::UNAVAILABLE));
    let run = stage.sim.launch("Onboarding of Globex")?;
    stage.sim.settle().await;
    let sender = HonestSender::new(&stage.webhook_url(), stage.sim.org())?;
    assert_eq!(sender.send(1, Duration::from_secs(30)).await.0, Told::Answered(202));

    let mut written = Vec::new();
    let links = format!(r#""guest-links":{{"a@example.com":{{"link_for_guest":"{GUEST_LINK}"}}}}"#);
    let good = format!(r#"{{"this_task":{{"id":"t1"}},"process":{{"id":"{run}"}},{links}}}"#);
    let bad = format!(r#"{{"this_task":{{{links}}},"broken": "#);
    let org = stage.sim.org();
    for (what, secret, org, body) in [
        ("a webhook", PATH_SECRET, org, good.as_str()),
        ("a webhook that cannot be read", PATH_SECRET, org, bad.as_str()),
        ("another organization's", PATH_SECRET, "globex", good.as_str()),
        (
            "nearly the secret",
            "3b1f0c8e5a7d49629f8e7a6b5c4d3e2",
            org,
            good.as_str(),
        ),
        (
            "more than the secret",
            "3b1f0c8e5a7d49629f8e7a6b5c4d3e2f/x",
            org,
            good.as_str(),
        ),
        ("nothing", PATH_SECRET, org, ""),
    ] {
        let request = format!(
            "POST /webhooks/{secret} HTTP/1.1\r\nhost: t\r\nx-tallyfy-orgid: {org}\r\nauthorization: {REQUEST_HEADER}\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        written.push((
            what.to_owned(),
            exchange(stage.worker.receive_address(), &request).await?,
        ));
    }
    let tells = |events: &[system_tests::ReceivedEvent]| events.iter().any(|event| event.line.contains("[redacted]"));
    stage.worker.wait_for_events(tells).await?;

    stage
        .worker
        .wait_for_log(|line| line.contains("answered 400: POST ") && line.matches("[redacted]").count() >= 2)
        .await?;

    // From now on the token is refused.
    stage.sim.revoke_tokens();
    assert_eq!(sender.send(2, Duration::from_secs(30)).await.0, Told::Answered(202));
    for path in ["/metrics", "/health/ready", "/health/live"] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
        written.push((path.to_owned(), exchange(stage.worker.admin_address(), &request).await?));
    }
    for line in [
        "check",
        "get no-such-run",
        "events list --json",
        "notifications list --json",
        "notifications list --unrecognized",
        "notifications retry",
        "dead-letters list",
        "handlers list",
        "serve",
    ] {
        let output = stage.settings().run(&line.split(' ').collect::<Vec<_>>()).await?;
        written.push((line.to_owned(), output));
    }
    let listed = stage.settings().run(&["notifications", "list", "--json"]).await?;
    let ids = listed.lines().filter_map(|line| {
        let notification: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(notification["id"].as_str()?.to_owned())
    });
    for id in ids {
        let output = stage.settings().run(&["notifications", "show", &id]).await?;
        written.push((format!("notifications show {id}"), output));
    }
    Ok(written)
}

async fn exchange(address: std::net::SocketAddr, request: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // What was read before a reset is the answer.
    let _: Result<usize, _> = stream.read_to_end(&mut answer).await;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn files(folder: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else {
            files.push((path.display().to_string(), std::fs::read(&path)?));
        }
    }
    Ok(files)
}

fn around(text: &str, planted: &str) -> String {
    text.lines()
        .find(|line| line.contains(planted))
        .unwrap_or_default()
        .to_owned()
}
