//! The named points at which the worker can be made to die.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;

const CALL: &str = "torture::point(\"";

/// Which store the workers of a round have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rig {
    /// A file, which one worker has to itself: every point but those of the other store.
    File,
    /// A PostgreSQL database: the points of that store.
    Postgres,
}

/// The names of the points that such a round can pass, read off the source: whoever adds one has nothing to register.
///
/// # Errors
/// If the source cannot be read.
pub fn points(rig: Rig) -> anyhow::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for package in ["runs-store", "runs-worker"] {
        search(&crate::root().join("crates").join(package).join("src"), &mut found)?;
    }
    found.retain(|point| point.starts_with("postgres.") == (rig == Rig::Postgres));
    Ok(found)
}

fn search(folder: &Path, found: &mut BTreeSet<String>) -> anyhow::Result<()> {
    let entries = folder
        .read_dir()
        .with_context(|| format!("read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            search(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            found.extend(named_in(&source).map(str::to_owned));
        }
    }
    Ok(())
}

fn named_in(source: &str) -> impl Iterator<Item = &str> {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.filter_map(|line| line.split_once(CALL)?.1.split('"').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_found_in_code_and_not_in_comments() {
        let source =
            "    torture::point(\"a.b\");\n//! torture::point(\"stage.moment\")\nx();\n torture::point(\"c.d\");";
        assert_eq!(named_in(source).collect::<Vec<_>>(), ["a.b", "c.d"]);
    }
}
