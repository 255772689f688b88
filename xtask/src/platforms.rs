//! Whether the crates that others use on other systems can be built for these.

use xshell::{Shell, cmd};

use crate::{cargo, locked};

/// Systems that people develop on, or use the client crates on.
const TARGETS: [&str; 2] = ["x86_64-apple-darwin", "x86_64-pc-windows-msvc"];

/// Checks the client crates for each target whose standard library is installed, without what needs a C compiler for it.
pub(crate) fn run(shell: &Shell) -> anyhow::Result<()> {
    for target in TARGETS {
        let libraries = cmd!(shell, "rustc --print target-libdir --target {target}")
            .quiet()
            .read()?;
        if !shell.path_exists(libraries) {
            println!("skipped: whether the client crates are for {target}; rustup target add {target}");
            continue;
        }
        let locked = locked();
        let packages = crate::package::PACKAGES.map(|package| format!("--package={package}"));
        cargo(cmd!(
            shell,
            "cargo check --quiet {locked...} --target {target} --no-default-features {packages...}"
        ))
        .run()?;
    }
    Ok(())
}
