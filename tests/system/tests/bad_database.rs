//! A database that does not do: each time one sentence says so, nothing is changed, and the exit status is 2. On a server of
//! one's own, since the machine's must not be set up anew.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use system_tests::{PostgresServer, WorkerSettings, run};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_blocking;
use tokio_postgres::NoTls;

/// A server, or a word about it where PostgreSQL is not installed.
#[expect(clippy::print_stderr, reason = "a person has to see that nothing was tested")]
async fn server() -> anyhow::Result<Option<PostgresServer>> {
    if PostgresServer::programs().is_none() {
        ensure!(std::env::var_os("CI").is_none(), "PostgreSQL has to be installed in CI");
        eprintln!("SKIPPED: nothing was tested, because PostgreSQL is not installed");
        return Ok(None);
    }
    Ok(Some(spawn_blocking(PostgresServer::start).await??))
}

async fn restart(mut server: PostgresServer) -> anyhow::Result<PostgresServer> {
    spawn_blocking(move || {
        server.stop_at_once()?;
        server.start_again()?;
        Ok(server)
    })
    .await?
}

async fn administer(server: &PostgresServer, sql: &str) -> anyhow::Result<()> {
    let (client, connection) = tokio_postgres::connect(&server.url(), NoTls).await?;
    tokio::spawn(connection);
    Ok(client.batch_execute(sql).await?)
}

/// How many tables and schemas there are that are not the server's own.
async fn made(server: &PostgresServer) -> anyhow::Result<i64> {
    let (client, connection) = tokio_postgres::connect(&server.url(), NoTls).await?;
    tokio::spawn(connection);
    let count = "SELECT (SELECT count(*) FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema)')
                      + (SELECT count(*) FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema)')";
    Ok(client.query_one(count, &[]).await?.get(0))
}

/// What the binary says with this URL: the same at each command, with this exit status.
async fn refused(url: &str, further: &[(&str, &str)], said: &str) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut settings = WorkerSettings::new(
        "org",
        "token",
        "3b1f0c8e5a7d49629f8e7a6b5c4d3e2f",
        "http://127.0.0.1:1/api",
        folder.path(),
    )
    .with("RUNS_WORKER__STORE__URL", url);
    for (name, value) in further {
        settings = settings.with(name, value);
    }
    let check: &[&str] = &["check", "--only", "store"];
    for command in [
        &["serve"] as &[&str],
        check,
        &["events", "list"],
        &["migrate", "--check"],
    ] {
        let exit = run(&settings, command).await?;
        let told = [exit.stderr, exit.stdout].concat().join("\n");
        ensure!(told.contains(said), "{command:?} with {url}: {told}");
        ensure!(
            exit.status.code() == Some(2),
            "{command:?} with {url}: {:?}: {told}",
            exit.status
        );
        ensure!(!told.contains("s3cret"), "{command:?} with {url}: {told}");
        // Its own lines of log aside.
        let sentences = told.lines().filter(|line| line.contains(said)).count();
        ensure!(sentences == 1, "{command:?} with {url}: said {sentences} times: {told}");
    }
    Ok(())
}

/// The URL as another user.
fn as_user(server: &PostgresServer, user: &str) -> String {
    server.url().replace("postgres@", &format!("{user}@"))
}

