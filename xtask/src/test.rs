//! `cargo xtask test`

use clap::Args;
use xshell::{Shell, cmd};

use crate::{cargo, in_ci, locked};

#[derive(Args)]
pub(crate) struct Test {
    /// Only tests whose name contains this
    filter: Option<String>,
}

impl Test {
    pub(crate) fn run(&self, shell: &Shell) -> anyhow::Result<()> {
        let locked = locked();
        let filter = &self.filter;
        // A snapshot that differs is a failed test; it is accepted by a person, not by a test run.
        let _update = in_ci().then(|| shell.push_env("INSTA_UPDATE", "no"));
        // The system tests start this binary; built here, it is not built by each of them.
        let _binary = shell.push_env("RUNS_WORKER_BIN", system_tests::binary()?);
        if cargo(cmd!(shell, "cargo nextest --version"))
            .quiet()
            .ignore_stdout()
            .ignore_stderr()
            .run()
            .is_ok()
        {
            let none = filter.as_ref().map(|_| "--no-tests=pass");
            cargo(cmd!(
                shell,
                "cargo nextest run {locked...} --workspace --all-features {none...} {filter...}"
            ))
            .run()?;
            // nextest runs no examples in documentation.
            cargo(cmd!(
                shell,
                "cargo test {locked...} --workspace --all-features --doc -- {filter...}"
            ))
            .run()?;
        } else {
            cargo(cmd!(
                shell,
                "cargo test {locked...} --workspace --all-features -- {filter...}"
            ))
            .run()?;
        }
        Ok(())
    }
}
