//! What the commands must not know.

use std::fs;
use std::path::Path;

/// The commands ask for a store by its location, so that another database needs no second command line.
#[test]
fn no_command_names_a_database() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli");
    let mut looked_at = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        // To move a store is to name two kinds of them.
        if !is_source || path.ends_with("tests.rs") || path.ends_with("move_store.rs") {
            continue;
        }
        looked_at += 1;
        let text = fs::read_to_string(&path).unwrap().to_lowercase();
        let text = text
            .replace("#[cfg(feature = \"postgres\")]", "")
            .replace("docs/postgresql.md", "");
        for word in ["sqlite", "postgres"] {
            assert!(!text.contains(word), "{} names {word}", path.display());
        }
    }
    assert!(looked_at > 10, "only {looked_at} files");
}
