//! What programs rely on of what is told of runs and of the worker, and that the log tells the same.

use std::collections::BTreeSet;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use system_tests::Stage;
use tallyfy_sim::SimConfig;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

/// A receiver that refuses the first event for the first time.
async fn receiver() -> anyhow::Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?);
    let refused = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let answer = move || {
        let was_refused = refused.swap(true, std::sync::atomic::Ordering::SeqCst);
        async move {
            match was_refused {
                true => axum::http::StatusCode::NO_CONTENT,
                false => axum::http::StatusCode::SERVICE_UNAVAILABLE,
            }
        }
    };
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    Ok(url)
}

/// A stage with a handler that fails once, one whose filter keeps everything back, and one that rejects everything.
async fn stage(folder: &std::path::Path) -> anyhow::Result<Stage> {
    let config = folder.join("worker.toml");
    let text = format!(
        "[[handlers]]\nname = \"erp\"\ntype = \"http\"\nurl = \"{}\"\nretry_initial = \"10ms\"\n\
         [[handlers]]\nname = \"choosy\"\ntype = \"stdout\"\nfilter = {{ events = [\"archived\"] }}\n\
         [[handlers]]\nname = \"strict\"\ntype = \"command\"\ncommand = [\"/bin/false\"]\nmax_attempts = 1\n",
        receiver().await?
    );
    std::fs::write(&config, text)?;
    let config = config.display().to_string();
    let environment = [
        ("RUNS_WORKER_CONFIG", config.as_str()),
        ("RUNS_WORKER__REFRESH__WINDOW", "0s"),
    ];
    let stage = Stage::set(SimConfig::default(), &environment).await?;
    stage.connect_templates()?;
    Ok(stage)
}

/// The run of which everything has come to its end.
async fn settled(stage: &Stage) -> anyhow::Result<String> {
    let run = stage.sim.launch("Onboarding")?;
    let is_over = |log: &[String]| {
        let has = |what: &str| log.iter().any(|line| line.contains(what));
        has("\"event delivered\"") && has("it is a dead letter now")
    };
    stage.worker.wait_for_log_lines(is_over).await?;
    Ok(run)
}

async fn json(stage: &Stage, arguments: &[&str]) -> anyhow::Result<Value> {
    let told = stage.command(arguments).await?;
    serde_json::from_str(&told.stdout.join("\n")).with_context(|| told.stdout.join("\n"))
}

/// Where there is what kind of value; `null` beside another kind is left out.
fn shape(value: &Value, place: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                shape(member, &format!("{place}.{name}"), found);
            }
        }
        Value::Array(elements) => {
            found.insert(format!("{place}[]"));
            for element in elements {
                shape(element, &format!("{place}[]"), found);
            }
        }
        Value::Null => {}
        Value::Bool(_) => drop(found.insert(format!("{place}: bool"))),
        Value::Number(_) => drop(found.insert(format!("{place}: number"))),
        Value::String(_) => drop(found.insert(format!("{place}: string"))),
    }
}

fn shown(value: &Value) -> String {
    let mut found = BTreeSet::new();
    shape(value, "", &mut found);
    found.into_iter().collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn the_json_of_a_run_and_of_the_status_keeps_its_shape() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let stage = stage(folder.path()).await?;
    let run = settled(&stage).await?;
    let told = json(&stage, &["runs", "show", &run, "--json"]).await?;
    insta::assert_snapshot!("run", shown(&told));
    let handlers = told["way"]["handlers"].as_array().context("no handlers")?;
    let ends: Vec<String> = handlers
        .iter()
        .map(|step| format!("{} {}", step["what"], step["text"]).replace('"', ""))
        .collect();
    assert_eq!(
        ends,
        ["choosy kept back by filter events", "erp delivered", "strict given up"]
    );
    insta::assert_snapshot!("status", shown(&status(&stage).await?));
    insta::assert_snapshot!(
        "unknown_run",
        shown(&json(&stage, &["runs", "show", "nobody", "--json"]).await?)
    );
    Ok(())
}

