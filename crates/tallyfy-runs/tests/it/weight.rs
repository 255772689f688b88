//! How many crates come along with this one.

use std::collections::BTreeSet;
use std::process::Command;

/// The crates in the tree on Linux, this one included.
fn crates(features: &[&str]) -> usize {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args([
            "tree",
            "--offline",
            "--locked",
            "--package=tallyfy-runs",
            "--edges=normal",
            "--prefix=none",
        ])
        .args(["--format={p}", "--target=x86_64-unknown-linux-gnu"])
        .args(features)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Name and version; what follows is where it is from.
    let names: BTreeSet<_> = tree
        .lines()
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>())
        .collect();
    names.len()
}

#[test]
fn the_tree_is_as_small_as_the_readme_says() {
    let (with, without) = (crates(&[]), crates(&["--no-default-features"]));
    assert!(with <= 110, "{with} crates with reqwest");
    assert!(without <= 65, "{without} crates without reqwest");
    let says = format!("this crate included: {with} crates with `reqwest`, {without} without.");
    let readme = include_str!("../../README.md");
    assert!(readme.contains(&says), "the README has other numbers than: {says}");
}
