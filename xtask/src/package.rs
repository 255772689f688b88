//! `cargo xtask package`

use anyhow::{Context, ensure};
use xshell::{Shell, cmd};

use crate::{cargo, locked};

/// The crates that others may use.
pub(crate) const PACKAGES: [&str; 3] = ["tallyfy-model", "tallyfy-transport", "tallyfy-runs"];

/// The oldest Rust that they are for, as `rust-version` of each says it.
const OLDEST_RUST: &str = "1.88";

/// Packages the crates that others may use, and builds each from its package, and with the oldest Rust that it is for.
pub(crate) fn run(shell: &Shell) -> anyhow::Result<()> {
    let locked = locked();
    for package in PACKAGES {
        let listed = cargo(cmd!(
            shell,
            "cargo package --quiet {locked...} --allow-dirty --list --package {package}"
        ))
        .quiet()
        .ignore_stderr()
        .read()
        .with_context(|| format!("list what is in {package}"))?;
        let needed = [
            "API-REFERENCE.md",
            "CHANGELOG.md",
            "LICENSE-APACHE",
            "LICENSE-MIT",
            "README.md",
            "src/lib.rs",
        ];
        for needed in needed {
            ensure!(listed.lines().any(|file| file == needed), "{package} has no {needed}");
        }
        for file in ["LICENSE-APACHE", "LICENSE-MIT"] {
            let own = shell.read_file(format!("crates/{package}/{file}"))?;
            ensure!(own == shell.read_file(file)?, "{file} of {package} is another one");
        }
        let readme = shell.read_file(format!("crates/{package}/README.md"))?;
        ensure!(
            readme.contains(&format!("Rust {OLDEST_RUST}")),
            "the README of {package} does not say that it needs Rust {OLDEST_RUST}"
        );
        // What is not in the package is not where the README is shown.
        ensure!(
            !readme.contains("](../"),
            "the README of {package} has a link out of the package"
        );
        let manifest = shell.read_file(format!("crates/{package}/Cargo.toml"))?;
        ensure!(
            manifest.contains(&format!("rust-version = \"{OLDEST_RUST}\"")),
            "{package} is not for Rust {OLDEST_RUST}"
        );
    }
    let packages = &PACKAGES.map(|package| format!("--package={package}"));
    // Together, because they depend on each other and none of them need have been published; which the oldest Rust's own
    // cargo cannot do yet.
    cargo(cmd!(
        shell,
        "cargo package --quiet {locked...} --allow-dirty {packages...}"
    ))
    .run()?;
    if let Some(toolchain) = oldest_toolchain(shell)? {
        cargo(cmd!(
            shell,
            "cargo {toolchain} check --quiet {locked...} {packages...} --all-features"
        ))
        .run()?;
    }
    Ok(())
}

/// The oldest Rust, as an argument for cargo; none if that is the one at hand, or if it is not installed.
fn oldest_toolchain(shell: &Shell) -> anyhow::Result<Option<String>> {
    let at_hand = cmd!(shell, "rustc --version").quiet().read()?;
    if at_hand.starts_with(&format!("rustc {OLDEST_RUST}.")) {
        return Ok(None);
    }
    let oldest = format!("+{OLDEST_RUST}.0");
    if cmd!(shell, "cargo {oldest} --version")
        .quiet()
        .ignore_stdout()
        .ignore_stderr()
        .run()
        .is_ok()
    {
        return Ok(Some(oldest));
    }
    println!("skipped: whether Rust {OLDEST_RUST} is enough, because it is not installed; this is {at_hand}");
    Ok(None)
}