/// The status, once the worker has said in it what has come and that a sweep has ended.
async fn status(stage: &Stage) -> anyhow::Result<Value> {
    let said = async {
        loop {
            let status = json(stage, &["status", "--json"]).await?;
            let org = &status["organizations"][0];
            if org["last_webhook"].is_string() && org["last_sweep"]["finished_at"].is_string() {
                return Ok(status);
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), said)
        .await
        .context("the worker does not say what has come")?
}

/// A command that goes on until it is stopped.
struct Following {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Following {
    fn start(stage: &Stage, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut child = stage.settings().beside(arguments)?.stdout(Stdio::piped()).spawn()?;
        let lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        Ok(Self { child, lines })
    }

    async fn says(&mut self, what: &str) -> anyhow::Result<()> {
        let search = async {
            while let Some(line) = self.lines.next_line().await? {
                if line.contains(what) {
                    return Ok(());
                }
            }
            anyhow::bail!("it ended and did not say {what:?}")
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), search)
            .await
            .with_context(|| format!("it does not say {what:?}"))?
    }

    /// Stops it as Ctrl-C does; its exit status.
    async fn stop(mut self) -> anyhow::Result<Option<i32>> {
        let id = i32::try_from(self.child.id().context("it has ended")?)?;
        kill(Pid::from_raw(id), Signal::SIGINT)?;
        Ok(self.child.wait().await?.code())
    }
}

#[tokio::test]
async fn a_story_and_the_status_are_followed_until_they_are_stopped() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let stage = stage(folder.path()).await?;
    let run = settled(&stage).await?;
    let mut story = Following::start(&stage, &["runs", "show", &run, "--follow"])?;
    story.says("Delivered to erp: event 1").await?;
    stage.sim.complete_next(&run)?;
    story.says("Event 2: changed").await?;
    story.says("Delivered to erp: event 2").await?;
    assert_eq!(story.stop().await?, Some(0));

    let mut status = Following::start(&stage, &["status", "--watch"])?;
    status.says("Handlers").await?;
    stage.command(&["handlers", "pause", "erp"]).await?;
    status.says("paused").await?;
    // Somebody should look at it: that is what the exit status says, too.
    assert_eq!(status.stop().await?, Some(4));
    Ok(())
}

/// The line of the log that tells of the same thing, by the words that both use.
fn line_of<'l>(item: &Value, log: &'l [Value]) -> Option<&'l Value> {
    let title = item["title"].as_str().unwrap_or_default();
    let event = item["event"].as_str();
    let of_event = |line: &&Value| event.is_some() && line["event_id"].as_str() == event;
    let of_handler = |line: &&Value| line["handler"] == item["handler"];
    let says = |message: &'static str| move |line: &&Value| line["message"] == message;
    let mut lines = log.iter();
    match item["kind"].as_str()? {
        "webhook" => {
            let what = title.strip_prefix("Webhook: ")?;
            lines.find(|line| line["message"] == "notification stored" && line["webhook_event"] == what)
        }
        "fetch" if title.starts_with("Fetch: ") => lines.find(says("run fetched")),
        "event" => {
            let word = title.rsplit(' ').next()?;
            lines.find(|line| of_event(line) && line["event_type"].as_str().is_some_and(|of| of.contains(word)))
        }
        "attempt" if title.starts_with("Delivered to ") => {
            lines.find(|line| says("event delivered")(line) && of_event(line) && of_handler(line))
        }
        "attempt" if title.starts_with("Not delivered to ") => lines.find(|line| {
            says("event not delivered, it is tried again")(line)
                && of_event(line)
                && of_handler(line)
                && line["reason"].as_str().is_some_and(|reason| title.ends_with(reason))
        }),
        "attempt" if title.starts_with("Given up for ") => lines.find(|line| {
            says("event given up: it is a dead letter now")(line)
                && of_handler(line)
                && item["details"].to_string().contains("it is a dead letter now")
                && line["reason"].as_str().is_some_and(|reason| title.ends_with(reason))
        }),
        // What is not for a handler is told by nobody else: nothing happens.
        "not_for" => log.first(),
        _ => None,
    }
}

#[tokio::test]
async fn the_log_tells_what_the_story_tells_in_the_same_words() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let stage = stage(folder.path()).await?;
    let run = settled(&stage).await?;
    let told = json(&stage, &["runs", "show", &run, "--json"]).await?;
    let log: Vec<Value> = stage
        .worker
        .log()
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["run"] == run.as_str())
        .collect();
    let items = told["items"].as_array().context("no items")?;
    let kinds: BTreeSet<&str> = items.iter().filter_map(|item| item["kind"].as_str()).collect();
    ensure!(
        kinds == BTreeSet::from(["attempt", "event", "fetch", "not_for", "webhook"]),
        "{kinds:?}"
    );
    for item in items {
        ensure!(line_of(item, &log).is_some(), "the log does not tell {item}: {log:#?}");
    }
    Ok(())
}
