//! The pages in a real browser, as somebody uses them who has never seen them.
//!
//! Where there is no browser the tests are skipped aloud; not in CI.

use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::ensure;
use system_tests::{Browser, Stage};
use tallyfy_sim::SimConfig;
use tokio::net::TcpListener;

#[expect(clippy::print_stderr, reason = "what is skipped is said aloud")]
fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}

/// None where there is none.
async fn browser() -> anyhow::Result<Option<Browser>> {
    match Browser::start().await {
        Err(error) if std::env::var_os("CI").is_none() => {
            skipped(&format!("{error:#}"));
            Ok(None)
        }
        started => started.map(Some),
    }
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
    let Some(browser) = browser().await? else {
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
    let Some(browser) = browser().await? else {
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
        "/workers",
        "/journal",
    ];
    for page in pages {
        browser.go(&format!("{at}{page}")).await?;
        browser.script(&axe).await?;
        let script = "const done = arguments[0]; axe.run().then(found => done(found.violations.map(
            violation => violation.id + ': ' + violation.nodes.map(node => node.html).join(' '))))";
        let found = browser.script_later(script).await?;
        ensure!(found.as_array().is_some_and(Vec::is_empty), "{page}: {found}");
    }
    browser.end().await
}
