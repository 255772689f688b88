//! The torture with several workers: it reaches every point of the PostgreSQL store, finds nothing in the workers, and finds
//! each deliberate defect. It starts servers of its own.

use std::time::Duration;

use system_tests::PostgresServer;
use torture::points::{Rig, points};
use torture::several::campaign::SeveralCampaign;
use torture::several::plan::SeveralPlan;
use torture::several::{Server, round};

const WORKERS: usize = 3;

/// How many rounds a deliberate defect may go unnoticed.
const ROUNDS: u64 = 12;

#[expect(clippy::print_stderr, reason = "a person has to see that nothing was tested")]
fn is_there() -> bool {
    let is_there = PostgresServer::programs().is_some();
    if !is_there {
        assert!(std::env::var_os("CI").is_none(), "PostgreSQL has to be installed in CI");
        eprintln!("SKIPPED: nothing was tested, because PostgreSQL is not installed");
    }
    is_there
}

#[tokio::test]
async fn a_worker_dies_at_every_named_point_once_and_nothing_is_lost() -> anyhow::Result<()> {
    if !is_there() {
        return Ok(());
    }
    let campaign = SeveralCampaign {
        workers: WORKERS,
        seed: 1,
        rounds: Some(2),
        time: Duration::ZERO,
        point: None,
        occurrences: 1,
    };
    let total = campaign.run(|_, _| {}).await?;
    let wrong: Vec<_> = total.failed.iter().flat_map(|report| &report.wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(total.reached, points(Rig::Postgres)?);
    Ok(())
}

/// What the judge says of workers with a deliberate defect, the first time that it says anything.
async fn caught(defect: &'static str) -> anyhow::Result<Option<String>> {
    if !is_there() {
        return Ok(None);
    }
    let server = Server::start().await?;
    for seed in 1..=ROUNDS {
        let report = round::play(&SeveralPlan::sabotaged(defect, WORKERS, seed), &server).await?;
        if let Some(folder) = &report.folder {
            std::fs::remove_dir_all(folder)?;
            return Ok(Some(report.wrong.join("\n")));
        }
    }
    anyhow::bail!("nobody noticed in {ROUNDS} rounds")
}

#[tokio::test]
async fn workers_that_commit_without_a_fence_are_caught() -> anyhow::Result<()> {
    if let Some(wrong) = caught("no-fence").await? {
        assert!(wrong.contains("truth: ") || wrong.contains("ids: "), "{wrong}");
    }
    Ok(())
}

#[tokio::test]
async fn workers_that_renew_a_seat_by_their_own_clocks_are_caught() -> anyhow::Result<()> {
    if let Some(wrong) = caught("seat-by-own-clock").await? {
        assert!(wrong.contains("liveness: "), "{wrong}");
    }
    Ok(())
}

#[tokio::test]
async fn workers_that_claim_without_a_lock_are_caught() -> anyhow::Result<()> {
    if let Some(wrong) = caught("claim-unlocked").await? {
        assert!(wrong.contains("order: "), "{wrong}");
    }
    Ok(())
}
