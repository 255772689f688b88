//! `cargo xtask advisories`, and what `cargo xtask ci` needs of cargo-deny.

use anyhow::{bail, ensure};
use xshell::{Shell, cmd};

use crate::cargo;

/// Says how to get cargo-deny where it is missing.
pub(crate) fn installed(shell: &Shell) -> anyhow::Result<()> {
    let version = cargo(cmd!(shell, "cargo deny --version"))
        .quiet()
        .ignore_stderr()
        .ignore_stdout();
    ensure!(
        version.run().is_ok(),
        "cargo-deny is missing, which looks at licences, bans, sources and advisories: cargo install cargo-deny --locked"
    );
    Ok(())
}

/// Looks whether a dependency has a known weakness.
///
/// Whether the database of advisories could be read is a question of its own: without it, nothing is known.
pub(crate) fn advisories(shell: &Shell) -> anyhow::Result<()> {
    installed(shell)?;
    if cargo(cmd!(shell, "cargo deny fetch db")).run().is_err() {
        bail!(
            "the advisories could not be looked at: their database, https://github.com/rustsec/advisory-db, is not reachable"
        );
    }
    if cargo(cmd!(shell, "cargo deny check --disable-fetch advisories"))
        .run()
        .is_err()
    {
        bail!("a dependency has an advisory, see above");
    }
    println!("no dependency has an advisory");
    Ok(())
}
