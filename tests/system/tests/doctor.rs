//! `runs-worker check`, and the worker's own look at what is registered, by the real binary against the simulator.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use system_tests::Stage;
use tallyfy_sim::SimConfig;
use tallyfy_sim::world::{StepDraft, TemplateDraft};

/// The findings of `check --json`, by id: severity and message, hints left out.
async fn findings(stage: &Stage, only: &str) -> anyhow::Result<(Option<i32>, BTreeMap<String, Vec<String>>)> {
    let public = format!("http://{}", stage.worker.receive_address());
    let settings = stage
        .settings()
        .clone()
        .with("RUNS_WORKER__RECEIVE__PUBLIC_URL", &public);
    let exit = system_tests::run(&settings, &["check", "--json", "--only", only]).await?;
    let (stdout, stderr) = (exit.stdout.join("\n"), exit.stderr.join("\n"));
    let said: Value = serde_json::from_str(&stdout).with_context(|| format!("{stdout}{stderr}"))?;
    anyhow::ensure!(
        !stdout.contains(&stage.webhook_url()) && !stdout.contains("LEAK"),
        "a secret: {stdout}"
    );
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for finding in said["findings"].as_array().context("findings")? {
        let text = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
        let line = format!("{}: {}", text("severity"), text("message"));
        found.entry(text("id")).or_default().push(line);
    }
    Ok((exit.status.code(), found))
}

#[tokio::test]
async fn the_doctor_says_where_every_webhook_leads() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[]).await?;
    let (code, found) = findings(&stage, "registrations").await?;
    assert_eq!(code, Some(1), "{found:?}");
    assert!(
        found["registrations"]
            .contains(&"failure: no webhook leads here: changes are found by sweeps alone".to_owned()),
        "{found:?}"
    );

    stage.connect_templates()?;
    let (code, found) = findings(&stage, "registrations").await?;
    assert_eq!(code, Some(0), "{found:?}");
    assert_eq!(
        found["registrations"],
        ["ok: the webhooks of all 2 templates lead here"]
    );

    let url = stage.webhook_url();
    let wrong = url.replace("/webhooks/", "/webhooks/0ld");
    for draft in [
        TemplateDraft::new("A step elsewhere")
            .webhook(&url)
            .step(StepDraft::new("Sign").webhook("https://crm.example/hook?key=LEAK")),
        TemplateDraft::new("An old secret").webhook(&wrong),
        TemplateDraft::new("By a rule").automation(&url),
        TemplateDraft::new("Elsewhere").webhook("https://zapier.example/LEAK"),
    ] {
        stage.sim.add_template(&draft)?;
    }
    let (code, found) = findings(&stage, "registrations").await?;
    assert_eq!(code, Some(1), "{found:?}");
    insta::assert_snapshot!("registrations", found["registrations"].join("\n"));

    stage.connect_organization()?;
    stage.connect_organization()?;
    let (_, found) = findings(&stage, "registrations").await?;
    let found = found["registrations"].join("\n");
    assert!(found.contains("leads here 2 times"), "{found}");
    assert!(found.contains("\"Client onboarding\" come twice"), "{found}");
    Ok(())
}

#[tokio::test]
async fn a_webhook_that_is_switched_off_is_told_by_the_worker_and_by_the_doctor() -> anyhow::Result<()> {
    let every = ("RUNS_WORKER__RECONCILE__REGISTRATIONS_INTERVAL", "300ms");
    let mut stage = Stage::set(SimConfig::default(), &[every]).await?;
    stage.connect_templates()?;
    let looked =
        |line: &str| line.contains("the registered webhooks were looked at") && line.contains("\"not_here\":0");
    stage.worker.wait_for_log(looked).await?;
    let template = stage.sim.founding().onboarding.clone();
    stage.sim.change(|world| world.set_template_webhook(&template, None))?;

    let told = |line: &str| line.contains("webhooks do not come any more") && line.contains("Client onboarding");
    stage.worker.wait_for_log(told).await?;
    let ready = stage.get("/health/ready").await?;
    assert!(
        ready.contains("200 OK") && ready.contains("used to send its webhooks here"),
        "{ready}"
    );
    let metrics = stage.get("/metrics").await?;
    assert!(
        metrics.contains("runs_worker_registrations_lost{org=\"northwind\"} 1"),
        "{metrics}"
    );

    // It is remembered over a restart.
    stage.kill_and_restart().await?;
    stage.worker.wait_for_log(told).await?;
    let (code, found) = findings(&stage, "registrations").await?;
    assert_eq!(code, Some(1));
    let lost = "failure: the template \"Client onboarding\" used to send its webhooks here and does not any more";
    assert!(found["registrations"].contains(&lost.to_owned()), "{found:?}");
    Ok(())
}

#[tokio::test]
async fn the_doctor_looks_at_everything_and_changes_nothing() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[]).await?;
    stage.connect_templates()?;
    let run = stage.sim.launch("One")?;
    stage
        .worker
        .wait_for_events(|events| events.iter().any(|event| event.run() == run))
        .await?;
    let calls_that_write =
        |calls: &BTreeMap<String, u64>| calls.keys().filter(|route| !route.starts_with("GET ")).count();
    let (_, found) = findings(
        &stage,
        "configuration,store,workers,ports,data-folder,free-space,fsync,secrets,api,clock,token,webhooks,handlers,public-url",
    )
    .await?;
    for (id, expected) in [
        ("store", "in use by"),
        ("workers", "one worker at a time"),
        ("ports", "a worker runs"),
        ("data-folder", "can be written"),
        ("fsync", "durable after"),
        ("clock", "agrees"),
        ("token", "Ada Okafor <ada@northwind.example> (admin)"),
        ("webhooks", "the last webhook came at"),
        ("handlers", "standard output"),
        ("public-url", "answers"),
    ] {
        let told = found.get(id).map(|lines| lines.join("\n")).unwrap_or_default();
        assert!(told.contains(expected) && !told.contains("failure"), "{id}: {told}");
    }
    assert_eq!(calls_that_write(&stage.sim.requests().by_route()), 0);
    assert!(!stage.folder().join("data/registrations.json").exists());
    Ok(())
}

#[tokio::test]
async fn an_api_that_hangs_costs_no_more_than_the_time_that_is_given() -> anyhow::Result<()> {
    let stage = Stage::set(SimConfig::default(), &[("RUNS_WORKER__RECONCILE__SCOPE", "off")]).await?;
    stage.sim.faults().add(tallyfy_sim::faults::FaultRule::always(
        tallyfy_sim::faults::Fault::Latency {
            by: Duration::from_secs(3600),
        },
    ));
    let begun = std::time::Instant::now();
    let exit = stage
        .command(&["check", "--only", "api,token", "--timeout", "300ms"])
        .await?;
    let said = exit.stdout.join("\n");
    assert_eq!(exit.status.code(), Some(1), "{said}");
    assert!(said.contains("does not answer within 300ms"), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(30));
    let unknown = stage.command(&["check", "--only", "tokens"]).await?;
    let said = unknown.stderr.join("\n");
    assert!(
        unknown.status.code() == Some(2) && said.contains("did you mean `token`?"),
        "{said}"
    );
    Ok(())
}
