//! Why did a run not reach a handler? The command and the page say so, in the same words.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use system_tests::Stage;
use tallyfy_sim::SimConfig;
use tallyfy_sim::faults::{Fault, FaultRule};

/// The status of a receiver that refuses everything.
async fn refusing(status: &'static str) -> anyhow::Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let status = axum::http::StatusCode::from_bytes(status.as_bytes())?;
    let routes = axum::Router::new().fallback(move || async move { (status, "customer 4711 is unknown") });
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(url)
}

fn handlers(folder: &Path, handlers: &str) -> anyhow::Result<String> {
    let config = folder.join("worker.toml");
    std::fs::write(&config, handlers)?;
    Ok(config.display().to_string())
}

fn http(name: &str, url: &str, more: &str) -> String {
    format!("[[handlers]]\nname = \"{name}\"\ntype = \"http\"\nurl = \"{url}\"\n{more}\n")
}

/// A stage with these handlers.
async fn stage(folder: &Path, of: &str, more: &[(&str, &str)]) -> anyhow::Result<Stage> {
    let config = handlers(folder, of)?;
    let mut environment = vec![
        ("RUNS_WORKER_CONFIG", config.as_str()),
        ("RUNS_WORKER__REFRESH__WINDOW", "0s"),
        ("RUNS_WORKER__REFRESH__RETRY_INITIAL", "10ms"),
    ];
    environment.extend(more);
    Stage::set(SimConfig::default(), &environment).await
}

/// What the command tells of a run, once it says this; and that the page says it too.
async fn is_told(stage: &Stage, run: &str, why: &str) -> anyhow::Result<()> {
    let told = async {
        loop {
            let shown = stage.command(&["runs", "show", run]).await?;
            let text = shown.stdout.join("\n");
            if text.contains(why) {
                return Ok::<_, anyhow::Error>(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(20), told).await.is_err() {
        let shown = stage.command(&["runs", "show", run]).await?;
        anyhow::bail!(
            "{why:?} is not in {}\n{}",
            shown.stdout.join("\n"),
            stage.worker.log().join("\n")
        );
    }
    let path = format!("/runs/{}/{run}", stage.sim.org());
    let page = stage.get(&path).await?;
    let page = match page.starts_with("HTTP/1.1 404") {
        true => stage.get(&format!("/runs?name={run}")).await?,
        false => page,
    };
    let escaped = why.replace('&', "&amp;").replace('<', "&lt;");
    anyhow::ensure!(page.contains(&escaped), "{why:?} is not on the page: {page}");
    Ok(())
}

#[tokio::test]
async fn a_filter_a_receiver_that_is_away_and_one_that_refuses_are_named() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let unknown = refusing("422").await?;
    let of = [
        http("choosy", &unknown, "filter = { events = [\"archived\"] }"),
        // Nothing listens on the port that is for discarding.
        http("away", "http://127.0.0.1:9/", ""),
        http("strict", &unknown, "reject_on = [422]"),
    ];
    let stage = stage(folder.path(), &of.concat(), &[]).await?;
    stage.connect_templates()?;
    let run = stage.sim.launch("Onboarding")?;
    is_told(&stage, &run, "not for choosy (filter events)").await?;
    is_told(&stage, &run, "Handler away has not taken event 1 in").await?;
    is_told(&stage, &run, "was given up for handler strict").await?;
    is_told(&stage, &run, "customer 4711 is unknown").await?;
    let blocked = stage.command(&["runs", "list", "--blocked", "--json"]).await?;
    assert!(blocked.stdout.join("\n").contains(&run));
    let status = stage.command(&["status"]).await?;
    assert_eq!(status.status.code(), Some(4), "{:?}", status.stdout);
    Ok(())
}

#[tokio::test]
async fn a_refused_token_and_a_run_that_was_given_up_are_named() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let stage = stage(folder.path(), "", &[("RUNS_WORKER__REFRESH__GIVE_UP_AFTER", "1s")]).await?;
    stage.connect_templates()?;
    let lost = stage.sim.launch("Lost")?;
    is_told(&stage, &lost, "All is delivered").await?;
    stage
        .sim
        .faults()
        .add(FaultRule::always(Fault::Status { status: 500 }).on_run(&lost));
    stage.sim.complete_next(&lost)?.context("it has tasks")?;
    is_told(&stage, &lost, "The run was given up").await?;

    stage.sim.revoke_tokens();
    let run = stage.sim.launch("Onboarding")?;
    is_told(&stage, &run, "It waits for a fetch. Organization").await?;
    let status = stage.command(&["status"]).await?;
    assert_eq!(status.status.code(), Some(5), "{:?}", status.stdout);
    Ok(())
}

#[tokio::test]
async fn a_webhook_that_never_came_and_one_to_a_wrong_address_are_named() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let stage = stage(folder.path(), "", &[]).await?;
    let quiet = stage.sim.launch("Without a webhook")?;
    stage.command(&["sync"]).await?;
    is_told(&stage, &quiet, "No webhook named this run").await?;
    stage.sim.set_webhook_url(Some(&format!("{}x", stage.webhook_url())))?;
    let run = stage.sim.launch("To a wrong address")?;
    stage.sim.settle().await;
    is_told(&stage, &run, "to an unknown address").await?;
    Ok(())
}

#[tokio::test]
async fn a_paused_handler_is_named_and_who_paused_it_is_written_down() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let stage = stage(folder.path(), "", &[]).await?;
    stage.connect_templates()?;
    let first = stage.sim.launch("First")?;
    is_told(&stage, &first, "All is delivered").await?;
    stage.command(&["handlers", "pause", "stdout"]).await?;
    let run = stage.sim.launch("Onboarding")?;
    is_told(&stage, &run, "Handler stdout is paused").await?;
    assert!(stage.get("/journal").await?.contains("paused handler stdout"));
    Ok(())
}

#[tokio::test]
async fn what_strangers_send_is_text_and_nothing_is_changed_without_leave() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let stage = stage(folder.path(), "", &[]).await?;
    stage.connect_templates()?;
    let run = stage
        .sim
        .launch("<script>alert(1)</script>\"'><img src=x onerror=alert(2)>")?;
    is_told(&stage, &run, "All is delivered").await?;
    for path in ["/runs", "/events", &format!("/runs/{}/{run}", stage.sim.org())] {
        let page = stage.get(path).await?;
        assert!(page.starts_with("HTTP/1.1 200"), "{path}: {page}");
        assert!(!page.contains("<script") && !page.contains("<img"), "{path}: {page}");
        assert!(page.contains("content-security-policy: default-src 'none'"), "{path}");
    }
    // `admin.actions` is not set.
    let form = stage.get("/handlers/stdout").await?;
    assert!(!form.contains("<button"), "{form}");
    Ok(())
}
