//! What stands between the worker and the API, and runs that the API cannot serve.

use anyhow::ensure;
use system_tests::{ReceivedEvent, Stage};
use tallyfy_sim::SimConfig;
use tallyfy_sim::faults::{Fault, FaultRule};

fn completed(run: &str) -> String {
    format!(r#"{{"this_task":{{"id":"t1","completed_at":"2026-01-31T09:00:00Z"}},"process":{{"id":"{run}"}}}}"#)
}

/// A firewall's page, or a gateway's or a framework's words, in the place of the API.
async fn strange_answers(
    runs: &'static [&'static str],
    lists: bool,
) -> anyhow::Result<(String, tokio::task::JoinHandle<()>)> {
    use axum::extract::Path;
    use axum::http::StatusCode;
    let run = move |Path((_, run)): Path<(String, String)>| async move {
        let body = match runs.iter().position(|known| *known == run).unwrap_or(0) % 4 {
            0 => "<html><body>Access denied</body></html>",
            1 => r#"{"message":"Not Found"}"#,
            2 => "404 page not found",
            _ => "",
        };
        (StatusCode::FORBIDDEN, body)
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
    Ok((url, tokio::spawn(async { drop(axum::serve(listener, routes).await) })))
}

const QUICK: [(&str, &str); 3] = [
    ("RUNS_WORKER__REFRESH__RETRY_INITIAL", "10ms"),
    ("RUNS_WORKER__REFRESH__RETRY_MAX", "50ms"),
    ("RUNS_WORKER__RECONCILE__SCOPE", "off"),
];

#[tokio::test]
async fn answers_that_are_not_the_apis_are_believed_of_one_run_at_most() -> anyhow::Result<()> {
    for (runs, lists, is_told) in [
        (&["a", "b", "c", "d", "e", "f", "g", "h"][..], true, false),
        (&["a"][..], false, false),
        (&["b"][..], true, true),
    ] {
        let (url, server) = strange_answers(runs, lists).await?;
        let mut environment = vec![
            ("TALLYFY_BASE_URL", url.as_str()),
            ("RUNS_WORKER__LOG__FILTER", "debug"),
        ];
        environment.extend(QUICK);
        let stage = Stage::set(SimConfig::default(), &environment).await?;
        for run in runs {
            stage
                .post(&[("x-tallyfy-orgid", stage.sim.org())], completed(run).as_bytes())
                .await?;
        }
        if is_told {
            let inaccessible = |events: &[ReceivedEvent]| {
                events
                    .iter()
                    .any(|event| event.json["type"] == "com.tallyfy.run.inaccessible.v1")
            };
            stage.worker.wait_for_events(inaccessible).await?;
        } else {
            let refused = |log: &[String]| {
                log.iter()
                    .filter(|line| line.contains("not the API's own answer"))
                    .count()
                    >= 20 * runs.len()
            };
            stage.worker.wait_for_log_lines(refused).await?;
            ensure!(stage.worker.events().is_empty(), "{:?}", stage.worker.events());
        }
        server.abort();
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
