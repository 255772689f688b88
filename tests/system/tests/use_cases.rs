//! The examples of `tallyfy-runs`, run against the simulator.
#![allow(dead_code, reason = "an example has a main of its own")]
#![allow(clippy::duplicate_mod, reason = "each example connects as the others do")]

use std::error::Error;
use std::sync::Arc;

use tallyfy_runs::{Client, GetTaskOptions, TaskInclude};
use tallyfy_sim::{SimConfig, Simulator};

#[path = "../../../crates/tallyfy-runs/examples/archive.rs"]
mod archive;
#[path = "../../../crates/tallyfy-runs/examples/complete.rs"]
mod complete;
#[path = "../../../crates/tallyfy-runs/examples/launch.rs"]
mod launch;
#[path = "../../../crates/tallyfy-runs/examples/list_runs.rs"]
mod list_runs;
#[path = "../../../crates/tallyfy-runs/examples/open_tasks.rs"]
mod open_tasks;
#[path = "../../../crates/tallyfy-runs/examples/overdue.rs"]
mod overdue;
#[path = "../../../crates/tallyfy-runs/examples/reassign.rs"]
mod reassign;
#[path = "../../../crates/tallyfy-runs/examples/reopen.rs"]
mod reopen;
#[path = "../../../crates/tallyfy-runs/examples/templates.rs"]
mod templates;

/// Long enough ago for every deadline to have passed.
#[derive(Debug)]
struct LongAgo;

impl tallyfy_sim::clock::Clock for LongAgo {
    fn now(&self) -> tallyfy_runs::Timestamp {
        tallyfy_runs::Timestamp::from_second(1_767_600_000).unwrap_or_default()
    }
}

#[tokio::test]
async fn every_example_does_what_it_says() -> Result<(), Box<dyn Error>> {
    let clock = Arc::new(LongAgo);
    let sim = Simulator::start(SimConfig {
        clock,
        ..SimConfig::default()
    })
    .await?;
    let client = Client::builder(sim.org(), sim.token())
        .base_url(sim.api_url())
        .build()?;
    let (template, member) = (sim.founding().onboarding.clone(), sim.founding().member.to_string());
    assert_eq!(templates::run(&client).await?, 2);
    let answers = ["Company=Globex".to_owned(), "Plan=Growth".to_owned()];
    let run = launch::run(&client, &template, "Onboarding of Globex", &answers).await?;
    list_runs::run(&client).await?;
    open_tasks::run(&client, None).await?;

    let tasks = sim.tasks(run.id().as_str())?;
    assert_eq!(overdue::run(&client, &template).await?, tasks.len());
    let threads = GetTaskOptions::default().with_includes([TaskInclude::Threads]);
    assert_eq!(
        client
            .get_task(tasks[0].id.as_str(), &threads)
            .await?
            .threads
            .iter()
            .count(),
        1
    );

    reassign::run(&client, &tasks[0].id, &member).await?;
    complete::run(&client, &tasks[0].id, &["Tax number=17".to_owned()]).await?;
    assert!(
        complete::run(&client, &tasks[0].id, &[]).await.is_err(),
        "once is enough"
    );
    assert_eq!(overdue::run(&client, &template).await?, tasks.len() - 1);
    reopen::run(&client, &tasks[0].id).await?;
    assert!(reopen::run(&client, &tasks[0].id).await.is_err(), "it is open");
    archive::run(&client, run.id().as_str()).await?;
    assert!(sim.run(run.id().as_str())?.archived_at.is_some());
    archive::run(&client, run.id().as_str()).await?;
    assert!(sim.run(run.id().as_str())?.archived_at.is_none());
    Ok(())
}
