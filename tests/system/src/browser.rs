//! A browser that is driven as a person drives it: Chromium by WebDriver, whose few commands that are needed are plain HTTP.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

const PATIENCE: Duration = Duration::from_secs(30);

/// A browser, and what drives it.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    profile: TempDir,
}

impl Browser {
    /// Starts one.
    ///
    /// # Errors
    /// If there is none: it is in Debian's packages `chromium` and `chromium-driver`.
    pub async fn start() -> anyhow::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let driver = driver.context("chromedriver cannot be run; it is in Debian's package chromium-driver")?;
        let profile = tempfile::tempdir()?;
        let mut browser = Self {
            driver,
            port,
            session: String::new(),
            profile,
        };
        let folder = browser.profile.path().display();
        let arguments = [
            "--headless",
            "--no-sandbox",
            // Letters without coloured edges: the same on every machine, and smaller pictures.
            "--disable-lcd-text",
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
        Ok(browser)
    }

    /// One command of WebDriver.
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

    /// Goes to an address.
    ///
    /// # Errors
    /// If the browser cannot.
    pub async fn go(&self, url: &str) -> anyhow::Result<()> {
        let path = format!("/session/{}/url", self.session);
        self.ask("POST", &path, &json!({"url": url})).await.map(drop)
    }

    /// What a script says of the page.
    ///
    /// # Errors
    /// If it cannot be run.
    pub async fn script(&self, script: &str) -> anyhow::Result<Value> {
        let path = format!("/session/{}/execute/sync", self.session);
        self.ask("POST", &path, &json!({"script": script, "args": []})).await
    }

    /// Clicks on something.
    ///
    /// # Errors
    /// If it is not there.
    pub async fn click(&self, xpath: &str) -> anyhow::Result<()> {
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

    /// What a script says that says it later, by calling its last argument.
    ///
    /// # Errors
    /// If it cannot be run.
    pub async fn script_later(&self, script: &str) -> anyhow::Result<Value> {
        let path = format!("/session/{}/execute/async", self.session);
        self.ask("POST", &path, &json!({"script": script, "args": []})).await
    }

    /// Shows pages in a window of this size, and as somebody likes them who has set the system to dark.
    ///
    /// # Errors
    /// If the browser does not know how.
    pub async fn look(&self, width: u32, height: u32, is_dark: bool) -> anyhow::Result<()> {
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.devtools("Emulation.setEmulatedMedia", &json!({"features": features}))
            .await?;
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &size).await?;
        self.devtools("Emulation.setScrollbarsHidden", &json!({"hidden": true}))
            .await
            .map(drop)
    }

    /// A picture of what the window shows, as WebP in base64.
    ///
    /// # Errors
    /// If the browser cannot make one.
    pub async fn picture(&self) -> anyhow::Result<String> {
        let picture = self
            .devtools("Page.captureScreenshot", &json!({"format": "webp", "quality": 90}))
            .await?;
        Ok(picture["data"].as_str().context("no picture")?.to_owned())
    }

    async fn devtools(&self, command: &str, parameters: &Value) -> anyhow::Result<Value> {
        let path = format!("/session/{}/goog/cdp/execute", self.session);
        self.ask("POST", &path, &json!({"cmd": command, "params": parameters}))
            .await
    }

    /// The text of the page.
    ///
    /// # Errors
    /// If there is none.
    pub async fn text(&self) -> anyhow::Result<String> {
        let text = self.script("return document.body.innerText").await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Loads a page again and again until it shows this.
    ///
    /// # Errors
    /// If it does not within half a minute.
    pub async fn shows(&self, url: &str, what: &str) -> anyhow::Result<()> {
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

    /// Closes it.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn end(mut self) -> anyhow::Result<()> {
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
