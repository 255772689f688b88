//! `cargo xtask bench`

use anyhow::ensure;
use clap::{Args, ValueEnum};
use xshell::{Shell, cmd};

use crate::{cargo, locked};

#[derive(Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Bench {
    /// What to measure
    of: Measured,
}

#[derive(Clone, Copy, ValueEnum)]
enum Measured {
    /// Decode a large run, tell what changed in it, and hold it in memory
    Decode,
}

impl Bench {
    /// Prints ratios with their limits, all of them before it fails for one.
    pub(crate) fn run(&self, shell: &Shell) -> anyhow::Result<()> {
        let programs = match self.of {
            Measured::Decode => ["decode_time", "decode_memory"],
        };
        let locked = locked();
        let mut is_kept = true;
        for program in programs {
            let package = ["--package", "benches", "--bench", program];
            cargo(cmd!(shell, "cargo bench --quiet {locked...} {package...} --no-run")).run()?;
            is_kept &= cargo(cmd!(shell, "cargo bench --quiet {locked...} {package...}"))
                .quiet()
                .run()
                .is_ok();
        }
        ensure!(is_kept, "a limit was missed");
        Ok(())
    }
}
