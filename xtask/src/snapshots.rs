//! `cargo xtask snapshots`

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use xshell::{Shell, cmd};

use crate::cargo;

/// Runs the tests, then goes through the snapshots that differ: one at a time, because each is read before it is
/// accepted.
pub(crate) fn run(shell: &Shell) -> anyhow::Result<()> {
    {
        let _update = shell.push_env("INSTA_UPDATE", "new");
        let _force = shell.push_env("INSTA_FORCE_PASS", "1");
        cargo(cmd!(shell, "cargo xtask test")).run()?;
    }
    let mut pending = Vec::new();
    find_pending(&shell.current_dir(), &mut pending)?;
    if pending.is_empty() {
        println!("every snapshot is as accepted");
        return Ok(());
    }
    for (position, new) in pending.iter().enumerate() {
        println!("\n{} of {}: {}", position + 1, pending.len(), new.display());
        review(shell, new)?;
    }
    Ok(())
}

fn review(shell: &Shell, new: &Path) -> anyhow::Result<()> {
    let accepted = new.with_extension("");
    if accepted.exists() {
        // Differences are what it exits with 1 for.
        cmd!(shell, "git --no-pager diff --no-index --color=auto {accepted} {new}")
            .quiet()
            .ignore_status()
            .run()?;
    } else {
        println!("{}", shell.read_file(new)?);
    }
    loop {
        print!("accept, reject or skip? [a/r/s] ");
        io::stdout().flush()?;
        let mut answer = String::new();
        if io::stdin().read_line(&mut answer)? == 0 {
            println!("skipped: nobody answers");
            return Ok(());
        }
        match answer.trim() {
            "a" | "accept" => return accept(shell, new, &accepted),
            "r" | "reject" => return std::fs::remove_file(new).with_context(|| format!("reject {}", new.display())),
            "s" | "skip" => return Ok(()),
            _ => {}
        }
    }
}

fn accept(shell: &Shell, new: &Path, accepted: &Path) -> anyhow::Result<()> {
    let snapshot = shell.read_file(new)?;
    // The line that the assertion stands in today would make the next change of that file look like one of this.
    let kept: Vec<&str> = snapshot
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("assertion_line: "))
        .collect();
    shell.write_file(accepted, kept.concat())?;
    shell.remove_path(new)?;
    Ok(())
}

fn find_pending(folder: &Path, pending: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("look into {}", folder.display()))? {
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name();
        if entry.file_type()?.is_dir() {
            if name != "target" && name != ".git" {
                find_pending(&path, pending)?;
            }
        } else if path.to_string_lossy().ends_with(".snap.new") {
            pending.push(path);
        }
    }
    pending.sort();
    Ok(())
}
