//! What happens to runs without a person, of which no webhook tells: sweeps find it, and each thing leads to its event.

use anyhow::{Context, ensure};
use system_tests::Stage;
use tallyfy_sim::SimConfig;

#[tokio::test]
async fn what_jobs_and_admins_do_leads_to_the_right_events() -> anyhow::Result<()> {
    // What is not there any more is believed soon.
    let soon = [
        ("RUNS_WORKER__REFRESH__RETRY_INITIAL", "10ms"),
        ("RUNS_WORKER__REFRESH__RETRY_MAX", "300ms"),
    ];
    let stage = Stage::set(SimConfig::default(), &soon).await?;
    let (org, admin) = (stage.sim.org().to_owned(), stage.sim.founding().admin);
    let run = stage.sim.launch("Order")?;
    told(&stage, &run, "seen", 1).await?;

    // The job for overdue tasks.
    stage.sim.change(|world| world.complete_overdue(&run))?;
    told(&stage, &run, "completed", 1).await?;

    // An issue with a completed task reopens it, and the run.
    let task = stage.sim.tasks(&run)?.first().context("a task")?.id.clone();
    stage
        .sim
        .change(|world| world.raise_issue(&task, admin, "This is not done"))?;
    told(&stage, &run, "reactivated", 1).await?;
    stage
        .sim
        .change(|world| world.resolve_issues(&task, admin, "Now it is"))?;
    stage.sim.change(|world| world.complete_overdue(&run))?;
    told(&stage, &run, "completed", 2).await?;

    // The job that archives, and an admin who deletes for good.
    stage.sim.change(|world| world.archive_completed(&org))?;
    told(&stage, &run, "archived", 1).await?;
    stage.sim.change(|world| world.delete_archived(&run))?;
    told(&stage, &run, "gone", 1).await?;
    ensure!(stage.sim.ledger().is_empty(), "a webhook told of it");
    Ok(())
}

/// Sweeps, and waits for so many events of a type.
async fn told(stage: &Stage, run: &str, word: &str, times: usize) -> anyhow::Result<()> {
    let event_type = format!("com.tallyfy.run.{word}.v1");
    let swept = stage.command(&["sync", "--backfill"]).await?;
    ensure!(swept.status.success(), "{swept:?}");
    let events = stage.worker.wait_for_events(|events| {
        let of_type = events
            .iter()
            .filter(|event| event.run() == run && event.json["type"] == event_type.as_str());
        of_type.count() >= times
    });
    events.await.map(drop).with_context(|| event_type.clone())
}
