//! The folder of the durable state.

use std::path::{Path, PathBuf};

use runs_store::StoreLocation;
use tracing::warn;

/// The name of the store's file in it.
const STORE_FILE: &str = "runs.db";

/// The store of a data folder, for commands.
pub(crate) fn location(folder: &Path) -> StoreLocation {
    StoreLocation::File(store_file(folder))
}

/// The store's file in a data folder.
pub(crate) fn store_file(folder: &Path) -> PathBuf {
    folder.join(STORE_FILE)
}

/// Makes a folder that only its owner can look into; one that is there already is left as it is.
pub(crate) fn make_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, MetadataExt};
        builder.mode(0o700);
        if let Ok(found) = folder.metadata()
            && found.mode() & 0o077 != 0
        {
            warn!(folder = %folder.display(), "others may look into the data folder, which holds webhook bodies; chmod 700 it");
        }
    }
    builder.create(folder)
}
