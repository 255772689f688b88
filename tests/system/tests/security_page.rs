//! The page on security, held against the tree: every test that it names is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every file of Rust below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            sources(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

/// What stands in backticks.
fn quoted(page: &str) -> impl Iterator<Item = &str> {
    page.split('`').skip(1).step_by(2)
}

#[test]
fn every_test_that_the_page_names_is_there() -> anyhow::Result<()> {
    let page = fs::read_to_string(root().join("docs/security.md"))?;
    let mut files = Vec::new();
    for folder in ["crates", "tests"] {
        sources(&root().join(folder), &mut files)?;
    }
    let mut functions = BTreeSet::new();
    for file in &files {
        let text = fs::read_to_string(file)?;
        let named = text
            .lines()
            .filter_map(|line| line.split_once("fn ")?.1.split(['(', '<']).next());
        functions.extend(named.map(str::to_owned));
    }
    let mut checked = 0;
    for word in quoted(&page) {
        let is_path = word.ends_with(".rs") || ["tests/", "crates/"].iter().any(|folder| word.starts_with(folder));
        let is_function =
            word.matches('_').count() >= 3 && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if is_path {
            let is_there = root().join(word).exists() || files.iter().any(|file| file.ends_with(word));
            is_there.then_some(()).with_context(|| format!("there is no {word}"))?;
        } else if is_function && !word.starts_with("runs_worker_") {
            functions
                .contains(word)
                .then_some(())
                .with_context(|| format!("there is no test {word}"))?;
        }
        checked += usize::from(is_path || is_function);
    }
    assert!(checked > 20, "{checked}");
    // Each position of an attacker says what shows it, or holds what the tests of the whole show.
    let positions = page
        .split("\n## ")
        .skip(1)
        .filter(|section| section.contains("can do all the same") || section.contains("still can do"));
    for section in positions {
        assert!(
            section.contains("Shown by"),
            "{}",
            section.lines().next().unwrap_or_default()
        );
    }
    Ok(())
}
