//! `cargo xtask screenshots`

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use runs_store::{Beat, SchedulingTime, SqliteStore, Store as _, StoryDesk as _};
use system_tests::{Browser, Stage};
use tallyfy_sim::SimConfig;
use tokio::net::TcpListener;

/// How large a picture is.
const WIDTH: u32 = 1000;
/// The largest that a picture may be, in bytes: they are in the repository.
const MOST: usize = 120 * 1024;

/// How many tries the receiver refuses.
const REFUSED: usize = 1;

/// Plays a scene, and takes the pictures that the README shows of it.
pub(crate) fn run() -> anyhow::Result<()> {
    println!("building the worker …");
    system_tests::binary()?;
    tokio::runtime::Runtime::new()?.block_on(take(&crate::root().join("docs/images")))
}

async fn take(into: &Path) -> anyhow::Result<()> {
    let refuses = Arc::new(AtomicUsize::new(0));
    let folder = tempfile::tempdir()?;
    let mut stage = set(folder.path(), &receiver(Arc::clone(&refuses)).await?).await?;
    let run = play(&stage, &refuses).await?;
    let browser = Browser::start().await?;
    let at = format!("http://{}", stage.worker.admin_address());
    let story = format!("{at}/runs/{}/{run}", stage.sim.org());
    browser.shows(&story, "All is delivered").await?;
    for (name, address, height) in [
        ("timeline", format!("{story}?still=1"), 1190),
        ("overview", format!("{at}/?still=1"), 890),
    ] {
        for (is_dark, more) in [(false, ""), (true, "-dark")] {
            browser.look(WIDTH, height, is_dark).await?;
            browser.go(&address).await?;
            let picture = STANDARD.decode(browser.picture().await?)?;
            ensure!(picture.len() <= MOST, "{name} is larger than {MOST} bytes");
            let file = into.join(format!("{name}{more}.webp"));
            std::fs::write(&file, &picture).with_context(|| format!("write {}", file.display()))?;
            println!("{}  {} KiB", file.display(), picture.len() / 1024);
        }
    }
    browser.end().await?;
    stage.worker.terminate().await?;
    stage.sim.shutdown().await;
    Ok(())
}

/// A simulator, and a worker with a handler that fails now and then, and one that wants few events.
async fn set(folder: &Path, url: &str) -> anyhow::Result<Stage> {
    let config = folder.join("worker.toml");
    let archive = folder.join("archive.jsonl");
    let text = format!(
        "[[handlers]]\nname = \"erp\"\ntype = \"http\"\nurl = \"{url}\"\n\
         [[handlers]]\nname = \"archive\"\ntype = \"file\"\npath = {archive:?}\n\
         filter = {{ events = [\"completed\", \"archived\"] }}\n"
    );
    std::fs::write(&config, text)?;
    let config = config.to_str().context("the folder's name is no text")?;
    let environment = [
        ("RUNS_WORKER_CONFIG", config),
        ("RUNS_WORKER__ADMIN__ACTIONS", "true"),
        ("RUNS_WORKER__REFRESH__WINDOW", "100ms"),
        // What the API allows is not what is shown here, but a budget is.
        ("RUNS_WORKER__API__REQUESTS_PER_MINUTE", "100"),
    ];
    let mut stage = Stage::set(SimConfig::default(), &environment).await?;
    stage.worker.terminate().await?;
    have_worked(&stage).await?;
    stage.restart().await?;
    stage.connect_templates()?;
    Ok(stage)
}

/// Makes it look as if the worker had been at work for some hours.
async fn have_worked(stage: &Stage) -> anyhow::Result<()> {
    let file = stage.folder().join("data/runs.db");
    let store = SqliteStore::open(file, SchedulingTime::by_wall_clock())?;
    let now = Timestamp::now();
    let seen = store.beats(Timestamp::UNIX_EPOCH).await?;
    let seen = seen.first().context("the worker has not said that it was there")?;
    for ago in (1..=48_u32).rev() {
        let wave = 14.0 + 9.0 * (f64::from(ago) / 7.0).sin() + 4.0 * (f64::from(ago) * 1.7).cos();
        let count = |share: f64| (wave * share).round().to_string().parse::<u64>().unwrap_or_default();
        store
            .beat(Beat {
                worker: seen.worker.clone(),
                version: seen.version.clone(),
                started_at: seen.started_at,
                at: now.checked_sub(SignedDuration::from_mins(5) * i32::try_from(ago)?)?,
                report: seen.report.clone(),
                done: vec![
                    (format!("webhooks of {}", stage.sim.org()), count(1.0)),
                    ("fetches".to_owned(), count(0.8)),
                    ("API requests".to_owned(), count(0.9)),
                    ("events".to_owned(), count(0.6)),
                    ("deliveries".to_owned(), count(0.7)),
                ],
            })
            .await?;
    }
    store.close().await;
    Ok(())
}

/// What happens: four runs, of which one is looked at, since the receiver was away for a moment. Gives that one.
async fn play(stage: &Stage, refuses: &AtomicUsize) -> anyhow::Result<String> {
    for (name, tasks) in [
        ("Onboarding of Umbrella", 2),
        ("Offboarding of Initech", 1),
        ("Audit of Hooli", 3),
    ] {
        let run = stage.sim.launch(name)?;
        for _ in 0..tasks {
            stage.sim.complete_next(&run)?;
        }
        told(stage, &run, "All is delivered").await?;
    }
    let run = stage.sim.launch("Onboarding of Globex")?;
    told(stage, &run, "erp has its newest event, 1").await?;
    refuses.store(REFUSED, Ordering::SeqCst);
    stage.sim.complete_next(&run)?;
    told(stage, &run, "erp has its newest event, 2").await?;
    Ok(run)
}

/// Waits until this is told of a run.
async fn told(stage: &Stage, run: &str, what: &str) -> anyhow::Result<()> {
    for _ in 0..300 {
        let shown = stage.command(&["runs", "show", run]).await?;
        if shown.stdout.iter().any(|line| line.contains(what)) {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    anyhow::bail!("of run {run} it is not told: {what}")
}

/// A receiver that refuses so many events, and takes the others.
async fn receiver(refuses: Arc<AtomicUsize>) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let answer = move || {
        let left = refuses.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        async move {
            match left {
                Ok(_) => (StatusCode::SERVICE_UNAVAILABLE, "the database is being restarted"),
                Err(_) => (StatusCode::NO_CONTENT, ""),
            }
        }
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    Ok(url)
}
