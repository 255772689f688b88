//! What the rooms of the worker must not know of each other.

use std::path::Path;

/// It would serve any program as it is.
#[test]
fn the_front_door_knows_only_sockets_and_http() {
    let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/front_door");
    let mut files = 0;
    for entry in std::fs::read_dir(room).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap().to_lowercase();
        // `crate::` would be another room of the worker.
        for foreign in ["tallyfy", "webhook", "crate::", "runs_store"] {
            assert!(!text.contains(foreign), "{} contains `{foreign}`", path.display());
        }
        files += 1;
    }
    assert!(files > 5, "the files of the room were found");
}
