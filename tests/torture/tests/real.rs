//! The torture itself: it reaches every point, finds nothing in the worker, and finds each deliberate defect.

use std::time::Duration;

use torture::campaign::Campaign;
use torture::plan::Plan;
use torture::points::{Rig, points};
use torture::round;

/// How many rounds a deliberate defect may go unnoticed.
const ROUNDS: u64 = 12;

#[tokio::test]
async fn the_worker_dies_at_every_named_point_once_and_loses_nothing() -> anyhow::Result<()> {
    let campaign = Campaign {
        seed: 1,
        rounds: Some(0),
        time: Duration::ZERO,
        point: None,
        occurrences: 1,
        io_faults: 0,
    };
    let total = campaign.run(|_, _| {}).await?;
    let wrong: Vec<_> = total.failed.iter().flat_map(|report| &report.wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(total.reached, points(Rig::File)?);
    Ok(())
}

/// What the judge says of a worker with a deliberate defect, the first time that it says anything.
async fn caught(defect: &'static str) -> anyhow::Result<String> {
    for seed in 1..=ROUNDS {
        let report = round::play(&Plan::sabotaged(defect, seed)).await?;
        if let Some(folder) = &report.folder {
            std::fs::remove_dir_all(folder)?;
            return Ok(report.wrong.join("\n"));
        }
    }
    anyhow::bail!("nobody noticed in {ROUNDS} rounds")
}

#[tokio::test]
async fn a_worker_that_answers_before_it_writes_is_caught() -> anyhow::Result<()> {
    let wrong = caught("answer-before-fsync").await?;
    assert!(wrong.contains("lost: "), "{wrong}");
    Ok(())
}

#[tokio::test]
async fn a_worker_that_settles_before_it_calls_is_caught() -> anyhow::Result<()> {
    let wrong = caught("settle-before-call").await?;
    assert!(wrong.contains("lost: ") || wrong.contains("order: "), "{wrong}");
    Ok(())
}

#[tokio::test]
async fn a_worker_that_ignores_fencing_numbers_is_caught() -> anyhow::Result<()> {
    let wrong = caught("no-fence").await?;
    // What the later lease covers is lost, too, where the earlier one ends it.
    let kinds = ["truth: ", "ids: ", "lost: "];
    assert!(kinds.iter().any(|kind| wrong.contains(kind)), "{wrong}");
    Ok(())
}

#[tokio::test]
async fn a_worker_that_lets_go_of_the_log_too_soon_is_caught() -> anyhow::Result<()> {
    let wrong = caught("recycle-before-durable").await?;
    assert!(wrong.contains("lost: "), "{wrong}");
    Ok(())
}

#[tokio::test]
async fn a_worker_that_forgets_what_is_owed_is_caught() -> anyhow::Result<()> {
    let wrong = caught("forget-debts").await?;
    assert!(wrong.contains("without a sweep, run "), "{wrong}");
    Ok(())
}

#[tokio::test]
async fn a_worker_that_believes_older_answers_is_caught() -> anyhow::Result<()> {
    let wrong = caught("believe-older").await?;
    assert!(wrong.contains("saw a state go back"), "{wrong}");
    Ok(())
}
