//! The pages in a real browser, as somebody uses them who has never seen them.
//!
//! Chromium is driven by WebDriver, whose few commands that are needed here are plain HTTP. Where there is no browser the
//! tests are skipped aloud; not in CI.

use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use system_tests::Stage;
use tallyfy_sim::SimConfig;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

const PATIENCE: Duration = Duration::from_secs(30);

/// A browser, and what drives it.
struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// None where there is none.
    async fn start() -> anyhow::Result<Option<Self>> {
        let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let driver = match driver {
            Ok(driver) => driver,
            Err(error) if std::env::var_os("CI").is_some() => return Err(error).context("chromedriver is needed here"),
            Err(error) => {
                skipped(&format!(
                    "chromedriver cannot be run ({error}); it is in Debian's package chromium-driver"
                ));
                return Ok(None);
            }
        };
        let profile = tempfile::tempdir()?;
        let mut browser = Self {
            driver,
            port,
            session: String::new(),
            _profile: profile,
        };
        let folder = browser._profile.path().display();
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &format!("--user-data-dir={folder}"),
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": arguments}}}});
        let until = tokio::time::Instant::now() + PATIENCE;
        let session = loop {
            match browser.ask("POST", "/session", &wanted).await {
                Ok(session) => break session,
                Err(error) if tokio::time::Instant::now() > until => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        };
        browser.session = session["sessionId"].as_str().context("no session")?.to_owned();
        Ok(Some(browser))
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        let body = body.to_string();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.write_all(request.as_bytes()).await?;
        let answer = whole_answer(&mut stream).await?;
        let (_, body) = answer.split_once("\r\n\r\n").context("no body")?;
        let answer: Value = serde_json::from_str(body.trim()).with_context(|| body.to_owned())?;
        ensure!(answer["value"]["error"].is_null(), "{method} {path}: {answer}");
        Ok(answer["value"].clone())
    }

    async fn go(&self, url: &str) -> anyhow::Result<()> {
        let path = format!("/session/{}/url", self.session);
        self.ask("POST", &path, &json!({"url": url})).await.map(drop)
    }

    /// What a script says of the page.
    async fn script(&self, script: &str) -> anyhow::Result<Value> {
        let path = format!("/session/{}/execute/sync", self.session);
        self.ask("POST", &path, &json!({"script": script, "args": []})).await
    }

    async fn click(&self, xpath: &str) -> anyhow::Result<()> {
        let found = json!({"using": "xpath", "value": xpath});
        let element = self
            .ask("POST", &format!("/session/{}/element", self.session), &found)
            .await?;
        let id = element
            .as_object()
            .and_then(|element| element.values().next())
            .and_then(Value::as_str);
        let path = format!("/session/{}/element/{}/click", self.session, id.context("no element")?);
        self.ask("POST", &path, &json!({})).await.map(drop)
    }

    async fn text(&self) -> anyhow::Result<String> {
        let text = self.script("return document.body.innerText").await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Loads a page again and again until it shows this.
    async fn shows(&self, url: &str, what: &str) -> anyhow::Result<()> {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            self.go(url).await?;
            let text = self.text().await?;
            if text.contains(what) {
                return Ok(());
            }
            ensure!(
                tokio::time::Instant::now() < until,
                "{what:?} does not show at {url}: {text}"
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn end(mut self) -> anyhow::Result<()> {
        self.ask("DELETE", &format!("/session/{}", self.session), &json!({}))
            .await?;
        self.driver.kill().await?;
        Ok(())
    }
}

/// Reads an answer to its end: the driver keeps the connection open.
async fn whole_answer(stream: &mut TcpStream) -> anyhow::Result<String> {
    let mut read = Vec::new();
    loop {
        let count = stream.read_buf(&mut read).await?;
        let text = String::from_utf8_lossy(&read);
        let whole = text.split_once("\r\n\r\n").and_then(|(head, body)| {
            let head = head.to_ascii_lowercase();
            let (_, length) = head.split_once("content-length:")?;
            let length: usize = length.lines().next()?.trim().parse().ok()?;
            Some(body.len() >= length)
        });
        if count == 0 || whole == Some(true) {
            return Ok(text.into_owned());
        }
    }
}

#[expect(clippy::print_stderr, reason = "what is skipped is said aloud")]
fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}

/// A receiver that refuses everything until its status is changed.
async fn receiver(status: &'static AtomicU16) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let routes = axum::Router::new().fallback(move || async move {
        let status = axum::http::StatusCode::from_u16(status.load(Ordering::SeqCst));
        (status.unwrap_or_default(), "customer <b>4711</b> is unknown")
    });
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(url)
}

