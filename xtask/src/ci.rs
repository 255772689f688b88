//! `cargo xtask ci`

use xshell::{Shell, cmd};

use crate::{cargo, deny, lint, package, platforms, public_api::PublicApi};

pub(crate) fn run(shell: &Shell) -> anyhow::Result<()> {
    lint::run(shell)?;
    licences(shell)?;
    PublicApi::default().run(shell)?;
    // The README's own command, so that it is what is tested.
    cargo(cmd!(shell, "cargo xtask test")).run()?;
    cargo(cmd!(shell, "cargo xtask torture")).run()?;
    package::run(shell)?;
    platforms::run(shell)?;
    println!("everything passed");
    Ok(())
}

/// Licences, bans and sources, which need no network. Advisories do: see `cargo xtask advisories`.
fn licences(shell: &Shell) -> anyhow::Result<()> {
    deny::installed(shell)?;
    cargo(cmd!(shell, "cargo deny check bans licenses sources")).run()?;
    Ok(())
}
