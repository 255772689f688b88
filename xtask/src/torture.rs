//! `cargo xtask torture`

use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use torture::campaign::{Campaign, Total};
use torture::points::{Rig, points};
use torture::round::Report;
use torture::several::campaign::SeveralCampaign;

/// After how many rounds a line says how it stands: whoever has to stop a long campaign knows what was tried.
const ROUNDS_A_LINE: usize = 25;

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
    /// So many workers on one PostgreSQL database, on servers that are started for this
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,
    /// Only die at this point, such as `writer.before-commit`, at its every occurrence
    #[arg(long, value_name = "NAME")]
    point: Option<String>,
}

impl Torture {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let seed = self.seed.unwrap_or(now.as_secs());
        let rig = if self.workers.is_some() {
            Rig::Postgres
        } else {
            Rig::File
        };
        if let Some(point) = &self.point {
            ensure!(
                points(rig)?.contains(point),
                "there is no point `{point}`; there are: {}",
                points(rig)?.into_iter().collect::<Vec<_>>().join(", ")
            );
        }
        println!("seed          {seed}");
        let start = std::time::Instant::now();
        let runtime = tokio::runtime::Runtime::new()?;
        let workers = self.workers.map(NonZeroUsize::get);
        let tell = move |report: &Report, total: &Total| tell(report, total, workers);
        let total = match workers {
            None => runtime.block_on(self.campaign(seed).run(tell))?,
            Some(workers) => runtime.block_on(self.several(seed, workers).run(tell))?,
        };
        account(&total, start.elapsed(), rig);
        ensure!(
            total.failed.is_empty(),
            "{} rounds failed; repeat with --seed {seed}",
            total.failed.len()
        );
        Ok(())
    }

    fn time(&self) -> Duration {
        self.minutes
            .map_or(Duration::from_secs(30), |minutes| Duration::from_secs(minutes * 60))
    }

    /// 0 where only random rounds are asked for.
    fn of_each(&self, usual: u32, in_long_ones: u32) -> u32 {
        let is_random_only = self.rounds.is_some() && self.point.is_none();
        match (is_random_only, self.minutes.is_some()) {
            (true, _) => 0,
            (false, true) => in_long_ones,
            (false, false) => usual,
        }
    }

    fn occurrences(&self) -> u64 {
        self.of_each(if self.point.is_some() { 12 } else { 1 }, 12).into()
    }

    fn campaign(&self, seed: u64) -> Campaign {
        Campaign {
            seed,
            rounds: self.rounds,
            time: self.time(),
            point: self.point.clone(),
            occurrences: self.occurrences(),
            io_faults: self.of_each(1, 16),
        }
    }

    fn several(&self, seed: u64, workers: usize) -> SeveralCampaign {
        SeveralCampaign {
            workers,
            seed,
            rounds: self.rounds,
            time: self.time(),
            point: self.point.clone(),
            // A round with several workers takes longer.
            occurrences: self.occurrences().min(3),
        }
    }
}

fn tell(report: &Report, total: &Total, workers: Option<usize>) {
    if total.rounds.is_multiple_of(ROUNDS_A_LINE) {
        let Total { rounds, sum, .. } = total;
        println!(
            "so far        {rounds} rounds, {} kills, {} restarts, {} lost",
            sum.kills, sum.restarts, sum.lost
        );
    }
    if report.wrong.is_empty() {
        return;
    }
    println!("FAILED {}", report.name);
    for wrong in report.wrong.iter().take(5) {
        println!("  {wrong}");
    }
    if let Some(folder) = &report.folder {
        println!("  kept in {}", folder.display());
    }
    let of_several = workers.map_or_else(String::new, |workers| format!(" --workers {workers}"));
    match report.name.split_once('-') {
        Some(("random" | "several", seed)) => {
            println!("  again with: cargo xtask torture{of_several} --seed {seed} --rounds 1");
        }
        _ => println!("  again with the seed of this run"),
    }
}

fn account(total: &Total, took: Duration, rig: Rig) {
    let Total {
        rounds, sum, reached, ..
    } = total;
    println!("rounds        {rounds}, in {} s", took.as_secs());
    println!("points        {} reached", reached.len());
    println!("kills         {}", sum.kills);
    if rig == Rig::Postgres {
        println!("restarts      {} of the database server", sum.restarts);
        println!("calls         {} above the budget", sum.above_budget);
    }
    println!("notifications {} sent, {} acknowledged", sum.sent, sum.acknowledged);
    println!("events        {}, and {} duplicates", sum.events, sum.duplicates);
    println!("lost          {}", sum.lost);
    println!("out of order  {}", sum.out_of_order);
    println!("ids changed   {}", sum.ids_changed);
    let wrong: usize = total.failed.iter().map(|report| report.wrong.len()).sum();
    println!("wrong in all  {wrong}");
}
