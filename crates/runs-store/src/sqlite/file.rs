//! The files on the disk: which one it is, and that it is nobody else's to read.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::StoreError;
use crate::guard;

/// What there is at the store's path.
pub(super) enum Found {
    Nothing,
    /// A file of this many bytes.
    File(u64),
}

/// What SQLite keeps beside a database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Where the store really is: links to its folder resolved, so that two names of one file are one lock. Nothing but files
/// of ours is touched there.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, StoreError> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    let folder = fs::canonicalize(folder).map_err(|error| opening(path, error))?;
    let name = path.file_name().ok_or_else(|| not_a_store(path, "it is a folder"))?;
    let file = folder.join(name);
    guard::folder(&folder).map_err(|error| opening(path, error))?;
    for suffix in BESIDE {
        guard::look(&beside(&file, suffix)).map_err(|error| opening(path, error))?;
    }
    Ok(file)
}

/// The name of a file beside the store.
pub(super) fn beside(store: &Path, suffix: &str) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Looks at the path, without opening the file: closing it again would drop the locks that SQLite has on it elsewhere
/// in this process.
pub(super) fn look(path: &Path) -> Result<Found, StoreError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() || metadata.is_symlink() => {
            guard::look(path).map_err(|error| opening(path, error))?;
            Ok(Found::File(metadata.len()))
        }
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
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
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
