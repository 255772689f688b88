//! `cargo xtask torture`

use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use torture::campaign::Campaign;

#[derive(Args, Default)]
pub(crate) struct Torture {
    /// Go on for so long, at every occurrence of every point and with many more failing system calls
    #[arg(long, value_name = "N")]
    minutes: Option<u64>,
    /// Only so many random rounds
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// What decides the operations, the faults and the kills
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Only die at this point, such as `writer.before-commit`, at its every occurrence
    #[arg(long, value_name = "NAME")]
    point: Option<String>,
}

impl Torture {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let seed = self.seed.unwrap_or(now.as_secs());
        if let Some(point) = &self.point {
            ensure!(
                torture::points::points()?.contains(point),
                "there is no point `{point}`; there are: {}",
                torture::points::points()?.into_iter().collect::<Vec<_>>().join(", ")
            );
        }
        let is_random_only = self.rounds.is_some() && self.point.is_none();
        let is_long = self.minutes.is_some();
        let campaign = Campaign {
            seed,
            rounds: self.rounds,
            time: self
                .minutes
                .map_or(Duration::from_secs(30), |minutes| Duration::from_secs(minutes * 60)),
            point: self.point.clone(),
            occurrences: match (is_random_only, is_long || self.point.is_some()) {
                (true, _) => 0,
                (false, true) => 12,
                (false, false) => 1,
            },
            io_faults: match (is_random_only, is_long) {
                (true, _) => 0,
                (false, true) => 16,
                (false, false) => 1,
            },
        };
        println!("seed          {seed}");
        let start = std::time::Instant::now();
        let total = tokio::runtime::Runtime::new()?.block_on(campaign.run(|report| {
            println!("FAILED {}", report.name);
            for wrong in report.wrong.iter().take(5) {
                println!("  {wrong}");
            }
            if let Some(folder) = &report.folder {
                println!("  kept in {}", folder.display());
            }
            match report.name.strip_prefix("random-") {
                Some(seed) => println!("  again with: cargo xtask torture --seed {seed} --rounds 1"),
                None => println!("  again with the seed of this run"),
            }
        }))?;
        println!("rounds        {}, in {} s", total.rounds, start.elapsed().as_secs());
        println!("points        {} reached", total.reached.len());
        println!("kills         {}", total.sum.kills);
        println!(
            "notifications {} sent, {} acknowledged",
            total.sum.sent, total.sum.acknowledged
        );
        println!(
            "events        {}, and {} duplicates",
            total.sum.events, total.sum.duplicates
        );
        println!(
            "losses        {}",
            total.failed.iter().map(|report| report.wrong.len()).sum::<usize>()
        );
        ensure!(
            total.failed.is_empty(),
            "{} rounds failed; repeat with --seed {seed}",
            total.failed.len()
        );
        Ok(())
    }
}
