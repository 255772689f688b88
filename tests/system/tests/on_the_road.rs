//! What stands between the worker and the API, and runs that the API cannot serve.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::http::StatusCode;
use system_tests::{ReceivedEvent, Stage, words};
use tallyfy_sim::SimConfig;
use tallyfy_sim::faults::{Fault, FaultRule};

fn completed(run: &str) -> String {
    format!(r#"{{"this_task":{{"id":"t1","completed_at":"2026-01-31T09:00:00Z"}},"process":{{"id":"{run}"}}}}"#)
}

/// What firewalls, gateways, frameworks and other servers answer in the place of the API.
const STRANGE: &[(u16, &str)] = &[
    (403, "<html><body>Access denied</body></html>"),
    (403, r#"{"message":"Forbidden"}"#),
    (403, r#"{"Message":"User is not authorized to access this resource"}"#),
    (
        403,
        r#"{"success":false,"errors":[{"code":1020,"message":"Access denied"}]}"#,
    ),
    (
        403,
        r#"{"error":{"code":403,"message":"The caller may not","status":"PERMISSION_DENIED"}}"#,
    ),
    (403, ""),
    (404, r#"{"message":"Not Found"}"#),
    (404, "404 page not found"),
    (404, r#"{"message":"The route api/organizations could not be found."}"#),
    (
        404,
        r#"{"message":"Cannot GET /runs","error":"Not Found","statusCode":404}"#,
    ),
    (404, r#"{"status":404,"error":"Not Found"}"#),
    (404, r#"{"type":"about:blank","title":"Not Found","status":404}"#),
    (404, r#"{"detail":"Not found."}"#),
    (404, "<!doctype html><title>404</title>"),
    (404, "[]"),
    (404, ""),
    (407, "<html>proxy authentication required</html>"),
    (410, "<html>Gone</html>"),
    (451, "blocked by your administrator"),
    (200, "<html><form>please log in</form></html>"),
    (302, ""),
];

/// What the API says of a run that is gone, or that is not to be seen.
const OWN: &[(u16, &str)] = &[
    (
        404,
        r#"{"error":true,"message":"Resource not found","code":"RESOURCE_NOT_FOUND"}"#,
    ),
    (404, r#"{"error":{"code":"RESOURCE_GONE","message":"It was deleted"}}"#),
    (403, r#"{"error":"Forbidden","message":"You may not see this"}"#),
];

/// How often each run was asked for.
type Asked = Arc<Mutex<BTreeMap<String, usize>>>;

/// A server that answers for each run, named by its number, with one of these; whether it has a list of runs.
struct Road {
    url: String,
    asked: Asked,
    task: tokio::task::JoinHandle<()>,
}

impl Road {
    async fn to(answers: &'static [(u16, &'static str)], lists: bool) -> anyhow::Result<Self> {
        let asked = Asked::default();
        let counted = Arc::clone(&asked);
        let run = move |axum::extract::Path((_, run)): axum::extract::Path<(String, String)>| async move {
            let mut asked = counted.lock().unwrap_or_else(PoisonError::into_inner);
            let answer = run
                .strip_prefix("run")
                .and_then(|number| answers.get(number.parse::<usize>().ok()?));
            *asked.entry(run).or_default() += 1;
            let (status, body) = answer.copied().unwrap_or((500, ""));
            (StatusCode::from_u16(status).unwrap_or_default(), body)
        };
        let list = move || async move {
            if lists {
                (
                    StatusCode::OK,
                    r#"{"data":[],"meta":{"pagination":{"total":0,"count":0,"per_page":1,"current_page":1,"total_pages":1}}}"#,
                )
            } else {
                (StatusCode::FORBIDDEN, "<html><body>Access denied</body></html>")
            }
        };
        let routes = axum::Router::new()
            .route("/organizations/{org}/runs/{run}", axum::routing::get(run))
            .route("/organizations/{org}/runs", axum::routing::get(list));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let task = tokio::spawn(async { drop(axum::serve(listener, routes).await) });
        Ok(Self { url, asked, task })
    }

    /// A worker that fetches along this road, and was told of the first so many runs.
    async fn stage(&self, runs: usize) -> anyhow::Result<Stage> {
        let mut environment = vec![("TALLYFY_BASE_URL", self.url.as_str())];
        environment.extend(QUICK);
        let stage = Stage::set(SimConfig::default(), &environment).await?;
        for number in 0..runs {
            stage.tell(&completed(&format!("run{number}"))).await?;
        }
        Ok(stage)
    }

    async fn until_each_was_asked_for(&self, runs: usize, times: usize) -> anyhow::Result<()> {
        let enough = async {
            loop {
                let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if asked.len() == runs && asked.values().all(|count| *count >= times) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), enough).await;
        waited.with_context(|| format!("asked for: {:?}", self.asked))
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const QUICK: [(&str, &str); 3] = [
    ("RUNS_WORKER__REFRESH__RETRY_INITIAL", "10ms"),
    ("RUNS_WORKER__REFRESH__RETRY_MAX", "50ms"),
    ("RUNS_WORKER__RECONCILE__SCOPE", "off"),
];

fn is_about(word: &str, events: &[ReceivedEvent]) -> bool {
    events.iter().any(|event| event.word() == word)
}

#[tokio::test]
async fn answers_that_are_not_the_apis_are_believed_of_one_run_at_most() -> anyhow::Result<()> {
    // Whether or not the list of runs is answered, strange answers about many runs are something on the road.
    for lists in [false, true] {
        let road = Road::to(STRANGE, lists).await?;
        let stage = road.stage(STRANGE.len()).await?;
        road.until_each_was_asked_for(STRANGE.len(), 20).await?;
        ensure!(stage.worker.events().is_empty(), "{:?}", stage.worker.events());
    }
    // About one run, where the API answers otherwise, they are not; nor where it does not.
    let road = Road::to(&STRANGE[6..7], true).await?;
    let stage = road.stage(1).await?;
    stage.worker.wait_for_events(|events| is_about("gone", events)).await?;
    let road = Road::to(&STRANGE[..1], true).await?;
    let stage = road.stage(1).await?;
    let told = stage.worker.wait_for_events(|events| is_about("inaccessible", events));
    told.await?;
    Ok(())
}

#[tokio::test]
async fn the_apis_own_words_are_believed() -> anyhow::Result<()> {
    let road = Road::to(OWN, false).await?;
    let stage = road.stage(OWN.len()).await?;
    let events = stage.worker.wait_for_events(|events| events.len() >= OWN.len()).await?;
    for (number, (status, _)) in OWN.iter().enumerate() {
        let run = format!("run{number}");
        let word = if *status == 404 { "gone" } else { "inaccessible" };
        ensure!(words(&events, &run) == [word], "{run}: {events:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_run_that_the_api_cannot_serve_is_given_up_and_keeps_nothing_else_waiting() -> anyhow::Result<()> {
    // A login page is an answer of 302, or of 200 after it was followed.
    for (fault, reason) in [
        (Fault::Status { status: 500 }, "500"),
        (Fault::Status { status: 302 }, "302"),
        (Fault::Status { status: 422 }, "422"),
        (Fault::Html { status: 200 }, "JSON"),
        (Fault::EmptyBody, "JSON"),
        (Fault::Status { status: 410 }, "410"),
        (Fault::Status { status: 451 }, "451"),
        (Fault::Truncated, ""),
        (Fault::Dropped, ""),
        (Fault::OtherRun, ""),
    ] {
        is_given_up(fault, reason).await?;
    }
    Ok(())
}

async fn is_given_up(fault: Fault, reason: &str) -> anyhow::Result<()> {
    let mut environment = vec![("RUNS_WORKER__REFRESH__GIVE_UP_AFTER", "1s")];
    environment.extend(QUICK);
    let stage = Stage::set(SimConfig::default(), &environment).await?;
    stage.connect_templates()?;
    let broken = stage.sim.launch("Broken")?;
    let rule = stage.sim.faults().add(FaultRule::always(fault).on_run(&broken));
    let header = [("x-tallyfy-orgid", stage.sim.org())];
    stage.post(&header, completed(&broken).as_bytes()).await?;
    let told = |run: &str, word: &str, events: &[ReceivedEvent]| {
        let event_type = format!("com.tallyfy.run.{word}.v1");
        events
            .iter()
            .any(|event| event.run() == run && event.json["type"] == event_type.as_str())
    };
    stage.worker.wait_for_log_lines(|log| log.len() > 3).await?;
    // Nothing else waits: the circuit stays closed.
    let other = stage.sim.launch("Other")?;
    stage
        .worker
        .wait_for_events(|events| told(&other, "seen", events))
        .await?;
    let events = stage
        .worker
        .wait_for_events(|events| told(&broken, "inaccessible", events))
        .await?;
    let event = events
        .iter()
        .find(|event| event.run() == broken)
        .map(|event| &event.json["data"]);
    assert!(
        event.is_some_and(|data| data["reason"].to_string().contains(reason)),
        "{event:?}"
    );
    assert!(stage.get("/metrics").await?.contains(r#"outcome="given up""#));
    // A person asks again.
    drop(rule);
    stage.sim.faults().clear();
    let asked = stage.command(&["refresh", &broken]).await?;
    ensure!(asked.status.success(), "{asked:?}");
    stage
        .worker
        .wait_for_events(|events| told(&broken, "seen", events))
        .await?;
    Ok(())
}
