//! The seeds of the fuzz targets, and the fixtures that they start from as well, without a fuzzer.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed"
)]
#![expect(clippy::print_stdout, reason = "a test that fails says which file it was")]

#[expect(unreachable_pub, reason = "the fuzz targets use them from another crate")]
#[path = "../../fuzz/src/any_bytes.rs"]
mod any_bytes;

use std::path::Path;

fn replay(target: &str, fixtures: Option<&str>, check: fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let folders = [Some(format!("tests/fuzz/seeds/{target}")), fixtures.map(str::to_owned)];
    for folder in folders.into_iter().flatten() {
        let files: Vec<_> = root.join(&folder).read_dir().unwrap().collect();
        assert!(!files.is_empty(), "nothing is in {folder}");
        for file in files {
            let path = file.unwrap().path();
            println!("{}", path.display());
            check(&std::fs::read(&path).unwrap());
        }
    }
}

#[test]
fn the_seeds_of_runs_hold() {
    replay("run", Some("crates/tallyfy-model/tests/fixtures/runs"), any_bytes::run);
}

#[test]
fn the_seeds_of_two_runs_hold() {
    replay("changes", None, any_bytes::two_runs);
}

#[test]
fn the_seeds_of_webhooks_hold() {
    replay(
        "webhook",
        Some("crates/tallyfy-model/tests/fixtures/webhooks"),
        any_bytes::webhook,
    );
}

#[test]
fn the_seeds_of_configurations_hold() {
    replay("config", None, any_bytes::config);
}

#[test]
fn the_seeds_of_the_intake_log_hold() {
    replay("intake_log", None, any_bytes::intake_log);
}
