//! What production does to a worker: bodies and headers as relays change them, probes, signals, copies.

use std::io::Write as _;
use std::path::Path;

use anyhow::ensure;
use nix::sys::signal::Signal;
use serde_json::Value;
use system_tests::{Stage, WorkerProcess};
use tallyfy_sim::SimConfig;
use tallyfy_sim::faults::{Fault, FaultRule, RetryAfter};

fn gzip(text: &str) -> anyhow::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes())?;
    Ok(encoder.finish()?)
}

fn completed(run: &str) -> String {
    format!(r#"{{"this_task":{{"id":"t1","completed_at":"2026-01-31T09:00:00Z"}},"process":{{"id":"{run}"}}}}"#)
}

#[tokio::test]
async fn the_organization_is_taken_as_proxies_pass_it_on_and_a_refusal_is_a_loss() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[("RUNS_WORKER__RECONCILE__INTERVAL", "1h")]).await?;
    let org = stage.sim.org();
    let (joined, capitals) = (format!("{org}, {org}"), org.to_uppercase());
    for (headers, status) in [
        (vec![("x-tallyfy-orgid", joined.as_str())], "202"),
        (vec![("x-tallyfy-orgid", org), ("X-Tallyfy-orgID", org)], "202"),
        (vec![("x-tallyfy-orgid", &capitals)], "202"),
        (vec![("x-tallyfy-orgid", org), ("x-tallyfy-orgid", "")], "202"),
        (vec![], "202"),
        (vec![("x-tallyfy-orgid", "")], "202"),
        (vec![("x-tallyfy-orgid", "another")], "403"),
        (vec![("x-tallyfy-orgid", org), ("x-tallyfy-orgid", "another")], "403"),
        (vec![("x-tallyfy-orgid", "undefined")], "403"),
    ] {
        let answer = stage.post(&headers, completed("r1").as_bytes()).await?;
        ensure!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{headers:?}: {answer}"
        );
    }
    let metrics = stage.get("/metrics").await?;
    assert!(
        metrics.contains("runs_worker_webhooks_without_organization_total 2"),
        "{metrics}"
    );
    let begun = |log: &[String]| log.iter().filter(|line| line.contains("sweep finished")).count() >= 2;
    stage.worker.wait_for_log_lines(begun).await
}

