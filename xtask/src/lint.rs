//! `cargo xtask lint`

use xshell::{Shell, cmd};

use crate::{cargo, locked};

pub(crate) fn run(shell: &Shell) -> anyhow::Result<()> {
    cargo(cmd!(shell, "cargo fmt --all --check")).run()?;
    let locked = locked();
    cargo(cmd!(
        shell,
        "cargo clippy {locked...} --workspace --all-targets --all-features -- -D warnings"
    ))
    .run()?;
    // The transport is the one crate whose default features can be left out.
    cargo(cmd!(
        shell,
        "cargo clippy {locked...} -p tallyfy-transport --no-default-features -- -D warnings"
    ))
    .run()?;
    let _flags = shell.push_env("RUSTDOCFLAGS", "-D warnings");
    cargo(cmd!(
        shell,
        "cargo doc {locked...} --workspace --no-deps --all-features --document-private-items"
    ))
    .run()?;
    Ok(())
}
