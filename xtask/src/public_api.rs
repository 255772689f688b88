//! `cargo xtask public-api`

use std::path::Path;

use anyhow::{Context, ensure};
use clap::Args;
use public_api::Builder;
use xshell::{Shell, cmd};

use crate::{cargo, locked, package::PACKAGES};

#[derive(Args, Default)]
pub(crate) struct PublicApi {
    /// Take what there is now for what is meant
    #[arg(long)]
    accept: bool,
}

impl PublicApi {
    pub(crate) fn run(&self, shell: &Shell) -> anyhow::Result<()> {
        // In a folder of their own: what is built for rustdoc here is not what other builds need.
        let _folder = shell.push_env("CARGO_TARGET_DIR", "target/public-api");
        // The JSON of rustdoc is unstable, and is read by a library that is pinned to what this compiler writes. So this
        // needs no nightly compiler.
        let _unstable = shell.push_env("RUSTC_BOOTSTRAP", "1");
        let mut differ = Vec::new();
        for package in PACKAGES {
            let json = describe(shell, package)?;
            let now = match listing(&shell.current_dir().join(json)) {
                Ok(now) => now,
                Err(error) => {
                    println!("skipped: the public API, because what this rustdoc writes cannot be read: {error}");
                    return Ok(());
                }
            };
            let accepted = format!("tests/public-api/{package}.txt");
            if self.accept {
                shell.write_file(&accepted, now)?;
            } else if shell.read_file(&accepted).unwrap_or_default() != now {
                show(shell, &accepted, &now)?;
                differ.push(accepted);
            }
        }
        ensure!(
            differ.is_empty(),
            "the public API is not as in {}; if that is meant: cargo xtask public-api --accept",
            differ.join(", ")
        );
        Ok(())
    }
}

/// Has rustdoc describe a package, and says where.
fn describe(shell: &Shell, package: &str) -> anyhow::Result<String> {
    let locked = locked();
    let json = ["-Zunstable-options", "--output-format=json", "--cap-lints=allow"];
    cargo(cmd!(
        shell,
        "cargo rustdoc --quiet {locked...} --package {package} --lib --all-features -- {json...}"
    ))
    .run()
    .with_context(|| format!("describe {package}"))?;
    Ok(format!("target/public-api/doc/{}.json", package.replace('-', "_")))
}

/// One line for each item, without those that every type has.
fn listing(json: &Path) -> Result<String, public_api::Error> {
    let api = Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .build()?;
    Ok(api.items().map(|item| format!("{item}\n")).collect())
}

fn show(shell: &Shell, accepted: &str, now: &str) -> anyhow::Result<()> {
    // Differences are what it exits with 1 for.
    cmd!(
        shell,
        "git --no-pager diff --no-index --unified=0 --color=auto {accepted} -"
    )
    .quiet()
    .stdin(now)
    .ignore_status()
    .run()?;
    Ok(())
}
