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
    features(shell)?;
    let _flags = shell.push_env("RUSTDOCFLAGS", "-D warnings");
    cargo(cmd!(
        shell,
        "cargo doc {locked...} --workspace --no-deps --all-features --document-private-items"
    ))
    .run()?;
    Ok(())
}

/// The crates whose default features can be left out: without any, and the worker with each alone.
fn features(shell: &Shell) -> anyhow::Result<()> {
    let locked = locked();
    for package in ["tallyfy-transport", "tallyfy-runs", "runs-worker"] {
        cargo(cmd!(
            shell,
            "cargo clippy {locked...} --package {package} --lib --no-default-features -- -D warnings"
        ))
        .run()?;
    }
    for feature in ["cli", "nats", "prometheus", "systemd"] {
        cargo(cmd!(
            shell,
            "cargo clippy {locked...} --package runs-worker --no-default-features --features {feature} -- -D warnings"
        ))
        .run()?;
    }
    Ok(())
}
