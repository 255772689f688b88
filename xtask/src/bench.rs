//! `cargo xtask bench`

use std::path::PathBuf;

use anyhow::ensure;
use clap::{Args, ValueEnum};
use xshell::{Shell, cmd};

use crate::{cargo, locked};

#[derive(Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Bench {
    /// What to measure
    of: Measured,
    /// Another build of the worker, for example of an earlier commit, to measure whole events beside
    #[arg(long, value_name = "BINARY")]
    against: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Measured {
    /// Decode a large run, tell what changed in it, and hold it in memory
    Decode,
    /// What the worker takes, and what it costs: some twenty minutes, and three gigabytes of disk
    Worker,
    /// The same with workers on a PostgreSQL server of its own: some forty minutes
    Postgres,
}

impl Bench {
    /// Prints ratios with their limits, all of them before it fails for one.
    pub(crate) fn run(&self, shell: &Shell) -> anyhow::Result<()> {
        let programs: &[&str] = match self.of {
            Measured::Decode => &["decode_time", "decode_memory"],
            Measured::Worker | Measured::Postgres => &["worker"],
        };
        let locked = locked();
        let mut binary = None;
        if !matches!(self.of, Measured::Decode) {
            cargo(cmd!(
                shell,
                "cargo build --quiet --release {locked...} --package runs-worker"
            ))
            .run()?;
            let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::root().join("target"), Into::into);
            binary = Some(target.join("release/runs-worker"));
        }
        let mut is_kept = true;
        for program in programs {
            let package = ["--package", "benches", "--bench", program];
            cargo(cmd!(shell, "cargo bench --quiet {locked...} {package...} --no-run")).run()?;
            let mut bench = cargo(cmd!(shell, "cargo bench --quiet {locked...} {package...}")).quiet();
            if matches!(self.of, Measured::Postgres) {
                bench = bench.args(["--", "postgres"]);
            }
            if let Some(binary) = &binary {
                bench = bench.env("RUNS_WORKER_BIN", binary);
            }
            if let Some(other) = &self.against {
                bench = bench.env("RUNS_WORKER_BENCH_AGAINST", std::path::absolute(other)?);
            }
            is_kept &= bench.run().is_ok();
        }
        ensure!(is_kept, "a limit was missed");
        Ok(())
    }
}
