//! `cargo xtask ci`

use xshell::{Shell, cmd};

use crate::{cargo, lint, package, public_api::PublicApi};

pub(crate) fn run(shell: &Shell) -> anyhow::Result<()> {
    lint::run(shell)?;
    licences(shell)?;
    PublicApi::default().run(shell)?;
    // The README's own command, so that it is what is tested.
    cargo(cmd!(shell, "cargo xtask test")).run()?;
    cargo(cmd!(shell, "cargo xtask torture")).run()?;
    package::run(shell)?;
    println!("everything passed");
    Ok(())
}

/// `cargo deny`, where it is installed. Advisories need the network and are left to a scheduled job.
fn licences(shell: &Shell) -> anyhow::Result<()> {
    if cargo(cmd!(shell, "cargo deny --version"))
        .quiet()
        .ignore_stderr()
        .ignore_stdout()
        .run()
        .is_err()
    {
        println!("skipped: licences and sources, because cargo-deny is not installed");
        return Ok(());
    }
    cargo(cmd!(shell, "cargo deny check bans licenses sources")).run()?;
    Ok(())
}
