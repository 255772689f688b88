//! The files on the disk: which one it is, and that it is nobody else's to read.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::StoreError;

/// What there is at the store's path.
pub(super) enum Found {
    Nothing,
    /// A file of this many bytes.
    File(u64),
}

/// Where the store really is: symbolic links resolved, so that two names of one file are one lock.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, StoreError> {
    match fs::canonicalize(path) {
        Ok(file) => Ok(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                Some(_) | None => Path::new("."),
            };
            let folder = fs::canonicalize(folder).map_err(|error| opening(path, error))?;
            path.file_name()
                .map(|name| folder.join(name))
                .ok_or_else(|| not_a_store(path, "it is a folder"))
        }
        Err(error) => Err(opening(path, error)),
    }
}

/// Looks at the path, without opening the file: closing it again would drop the locks that SQLite has on it elsewhere
/// in this process.
pub(super) fn look(path: &Path) -> Result<Found, StoreError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(Found::File(metadata.len())),
        Ok(metadata) if metadata.is_dir() => Err(not_a_store(path, "it is a folder")),
        Ok(_) => Err(not_a_store(path, "it is neither a file nor a folder")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
        Err(error) => Err(opening(path, error)),
    }
}

/// Creates the empty file, readable by its owner only. SQLite gives the files beside it the same permissions.
pub(super) fn create(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    private(&mut options);
    let created = options.open(path).and_then(|file| {
        make_private(&file)?;
        file.sync_all()
    });
    created
        .and_then(|()| sync_folder(path))
        .map_err(|error| opening(path, error))
}

/// Makes the file's name durable, too.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

/// Has a file created with access for its owner only.
pub(super) fn private(options: &mut OpenOptions) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _ = options;
}

/// Gives exactly that access, whatever the umask took away at the creation.
pub(super) fn make_private(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.set_permissions(fs::Permissions::from_mode(0o600))
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        Ok(())
    }
}

pub(super) fn opening(path: &Path, error: io::Error) -> StoreError {
    let context = format!("opening {}", path.display());
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full(error.into()),
        _ => StoreError::Unavailable {
            context,
            source: error.into(),
        },
    }
}

pub(super) fn not_a_store(path: &Path, detail: &str) -> StoreError {
    StoreError::NotAStore {
        path: path.to_owned(),
        detail: detail.to_owned(),
    }
}
