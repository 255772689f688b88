//! The bill of materials, in CycloneDX's JSON, from what cargo knows.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::{Value, json};
use xshell::{Shell, cmd};

use super::Parts;
use crate::cargo;

/// A crate that is in the binary.
pub(super) struct Material {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) licence: String,
    pub(super) manifest: PathBuf,
    /// Whether it is from the registry, not from this workspace.
    pub(super) is_foreign: bool,
}

/// Every crate that is in the binary on this platform, by name.
pub(super) fn materials(shell: &Shell) -> anyhow::Result<Vec<Material>> {
    let host = cmd!(shell, "rustc --print host-tuple").quiet().read()?;
    let name = "{p}";
    let tree = cargo(cmd!(
        shell,
        "cargo tree --locked --package runs-worker --edges normal --target {host} --prefix none --format {name}"
    ));
    let used: BTreeSet<String> = tree.quiet().read()?.lines().map(name_and_version).collect();
    let metadata = cargo(cmd!(
        shell,
        "cargo metadata --locked --format-version 1 --filter-platform {host}"
    ));
    let metadata: Value = serde_json::from_str(&metadata.quiet().read()?)?;
    let text = |package: &Value, member: &str| package[member].as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"].as_array().context("cargo names no packages")?;
    let mut found: Vec<Material> = packages
        .iter()
        .map(|package| Material {
            name: text(package, "name"),
            version: text(package, "version"),
            licence: text(package, "license"),
            manifest: text(package, "manifest_path").into(),
            is_foreign: !package["source"].is_null(),
        })
        .filter(|material| used.contains(&format!("{} v{}", material.name, material.version)))
        .collect();
    found.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
    Ok(found)
}

/// `name v1.2.3`, without where it is.
fn name_and_version(line: &str) -> String {
    line.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

pub(super) fn make(shell: &Shell, parts: &Parts) -> anyhow::Result<PathBuf> {
    let components: Vec<Value> = materials(shell)?
        .into_iter()
        .filter(|material| material.name != "runs-worker")
        .map(|material| {
            let purl = format!("pkg:cargo/{}@{}", material.name, material.version);
            json!({
                "type": "library", "bom-ref": purl, "purl": purl, "name": material.name, "version": material.version,
                "licenses": [{"expression": material.licence.replace('/', " OR ")}],
            })
        })
        .collect();
    let bom = json!({
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": {"component": {
            "type": "application", "bom-ref": "runs-worker", "name": "runs-worker", "version": parts.version,
            "licenses": [{"expression": "MIT OR Apache-2.0"}],
        }},
        "components": components,
    });
    let file = parts.out.join(format!("runs-worker-{}.cdx.json", parts.version));
    shell.write_file(&file, serde_json::to_string_pretty(&bom)? + "\n")?;
    Ok(file)
}