async fn stage(folder: &Path, url: &str) -> anyhow::Result<Stage> {
    let config = folder.join("worker.toml");
    let text = format!("[[handlers]]\nname = \"erp\"\ntype = \"http\"\nurl = \"{url}\"\nreject_on = [422]\n");
    std::fs::write(&config, text)?;
    let environment = [
        ("RUNS_WORKER_CONFIG", config.display().to_string()),
        ("RUNS_WORKER__ADMIN__ACTIONS", "true".to_owned()),
        ("RUNS_WORKER__REFRESH__WINDOW", "0s".to_owned()),
    ];
    let environment: Vec<(&str, &str)> = environment
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let stage = Stage::set(SimConfig::default(), &environment).await?;
    stage.connect_templates()?;
    Ok(stage)
}

#[tokio::test]
async fn somebody_finds_a_failed_delivery_reads_why_and_sends_it_again() -> anyhow::Result<()> {
    static STATUS: AtomicU16 = AtomicU16::new(422);
    let Some(browser) = Browser::start().await? else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let stage = stage(folder.path(), &receiver(&STATUS).await?).await?;
    let hostile = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">Acme";
    let run = stage.sim.launch(hostile)?;
    let at = format!("http://{}", stage.worker.admin_address());
    browser
        .shows(&format!("{at}/"), "given up, see the dead letters")
        .await?;

    // From the overview to the handler, its dead letters, and the run.
    browser.click("//a[text()='Dead letters']").await?;
    let text = browser.text().await?;
    ensure!(text.contains("customer <b>4711</b> is unknown"), "{text}");
    let story = format!("{at}/runs/{}/{run}", stage.sim.org());
    browser.go(&format!("{story}?still=1")).await?;
    let text = browser.text().await?;
    ensure!(
        text.contains("was given up for handler erp") && text.contains("<script>"),
        "{text}"
    );
    let title = browser.script("return document.title").await?;
    ensure!(
        title
            .as_str()
            .is_some_and(|title| title.contains("Acme") && title != "owned"),
        "{title}"
    );

    STATUS.store(204, Ordering::SeqCst);
    browser.click("//button[text()='Send its dead letters again']").await?;
    browser
        .shows(&story, "All is delivered: erp has its newest event")
        .await?;
    browser
        .shows(&format!("{at}/journal"), "had 1 dead letter sent again")
        .await?;
    browser.end().await
}

#[tokio::test]
async fn the_pages_pass_an_accessibility_checker() -> anyhow::Result<()> {
    static STATUS: AtomicU16 = AtomicU16::new(422);
    let axe = std::env::var_os("RUNS_WORKER_NODE_MODULES").map(|folder| Path::new(&folder).join("axe-core/axe.min.js"));
    let Some(axe) = axe.and_then(|file| std::fs::read_to_string(file).ok()) else {
        ensure!(std::env::var_os("CI").is_none(), "axe-core is needed here");
        skipped("axe-core is not in RUNS_WORKER_NODE_MODULES");
        return Ok(());
    };
    let Some(browser) = Browser::start().await? else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let stage = stage(folder.path(), &receiver(&STATUS).await?).await?;
    let run = stage.sim.launch("Onboarding of Globex")?;
    let header = [("x-tallyfy-orgid", stage.sim.org())];
    stage.post(&header, b"no JSON at all").await?;
    let at = format!("http://{}", stage.worker.admin_address());
    let story = format!("/runs/{}/{run}", stage.sim.org());
    browser
        .shows(&format!("{at}{story}"), "was given up for handler erp")
        .await?;
    let pages = [
        "/",
        "/runs",
        &story,
        "/events",
        "/handlers/erp",
        "/dead-letters",
        "/notifications",
        "/sweeps",
        "/journal",
    ];
    for page in pages {
        browser.go(&format!("{at}{page}")).await?;
        browser.script(&axe).await?;
        let path = format!("/session/{}/execute/async", browser.session);
        let script = "const done = arguments[0]; axe.run().then(found => done(found.violations.map(
            violation => violation.id + ': ' + violation.nodes.map(node => node.html).join(' '))))";
        let found = browser
            .ask("POST", &path, &json!({"script": script, "args": []}))
            .await?;
        ensure!(found.as_array().is_some_and(Vec::is_empty), "{page}: {found}");
    }
    browser.end().await
}
