//! `cargo xtask dist`: what others install. It needs what a bare Debian has, and Rust.

mod bom;
mod deb;
mod notices;
mod try_out;
mod units;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::Args;
use xshell::{Shell, cmd};

use crate::{cargo, locked};

/// The most that the binary may weigh, in bytes.
const MAX_BYTES: u64 = 15_000_000;

#[derive(Args)]
pub(crate) struct Dist {
    /// Package this binary in the place of one that is built now
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// The folder that everything is written to; it is made anew
    #[arg(long, value_name = "FOLDER", default_value = "target/dist")]
    out: PathBuf,
    /// Also install, use, upgrade and remove the package in a Debian in this folder, which is made if it is not there; as root
    #[arg(long, value_name = "FOLDER")]
    try_in: Option<PathBuf>,
}

/// What the packages are made of.
#[derive(Clone)]
struct Parts {
    version: String,
    /// `amd64` and the like, as Debian calls it.
    architecture: String,
    /// A folder with `runs-worker` and everything that was made with it.
    folder: PathBuf,
    out: PathBuf,
}

impl Dist {
    pub(crate) fn run(&self, shell: &Shell) -> anyhow::Result<()> {
        let out = shell.current_dir().join(&self.out);
        shell.remove_path(&out)?;
        shell.create_dir(&out)?;
        let parts = Parts {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            architecture: cmd!(shell, "dpkg --print-architecture").quiet().read()?,
            folder: out.join("parts"),
            out: out.clone(),
        };
        self.gather(shell, &parts)?;
        let deb = deb::make(shell, &parts)?;
        let made = [tarball(shell, &parts)?, deb.clone(), bom::make(shell, &parts)?];
        let names = made.iter().filter_map(|file| file.file_name());
        let sums = {
            let _in = shell.push_dir(&out);
            cmd!(shell, "sha256sum {names...}").quiet().read()?
        };
        shell.write_file(out.join("SHA256SUMS"), format!("{sums}\n"))?;
        if let Some(root) = &self.try_in {
            let newer = Parts {
                version: format!("{}+next", parts.version),
                ..parts.clone()
            };
            let newer = deb::make(shell, &newer)?;
            try_out::try_out(shell, &deb, &newer, root.clone())?;
            shell.remove_path(newer)?;
        }
        shell.remove_path(&parts.folder)?;
        println!("{sums}\nin {}", out.display());
        Ok(())
    }

    /// The stripped binary, and what it says of itself.
    fn gather(&self, shell: &Shell, parts: &Parts) -> anyhow::Result<()> {
        let folder = &parts.folder;
        shell.create_dir(folder.join("man"))?;
        shell.create_dir(folder.join("completions"))?;
        let built = match &self.binary {
            Some(binary) => binary.clone(),
            None => build(shell)?,
        };
        let binary = folder.join("runs-worker");
        shell.copy_file(&built, &binary)?;
        cmd!(shell, "strip {binary}").quiet().run()?;
        let weight = std::fs::metadata(&binary)?.len();
        println!("the binary weighs {:.1} MB", weight as f64 / 1e6);
        // One that was given may be built in another way.
        ensure!(
            self.binary.is_some() || weight < MAX_BYTES,
            "the binary weighs {weight} bytes, at most {MAX_BYTES} are meant"
        );
        let man = folder.join("man");
        cmd!(shell, "{binary} man {man}").quiet().ignore_stdout().run()?;
        for (of, file) in [
            ("bash", "runs-worker"),
            ("zsh", "_runs-worker"),
            ("fish", "runs-worker.fish"),
        ] {
            let text = cmd!(shell, "{binary} completions {of}").quiet().read()?;
            shell.write_file(folder.join("completions").join(file), text + "\n")?;
        }
        let example = cmd!(shell, "{binary} config --example").quiet().read()?;
        shell.write_file(folder.join("worker.example.toml"), example + "\n")?;
        let schema = cmd!(shell, "{binary} config --schema").quiet().read()?;
        shell.write_file(folder.join("worker.schema.json"), schema + "\n")?;
        shell.write_file(folder.join("THIRD-PARTY-NOTICES.txt"), notices::text(shell)?)?;
        for file in ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "CHANGELOG.md"] {
            shell.copy_file(file, folder)?;
        }
        Ok(())
    }
}

fn build(shell: &Shell) -> anyhow::Result<PathBuf> {
    let locked = locked();
    let commit = cmd!(shell, "git rev-parse HEAD").quiet().read().unwrap_or_default();
    let _commit = shell.push_env("RUNS_WORKER_COMMIT", commit);
    cargo(cmd!(
        shell,
        "cargo build --profile slim {locked...} --package runs-worker"
    ))
    .run()?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    Ok(shell.current_dir().join(target).join("slim/runs-worker"))
}

/// Everything in one folder, for other systems than Debian.
fn tarball(shell: &Shell, parts: &Parts) -> anyhow::Result<PathBuf> {
    let name = format!("runs-worker-{}-linux-{}", parts.version, parts.architecture);
    let folder = parts.out.join(&name);
    copy_folder(shell, &parts.folder, &folder)?;
    copy_folder(shell, Path::new("dist/systemd"), &folder.join("systemd"))?;
    for optional in ["dist/grafana", "dist/prometheus"] {
        if shell.path_exists(optional) {
            let name = Path::new(optional).file_name().context("a name")?;
            copy_folder(shell, Path::new(optional), &folder.join(name))?;
        }
    }
    let file = parts.out.join(format!("{name}.tar.gz"));
    let out = &parts.out;
    cmd!(
        shell,
        "tar --create --gzip --owner=0 --group=0 --sort=name --directory {out} --file {file} {name}"
    )
    .quiet()
    .run()?;
    shell.remove_path(&folder)?;
    Ok(file)
}

fn copy_folder(shell: &Shell, from: &Path, to: &Path) -> anyhow::Result<()> {
    cmd!(shell, "cp --recursive --no-target-directory {from} {to}")
        .quiet()
        .run()?;
    Ok(())
}
