//! A Debian package, by `dpkg-deb` alone.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use xshell::{Shell, cmd};

use super::{Parts, copy_folder, units};

const DESCRIPTION: &str = "Description: reacts to changes of Tallyfy runs
 Receives the webhooks of Tallyfy, keeps each before it is answered, fetches the
 run that it is about, and hands the full run, with what changed, to handlers:
 in order, at least once, each event with a stable id.
";

/// What a person may set for the service besides its configuration file.
const DEFAULTS: &str = "\
# Variables of the service runs-worker, such as RUNS_WORKER__LOG__FORMAT=json. The configuration is
# /etc/runs-worker/worker.toml, which `runs-worker init` makes.
";

const POSTINST: &str = r#"#!/bin/sh
set -e
if [ "$1" = configure ]; then
  if ! getent passwd runs-worker >/dev/null; then
    useradd --system --user-group --home-dir /var/lib/runs-worker --shell /usr/sbin/nologin runs-worker
  fi
  install -d -m 0700 -o runs-worker -g runs-worker /etc/runs-worker /var/lib/runs-worker
  if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    # The socket goes on listening: senders wait in its queue while the worker is replaced.
    systemctl try-restart runs-worker.service
  fi
  if [ -z "$2" ]; then
    echo "runs-worker is installed. Next, as root:"
    echo "  runuser -u runs-worker -- runs-worker init --folder /etc/runs-worker --data-dir /var/lib/runs-worker \\"
    echo "    --public-url https://YOUR.HOST"
    echo "  systemctl enable --now runs-worker.socket runs-worker.service"
  fi
fi
"#;

const PRERM: &str = r#"#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
  systemctl disable --now runs-worker.service runs-worker.socket
fi
"#;

const POSTRM: &str = r#"#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
fi
if [ "$1" = purge ]; then
  rm -rf /etc/runs-worker /var/lib/runs-worker
  if getent passwd runs-worker >/dev/null; then
    userdel runs-worker || true
  fi
fi
"#;

pub(super) fn make(shell: &Shell, parts: &Parts) -> anyhow::Result<PathBuf> {
    let root = parts.out.join("deb");
    let at = |path: &str| root.join(path);
    for folder in [
        "DEBIAN",
        "etc/default",
        "usr/bin",
        "usr/lib/systemd/system",
        "usr/share/bash-completion/completions",
        "usr/share/zsh/vendor-completions",
        "usr/share/fish/vendor_completions.d",
        "usr/share/doc/runs-worker",
        "usr/share/man",
    ] {
        shell.create_dir(at(folder))?;
    }
    let from = |file: &str| parts.folder.join(file);
    shell.copy_file(from("runs-worker"), at("usr/bin"))?;
    shell.copy_file(
        from("completions/runs-worker"),
        at("usr/share/bash-completion/completions"),
    )?;
    shell.copy_file(from("completions/_runs-worker"), at("usr/share/zsh/vendor-completions"))?;
    shell.copy_file(
        from("completions/runs-worker.fish"),
        at("usr/share/fish/vendor_completions.d"),
    )?;
    copy_folder(shell, &from("man"), &at("usr/share/man/man1"))?;
    for page in shell.read_dir(at("usr/share/man/man1"))? {
        cmd!(shell, "gzip --best --no-name {page}").quiet().run()?;
    }
    let service = units::packaged_service(&shell.read_file("dist/systemd/runs-worker.service")?)?;
    shell.write_file(at("usr/lib/systemd/system/runs-worker.service"), service)?;
    shell.copy_file("dist/systemd/runs-worker.socket", at("usr/lib/systemd/system"))?;
    for file in [
        "README.md",
        "CHANGELOG.md",
        "THIRD-PARTY-NOTICES.txt",
        "worker.example.toml",
        "worker.schema.json",
    ] {
        shell.copy_file(from(file), at("usr/share/doc/runs-worker"))?;
    }
    let licences = [shell.read_file("LICENSE-MIT")?, shell.read_file("LICENSE-APACHE")?];
    shell.write_file(at("usr/share/doc/runs-worker/copyright"), licences.join("\n"))?;
    copy_folder(shell, Path::new("docs"), &at("usr/share/doc/runs-worker/docs"))?;
    // What the units name as their documentation.
    shell.copy_file("docs/deploy.md", at("usr/share/doc/runs-worker"))?;
    shell.write_file(at("etc/default/runs-worker"), DEFAULTS)?;
    control(shell, parts, &root)?;
    let file = parts
        .out
        .join(format!("runs-worker_{}_{}.deb", parts.version, parts.architecture));
    cmd!(shell, "dpkg-deb --build --root-owner-group {root} {file}")
        .quiet()
        .ignore_stdout()
        .run()?;
    shell.remove_path(&root)?;
    Ok(file)
}

fn control(shell: &Shell, parts: &Parts, root: &Path) -> anyhow::Result<()> {
    let folder = root.join("DEBIAN");
    let size = cmd!(shell, "du --summarize --block-size=1024 {root}").quiet().read()?;
    let size = size.split_whitespace().next().unwrap_or("0").to_owned();
    let (version, architecture, libc) = (&parts.version, &parts.architecture, libc_of(shell, root)?);
    let control = format!(
        "Package: runs-worker\nVersion: {version}\nArchitecture: {architecture}\nMaintainer: {}\n\
         Installed-Size: {size}\nDepends: libc6 (>= {libc}), libgcc-s1, passwd\nRecommends: ca-certificates\nSection: net\nPriority: optional\n{DESCRIPTION}",
        maintainer()
    );
    shell.write_file(folder.join("control"), control)?;
    shell.write_file(folder.join("conffiles"), "/etc/default/runs-worker\n")?;
    for (name, script) in [("postinst", POSTINST), ("prerm", PRERM), ("postrm", POSTRM)] {
        let file = folder.join(name);
        shell.write_file(&file, script)?;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// Who answers for the package: whoever makes it, as the tools of Debian ask for it.
fn maintainer() -> String {
    let told = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let name = told("DEBFULLNAME").unwrap_or_else(|| "The runs-worker developers".to_owned());
    let address = told("DEBEMAIL").unwrap_or_else(|| "runs-worker@localhost".to_owned());
    format!("{name} <{address}>")
}

/// The oldest C library that has every symbol that the binary asks for.
fn libc_of(shell: &Shell, root: &Path) -> anyhow::Result<String> {
    let binary = root.join("usr/bin/runs-worker");
    let symbols = cmd!(shell, "objdump --dynamic-syms {binary}").quiet().read()?;
    let versions = symbols.split("GLIBC_2.").skip(1).filter_map(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().ok()
    });
    let newest = versions.max().context("the binary names no version of the C library")?;
    Ok(format!("2.{newest}"))
}
