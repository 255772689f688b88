//! The licences of everything that is in the binary and was not written here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use xshell::Shell;

use super::bom::{Material, materials};

/// One text after another, each once, with the crates that it is of.
pub(super) fn text(shell: &Shell) -> anyhow::Result<String> {
    let foreign: Vec<Material> = materials(shell)?
        .into_iter()
        .filter(|material| material.is_foreign)
        .collect();
    let mut text = String::from("runs-worker contains these crates, each under its own licence:\n\n");
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for material in &foreign {
        let name = format!("{} {}", material.name, material.version);
        writeln!(text, "{name}: {}", material.licence)?;
        for licence in material.manifest.parent().map(licences).unwrap_or_default() {
            texts.entry(licence).or_default().push(name.clone());
        }
    }
    for (licence, crates) in texts {
        write!(
            text,
            "\n{}\n{}\n\n{}\n",
            "-".repeat(80),
            crates.join(", "),
            licence.trim()
        )?;
    }
    Ok(text)
}

/// The texts of the licence files in a folder.
fn licences(folder: &Path) -> Vec<String> {
    let is_licence = |name: &str| {
        let name = name.to_ascii_uppercase();
        ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"]
            .iter()
            .any(|start| name.starts_with(start))
    };
    let files = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<String> = files
        .filter(|file| file.file_name().to_str().is_some_and(is_licence))
        .filter_map(|file| fs::read_to_string(file.path()).ok())
        .collect();
    found.sort();
    found.dedup();
    found
}