#[tokio::test]
async fn a_url_that_cannot_be_read_is_refused() -> anyhow::Result<()> {
    for (url, said) in [
        ("mysql://host/s3cret", "does not begin with postgres://"),
        ("postgres:///s3cret", "names no host"),
        ("postgres://u:s3cret@host:many/d", "cannot be read"),
        ("postgres://u:s3cret@host/d?sslmode=perhaps", "sslmode=perhaps"),
    ] {
        refused(url, &[], said).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_password_a_role_or_a_database_that_is_not_right_is_named() -> anyhow::Result<()> {
    let Some(server) = server().await? else { return Ok(()) };
    server.put_before("pg_hba.conf", "host all guarded 127.0.0.1/32 scram-sha-256")?;
    let server = restart(server).await?;
    administer(
        &server,
        "CREATE ROLE guarded LOGIN PASSWORD 'right'; CREATE ROLE powerless LOGIN;
         CREATE ROLE reader LOGIN; ALTER ROLE reader SET default_transaction_read_only = on",
    )
    .await?;
    let before = made(&server).await?;
    refused(
        &as_user(&server, "guarded:s3cret"),
        &[],
        "the password of user guarded is refused",
    )
    .await?;
    refused(&as_user(&server, "guarded"), &[], "user guarded needs a password").await?;
    refused(&as_user(&server, "nobody"), &[], "user nobody is refused").await?;
    refused(&as_user(&server, "powerless"), &[], "user powerless lacks rights").await?;
    refused(&as_user(&server, "reader"), &[], "set to be read only").await?;
    let elsewhere = format!("postgres://postgres@127.0.0.1:{}/no_such_database", server.port());
    refused(&elsewhere, &[], "there is no database no_such_database").await?;
    assert_eq!(made(&server).await?, before, "nothing was made");
    Ok(())
}

#[tokio::test]
async fn a_server_whose_certificate_is_not_vouched_for_is_not_talked_to() -> anyhow::Result<()> {
    let Some(server) = server().await? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let (own, others) = (folder.path().join("own"), folder.path().join("others"));
    for place in [&own, &others] {
        certificate(place)?;
    }
    let demanded = format!("{}?sslmode=require", server.url());
    refused(&demanded, &[], "server does not support TLS").await?;
    let text = |file: &Path| std::fs::read_to_string(file).context("read what openssl made");
    server.write("server.crt", &text(&own.with_extension("crt"))?)?;
    server.write("server.key", &text(&own.with_extension("key"))?)?;
    server.put_before("postgresql.conf", "ssl = on")?;
    let server = restart(server).await?;
    let before = made(&server).await?;
    refused(&demanded, &[], "the connection cannot be encrypted as asked for").await?;
    let authority = |file: &str| [("RUNS_WORKER__STORE__CA_FILE".to_owned(), file.to_owned())];
    for (file, said) in [
        (
            others.with_extension("crt"),
            "the connection cannot be encrypted as asked for",
        ),
        (folder.path().join("missing.crt"), "missing.crt cannot be read"),
        (own.with_extension("key"), "there is none in it"),
    ] {
        let [(name, value)] = authority(&file.display().to_string());
        refused(&demanded, &[(&name, &value)], said).await?;
    }
    assert_eq!(made(&server).await?, before, "nothing was made");
    // With the right one it is.
    let folder = tempfile::tempdir()?;
    let settings = WorkerSettings::new(
        "org",
        "token",
        "3b1f0c8e5a7d49629f8e7a6b5c4d3e2f",
        "http://127.0.0.1:1",
        folder.path(),
    )
    .with("RUNS_WORKER__STORE__URL", &demanded)
    .with(
        "RUNS_WORKER__STORE__CA_FILE",
        &own.with_extension("crt").display().to_string(),
    );
    let exit = run(&settings, &["migrate"]).await?;
    assert!(exit.status.success(), "{exit:?}");
    Ok(())
}

/// A certificate that vouches for itself, and its key.
fn certificate(place: &Path) -> anyhow::Result<()> {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "30",
        ])
        .args([
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
        ])
        .arg(place.with_extension("key"))
        .arg("-out")
        .arg(place.with_extension("crt"))
        .output()
        .context("run openssl, which Debian's package openssl has")?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

#[tokio::test]
async fn a_replica_is_refused() -> anyhow::Result<()> {
    let Some(server) = server().await? else { return Ok(()) };
    let (replica, server) = spawn_blocking(move || Ok::<_, anyhow::Error>((server.start_replica()?, server))).await??;
    refused(&replica.url(), &[], "the server is a replica").await?;
    drop(server);
    Ok(())
}

#[tokio::test]
async fn tables_of_another_program_or_of_a_newer_version_are_left_alone() -> anyhow::Result<()> {
    let Some(server) = server().await? else { return Ok(()) };
    let (foreign, newer) = (
        format!("{}?options=-csearch_path%3Dforeign_one", server.url()),
        format!("{}?options=-csearch_path%3Dnewer_one", server.url()),
    );
    administer(
        &server,
        "CREATE SCHEMA foreign_one; CREATE TABLE foreign_one.customers (id integer); CREATE SCHEMA newer_one;
         CREATE TABLE newer_one.runs_worker_schema AS SELECT 1000::bigint AS version, 1000::bigint AS usable_from",
    )
    .await?;
    let before = made(&server).await?;
    refused(&foreign, &[], "tables of another program").await?;
    refused(&newer, &[], "schema version 1000").await?;
    assert_eq!(made(&server).await?, before, "nothing was made");
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused() -> anyhow::Result<()> {
    let door = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("postgres://u@{}/d?sslmode=disable", door.local_addr()?);
    tokio::spawn(answer_all(door, of_version_13));
    refused(&url, &[], "the server is PostgreSQL 13.22; 14 or later is needed").await
}

async fn answer_all<F: Future<Output = std::io::Result<()>> + Send + 'static>(
    door: TcpListener,
    answer: impl Fn(TcpStream) -> F,
) {
    while let Ok((client, _)) = door.accept().await {
        // Who hangs up early misses nothing.
        tokio::spawn(answer(client));
    }
}

/// Speaks as a server does that lets everybody in, and says to any question that it is of version 13.
async fn of_version_13(mut client: TcpStream) -> std::io::Result<()> {
    let length = client.read_u32().await?;
    let mut startup = vec![0; length as usize - 4];
    client.read_exact(&mut startup).await?;
    let ready = message(b'Z', b"I");
    client
        .write_all(&[message(b'R', &0_u32.to_be_bytes()), ready.clone()].concat())
        .await?;
    loop {
        let kind = client.read_u8().await?;
        let length = client.read_u32().await?;
        let mut body = vec![0; length as usize - 4];
        client.read_exact(&mut body).await?;
        // The last of what belongs to one question.
        if kind == b'S' {
            client
                .write_all(&[answer_of_version_13(), ready.clone()].concat())
                .await?;
        }
    }
}

/// A row of a number, a text and two truths.
fn answer_of_version_13() -> Vec<u8> {
    const TYPES: [(u32, i16); 4] = [(23, 4), (25, -1), (16, 1), (16, 1)];
    let mut columns = 4_u16.to_be_bytes().to_vec();
    for (kind, size) in TYPES {
        columns.extend(b"c\0");
        columns.extend([0; 6]);
        columns.extend(kind.to_be_bytes());
        columns.extend(size.to_be_bytes());
        columns.extend((-1_i32).to_be_bytes());
        columns.extend(1_u16.to_be_bytes());
    }
    let mut row = 4_u16.to_be_bytes().to_vec();
    for value in [&130_022_u32.to_be_bytes() as &[u8], b"13.22", b"\0", b"\0"] {
        row.extend((value.len() as u32).to_be_bytes());
        row.extend(value);
    }
    [
        message(b'1', b""),
        message(b'2', b""),
        message(b'T', &columns),
        message(b'D', &row),
        message(b'C', b"SELECT 1\0"),
    ]
    .concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = body.len() as u32 + 4;
    [&[kind] as &[u8], &length.to_be_bytes(), body].concat()
}
