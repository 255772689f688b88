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
        match folder.metadata() {
            Err(_) => refuse_beside_another_user(folder)?,
            Ok(found) if found.mode() & 0o077 == 0 => {}
            Ok(_) => {
                warn!(folder = %folder.display(), "others may look into the data folder, which holds webhook bodies; chmod 700 it");
            }
        }
    }
    builder.create(folder)
}

/// A folder that root makes in one of another user is root's, and locks that user out.
#[cfg(unix)]
fn refuse_beside_another_user(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    if !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let whole = std::path::absolute(folder)?;
    let above = whole
        .ancestors()
        .skip(1)
        .find_map(|above| Some((above, above.metadata().ok()?)));
    match above {
        Some((above, found)) if found.uid() != 0 => {
            let owner = found.uid();
            Err(std::io::Error::new(
                std::io::ErrorKind::PermissionDenied,
                format!(
                    "{} belongs to user {owner}, and what root makes in it would lock that user out; run this as that user: sudo -u '#{owner}' …",
                    above.display()
                ),
            ))
        }
        _ => Ok(()),
    }
}