#[tokio::test]
async fn a_compressed_body_is_opened_and_one_that_grows_too_large_is_kept() -> anyhow::Result<()> {
    let stage = Stage::set(
        SimConfig::default(),
        &[("RUNS_WORKER__RECEIVE__MAX_BODY_BYTES", "100000")],
    )
    .await?;
    let run = stage.sim.launch("Order")?;
    let headers = [("x-tallyfy-orgid", stage.sim.org()), ("content-encoding", "gzip")];
    let answer = stage.post(&headers, &gzip(&completed(&run))?).await?;
    assert!(answer.contains(r#""status":"stored""#), "{answer}");
    let large = format!("{}{}", " ".repeat(200_000), completed(&run));
    let answer = stage.post(&headers, &gzip(&large)?).await?;
    assert!(answer.contains(r#""status":"unrecognized""#), "{answer}");
    stage
        .worker
        .wait_for_events(|events| events.iter().any(|event| event.run() == run))
        .await?;
    // A later version, or a higher limit, reads it.
    let told = stage.command(&["notifications", "retry"]).await?;
    assert!(told.stdout.concat().contains("1 can be read now"), "{told:?}");
    Ok(())
}

/// Made by `brotli` of a task's completion.
const BROTLI: &[u8] = &[
    27, 46, 0, 248, 157, 7, 118, 44, 103, 26, 238, 112, 88, 218, 27, 89, 138, 124, 237, 101, 154, 28, 93, 177, 244,
    165, 78, 12, 25, 76, 228, 56, 96, 106, 11, 15, 234, 239, 18, 120, 96, 3, 22, 91, 117, 31, 51, 78, 20, 42,
];

#[tokio::test]
async fn what_stays_unread_keeps_what_its_headers_say_of_it() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[]).await?;
    let org = ("x-tallyfy-orgid", stage.sim.org());
    for (headers, body, told) in [
        (vec![("content-encoding", "br")], BROTLI, "content-encoding: br"),
        (
            vec![("content-encoding", "zstd")],
            b"\x28\xb5\x2f\xfd\x00",
            "content-encoding: zstd",
        ),
        (
            vec![("content-type", "application/xml")],
            b"<id>r1</id>",
            "content-type: application/xml",
        ),
    ] {
        let answer = stage.post(&[&[org], &headers[..]].concat(), body).await?;
        ensure!(answer.contains(r#""status":"unrecognized""#), "{answer}");
        let listed = stage
            .command(&["notifications", "list", "--unrecognized"])
            .await?
            .stdout;
        ensure!(listed.iter().any(|line| line.contains(told)), "{told}: {listed:?}");
    }
    // What does not say how it is compressed is opened by what the header says, then and later.
    let run = stage.sim.launch("Order")?;
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(completed(&run).as_bytes())?;
    let bare = encoder.finish()?;
    let answer = stage.post(&[org, ("content-encoding", "deflate")], &bare).await?;
    ensure!(answer.contains(r#""status":"stored""#), "{answer}");
    Ok(())
}

#[tokio::test]
async fn what_was_too_large_and_says_how_it_is_compressed_is_read_later() -> anyhow::Result<()> {
    let limit = [("RUNS_WORKER__RECEIVE__MAX_BODY_BYTES", "100000")];
    let stage = Stage::set(SimConfig::default(), &limit).await?;
    let run = stage.sim.launch("Order")?;
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(format!("{}{}", " ".repeat(200_000), completed(&run)).as_bytes())?;
    let headers = [("x-tallyfy-orgid", stage.sim.org()), ("content-encoding", "deflate")];
    let answer = stage.post(&headers, &encoder.finish()?).await?;
    ensure!(answer.contains(r#""status":"unrecognized""#), "{answer}");
    let imported = async {
        while stage
            .command(&["notifications", "list"])
            .await?
            .stdout
            .concat()
            .contains("intake log")
        {}
        anyhow::Ok(())
    };
    imported.await?;
    let told = stage.command(&["notifications", "retry"]).await?;
    ensure!(told.stdout.concat().contains("1 can be read now"), "{told:?}");
    stage
        .worker
        .wait_for_events(|events| events.iter().any(|event| event.run() == run))
        .await?;
    Ok(())
}

/// What breaks something of the API.
type BreakIt = fn(&tallyfy_sim::Simulator);

/// Whatever else is wrong, webhooks are kept, and the load balancer goes on sending them here.
#[tokio::test]
async fn the_probe_of_a_load_balancer_is_green_as_long_as_webhooks_are_kept() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("worker.toml");
    let away = "[[handlers]]\nname = \"away\"\ntype = \"http\"\nurl = \"http://127.0.0.1:9/\"\n";
    std::fs::write(&config, away)?;
    let config = config.display().to_string();
    // What is broken, and what `/health/ready` says of it, if it is a trouble of the worker at all.
    let troubles: [(BreakIt, &str); 5] = [
        (tallyfy_sim::Simulator::revoke_tokens, "the token is refused"),
        (
            |sim| drop(sim.faults().add(FaultRule::always(Fault::UNAVAILABLE))),
            "the API does not answer",
        ),
        (
            |sim| {
                let retry_after = RetryAfter::Seconds(3600);
                sim.faults()
                    .add(FaultRule::always(Fault::TooManyRequests { retry_after }));
            },
            "asked for a pause",
        ),
        (|_| {}, "handler away"),
        (
            |sim| {
                sim.faults()
                    .add(FaultRule::always(Fault::Status { status: 500 }).on_run("broken"));
            },
            "",
        ),
    ];
    for (break_it, told) in troubles {
        let environment = [
            ("RUNS_WORKER__API__TOKEN_RETRY", "1h"),
            ("RUNS_WORKER__REFRESH__RETRY_INITIAL", "10ms"),
            ("RUNS_WORKER__REFRESH__RETRY_MAX", "50ms"),
            ("RUNS_WORKER_CONFIG", config.as_str()),
        ];
        let stage = Stage::set(SimConfig::default(), &environment).await?;
        break_it(&stage.sim);
        stage.tell(&completed(&stage.sim.launch("Order")?)).await?;
        stage.tell(&completed("broken")).await?;
        if told.is_empty() {
            stage.sim.requests().wait_for_run("broken", 3).await;
        }
        let is_shown = async {
            while !stage.get("/health/ready").await?.contains(told) {}
            anyhow::Ok(())
        };
        let shown = tokio::time::timeout(std::time::Duration::from_secs(30), is_shown).await;
        shown.map_err(|_| anyhow::anyhow!("{told}: {:?}", stage.worker.log()))??;
        for path in ["/health/receive", "/health/live"] {
            let answer = stage.get(path).await?;
            ensure!(answer.starts_with("HTTP/1.1 200 "), "{told}: {path}: {answer}");
        }
        stage.tell(&completed("another")).await?;
    }
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/deploy.md"))?;
    let pod = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/kubernetes/sqlite/statefulset.yaml");
    for text in [page, std::fs::read_to_string(pod)?] {
        ensure!(
            text.contains("/health/receive") && text.contains("/health/live"),
            "{text}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_page_that_lets_its_name_point_here_reads_nothing() -> anyhow::Result<()> {
    let stage = Stage::set(
        SimConfig::default(),
        &[("RUNS_WORKER__ADMIN__HOSTS", "monitor.example.org")],
    )
    .await?;
    for (host, status) in [
        ("rebound.example.com", "421"),
        ("rebound.example.com:8081", "421"),
        ("127.0.0.1", "200"),
        ("localhost:8081", "200"),
        ("runs-worker", "200"),
        ("monitor.example.org", "200"),
    ] {
        for path in ["/metrics", "/health/live", "/health/ready", "/health/receive"] {
            let answer = stage.get_as(host, path).await?;
            ensure!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{host}{path}: {answer}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn to_ask_whether_it_is_ready_writes_nothing() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[]).await?;
    stage
        .worker
        .wait_for_log(|line| line.contains("sweep finished"))
        .await?;
    let commits = |folder: &Path| -> anyhow::Result<i64> {
        let store = rusqlite::Connection::open(folder.join("data/runs.db"))?;
        Ok(store.query_row("SELECT value FROM counters WHERE name = 'probes'", [], |row| row.get(0))?)
    };
    for _ in 0..20 {
        stage.get("/health/ready").await?;
    }
    assert_eq!(commits(stage.folder())?, 0);
    Ok(())
}

#[tokio::test]
async fn a_hang_up_reads_secrets_tokens_and_the_log_filter_again() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let sim = tallyfy_sim::Simulator::start(SimConfig::default()).await?;
    let file = folder.path().join("worker.toml");
    let secrets = folder.path().join("secrets");
    let write = |token: &str, filter: &str| {
        let text = format!(
            "[api]\nbase_url = \"{}\"\n[log]\nfilter = \"{filter}\"\n[[organizations]]\nid = \"{}\"\ntoken = \"{token}\"\nwebhook_secrets_file = \"secrets\"\n",
            sim.base_url(),
            sim.org(),
        );
        std::fs::write(&file, text)
    };
    write("wrong-token", "info")?;
    std::fs::write(&secrets, "old-secret-0123456789\n")?;
    let settings = system_tests::WorkerSettings::of_file(&file, &folder.path().join("data"));
    let worker = WorkerProcess::start(&settings).await?;
    worker
        .wait_for_log(|line| line.contains("fetching pauses until there is a token"))
        .await?;
    let post = async |secret: &str| -> anyhow::Result<String> {
        let url = format!("http://{}/webhooks/{secret}", worker.receive_address());
        let sender = system_tests::HonestSender::new(&url, sim.org())?;
        Ok(format!(
            "{:?}",
            sender.send(1, std::time::Duration::from_secs(10)).await.0
        ))
    };
    assert_eq!(post("new-secret-0123456789").await?, "Answered(404)");

    // A mistake changes nothing, and neither does what a log rotator sends.
    write(&sim.token(), "not a = filter")?;
    worker.signal(Signal::SIGUSR1)?;
    worker.signal(Signal::SIGUSR2)?;
    worker.signal(Signal::SIGHUP)?;
    worker.wait_for_log(|line| line.contains("not taken over")).await?;
    assert_eq!(post("old-secret-0123456789").await?, "Answered(202)");

    write(&sim.token(), "debug")?;
    std::fs::write(&secrets, "\u{feff}new-secret-0123456789\r\n")?;
    worker.signal(Signal::SIGHUP)?;
    worker
        .wait_for_log(|line| line.contains("the API accepts the token"))
        .await?;
    assert_eq!(post("new-secret-0123456789").await?, "Answered(202)");
    assert_eq!(post("old-secret-0123456789").await?, "Answered(404)");
    worker.wait_for_log(|line| line.contains(r#""level":"DEBUG""#)).await
}

#[tokio::test]
async fn a_backup_of_a_running_worker_has_all_that_was_acknowledged() -> anyhow::Result<()> {
    let mut stage = Stage::set(SimConfig::default(), &[]).await?;
    let run = stage.sim.launch("Order")?;
    let header = [("x-tallyfy-orgid", stage.sim.org())];
    stage.post(&header, completed(&run).as_bytes()).await?;
    stage
        .worker
        .wait_for_events(|events| events.iter().any(|event| event.run() == run))
        .await?;

    // The store is held, so that what comes now is in the intake log alone.
    let database = stage.folder().join("data/runs.db");
    let busy = rusqlite::Connection::open(&database)?;
    busy.execute_batch("BEGIN IMMEDIATE")?;
    for number in 0..5 {
        let answer = stage
            .post(&header, completed(&format!("waiting{number}")).as_bytes())
            .await?;
        ensure!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    }
    let bare = stage.folder().join("bare.db");
    std::fs::copy(&database, &bare)?;
    let backup = stage.folder().join("backup.db").display().to_string();
    let told = stage.command(&["backup", &backup]).await?;
    ensure!(told.status.success(), "{told:?}");
    busy.execute_batch("ROLLBACK")?;
    drop(busy);
    stage.worker.terminate().await?;

    let restored = |name: &str| stage.folder().join(name).display().to_string();
    let at = |folder: &str| ["--data-dir", folder].map(str::to_owned);
    let command = async |folder: &str, arguments: &[&str]| {
        let [flag, value] = at(folder);
        let mut all = vec![flag.as_str(), value.as_str()];
        all.extend(arguments);
        stage.command(&all).await
    };
    // A copy of the file alone is told, and is not restored by accident.
    let other = restored("other");
    let bare = bare.display().to_string();
    let refused = command(&other, &["restore", &bare]).await?;
    assert!(refused.stderr.concat().contains("write-ahead log"), "{refused:?}");
    std::fs::create_dir(&other)?;
    std::fs::rename(&bare, Path::new(&other).join("runs.db"))?;
    let told = command(&other, &["verify-store"]).await?;
    assert!(
        !told.status.success() && told.stdout.concat().contains("write-ahead log"),
        "{told:?}"
    );

    let restored = restored("restored");
    let told = command(&restored, &["restore", &backup]).await?;
    ensure!(told.status.success(), "{told:?}");
    let verified = command(&restored, &["verify-store"]).await?;
    ensure!(verified.status.success(), "{verified:?}");
    let shown = command(&restored, &["notifications", "list", "--json"]).await?;
    let runs: Vec<String> = shown
        .stdout
        .iter()
        .filter_map(|line| Some(serde_json::from_str::<Value>(line).ok()?["run"].as_str()?.to_owned()))
        .collect();
    for number in 0..5 {
        assert!(runs.contains(&format!("waiting{number}")), "{shown:?}");
    }
    let twice = command(&restored, &["restore", &backup]).await?;
    assert!(!twice.status.success(), "{twice:?}");
    Ok(())
}

#[tokio::test]
async fn how_long_the_stores_log_is_shows() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[]).await?;
    let reading = rusqlite::Connection::open(stage.folder().join("data/runs.db"))?;
    let view = reading.unchecked_transaction()?;
    let _: i64 = view.query_row("SELECT count(*) FROM notifications", [], |row| row.get(0))?;
    let filler = " ".repeat(3_900_000);
    let header = [("x-tallyfy-orgid", stage.sim.org())];
    for number in 0..4 {
        let body = format!("{{\"note\":\"{filler}\",{}", &completed(&format!("r{number}"))[1..]);
        stage.post(&header, body.as_bytes()).await?;
    }
    let bytes = async || -> anyhow::Result<f64> {
        let metrics = stage.get("/metrics").await?;
        let line = metrics
            .lines()
            .find_map(|line| line.strip_prefix("runs_worker_store_log_bytes "));
        Ok(line.unwrap_or("0").parse()?)
    };
    while bytes().await? < 1e7 {}
    drop(view);
    Ok(())
}
