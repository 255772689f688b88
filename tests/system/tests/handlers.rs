//! Handlers beside each other: one that fails, one that is slow, one that is fine.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use serde_json::Value;
use system_tests::Stage;
use tallyfy_sim::SimConfig;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// A receiver of events, which can be made to fail or to keep everybody waiting.
#[derive(Clone)]
struct Receiver {
    mood: watch::Sender<Mood>,
    /// Every event that was answered with 2xx, in the order in which they came.
    taken: Arc<Mutex<Vec<Taken>>>,
    count: watch::Sender<usize>,
}

#[derive(Clone)]
struct Taken {
    run: String,
    number: u64,
    event_type: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Fine,
    Failing,
    Waiting,
}

impl Receiver {
    async fn start(mood: Mood) -> anyhow::Result<(Self, String)> {
        let receiver = Self {
            mood: watch::Sender::new(mood),
            taken: Arc::default(),
            count: watch::Sender::new(0),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let answering = receiver.clone();
        let routes = Router::new().fallback(move |body: Bytes| {
            let receiver = answering.clone();
            async move { receiver.answer(&body).await }
        });
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok((receiver, url))
    }

    async fn answer(&self, body: &[u8]) -> StatusCode {
        let mut mood = self.mood.subscribe();
        // A test that has ended needs no answer.
        let _ = mood.wait_for(|mood| *mood != Mood::Waiting).await;
        if *mood.borrow() == Mood::Failing {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        let Ok(event) = serde_json::from_slice::<Value>(body) else {
            return StatusCode::BAD_REQUEST;
        };
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let event = Taken {
            run: text("subject"),
            number: text("sequence").parse().unwrap_or_default(),
            event_type: text("type"),
        };
        let count = {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.push(event);
            taken.len()
        };
        self.count.send_replace(count);
        StatusCode::NO_CONTENT
    }

    fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The highest number of each run. An event that comes ahead of the one before it is an error.
    fn newest(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        let mut newest = BTreeMap::new();
        for Taken { run, number, .. } in self.taken() {
            let last = newest.entry(run.clone()).or_default();
            anyhow::ensure!(
                number <= *last + 1,
                "event {number} of run {run} came after event {last}"
            );
            *last = number.max(*last);
        }
        Ok(newest)
    }

    fn has_completed(&self, run: &str) -> bool {
        let is_end = |taken: &Taken| taken.run == run && taken.event_type == "com.tallyfy.run.completed.v1";
        self.taken().iter().any(is_end)
    }

    async fn wait_for(&self, enough: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let mut count = self.count.subscribe();
        let wait = async {
            while !enough(self) {
                count.changed().await?;
            }
            Ok(())
        };
        tokio::time::timeout(Duration::from_secs(60), wait)
            .await
            .context("the events did not come")?
    }
}

#[tokio::test]
async fn a_handler_that_fails_and_one_that_is_slow_hold_nobody_back() -> anyhow::Result<()> {
    let (failing, failing_url) = Receiver::start(Mood::Failing).await?;
    let (slow, slow_url) = Receiver::start(Mood::Waiting).await?;
    let (fine, fine_url) = Receiver::start(Mood::Fine).await?;
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("worker.toml");
    let handler = |name: &str, url: &str| {
        format!(
            "[[handlers]]\nname = \"{name}\"\ntype = \"http\"\nurl = \"{url}\"\nretry_initial = \"10ms\"\nretry_max = \"50ms\"\nmax_attempts = 100000\n"
        )
    };
    std::fs::write(
        &config,
        [
            handler("failing", &failing_url),
            handler("slow", &slow_url),
            handler("fine", &fine_url),
        ]
        .concat(),
    )?;
    let mut stage = Stage::set(
        SimConfig::default(),
        &[
            ("RUNS_WORKER_CONFIG", &config.display().to_string()),
            ("RUNS_WORKER__REFRESH__WINDOW", "0s"),
        ],
    )
    .await?;
    stage.connect_templates()?;

    let mut runs = Vec::new();
    for number in 0..20 {
        runs.push(stage.sim.launch(&format!("Order {number}"))?);
    }
    for run in &runs {
        while stage.sim.complete_next(run)?.is_some() {
            stage.sim.settle().await;
        }
    }
    // While one fails and one keeps everybody waiting, the third gets everything.
    fine.wait_for(|fine| runs.iter().all(|run| fine.has_completed(run)))
        .await?;
    assert_eq!((failing.taken().len(), slow.taken().len()), (0, 0));

    // A kill in between changes nothing of it.
    stage.kill_and_restart().await?;
    for receiver in [&failing, &slow] {
        receiver.mood.send_replace(Mood::Fine);
        receiver
            .wait_for(|receiver| runs.iter().all(|run| receiver.has_completed(run)))
            .await?;
    }
    for receiver in [&failing, &slow, &fine] {
        assert_eq!(receiver.newest()?.len(), runs.len());
    }
    Ok(())
}
