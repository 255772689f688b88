//! What kind of file system a folder is on. Everything here that is known on one platform alone has its alternative beside it.

use std::path::Path;

/// What a file system is worth to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A disk of this machine, as far as it is known.
    Local,
    /// Another machine's: the write-ahead log of SQLite does not work there.
    Network(&'static str),
    /// Memory, or the layer of a container: gone with it.
    Passing(&'static str),
}

/// The kind of the file system that a folder is on; `None` where that cannot be found out.
#[cfg(target_os = "linux")]
pub(super) fn kind(folder: &Path) -> Option<Kind> {
    let found = nix::sys::statfs::statfs(folder).ok()?;
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_sign_loss,
        reason = "its width differs between architectures"
    )]
    Some(of_magic(found.filesystem_type().0 as u64 & 0xFFFF_FFFF))
}

/// By the numbers of `statfs(2)`.
#[cfg(any(target_os = "linux", test))]
fn of_magic(magic: u64) -> Kind {
    match magic {
        0x6969 => Kind::Network("NFS"),
        0x517B | 0xFF53_4D42 | 0xFE53_4D42 => Kind::Network("SMB"),
        0x0102_1997 => Kind::Network("9p"),
        0x00C3_6400 => Kind::Network("Ceph"),
        0x5346_414F | 0x6B41_4653 => Kind::Network("AFS"),
        0x6573_5546 => Kind::Network("FUSE"),
        0x0102_1994 => Kind::Passing("tmpfs, in memory"),
        0x8584_58F6 => Kind::Passing("ramfs, in memory"),
        0x794C_7630 => Kind::Passing("the layer of a container"),
        _ => Kind::Local,
    }
}

/// By its name, as macOS has it.
#[cfg(target_os = "macos")]
pub(super) fn kind(folder: &Path) -> Option<Kind> {
    let found = nix::sys::statfs::statfs(folder).ok()?;
    Some(match found.filesystem_type_name() {
        "nfs" => Kind::Network("NFS"),
        "smbfs" => Kind::Network("SMB"),
        "afpfs" => Kind::Network("AFP"),
        "webdav" => Kind::Network("WebDAV"),
        "macfuse" | "osxfuse" => Kind::Network("FUSE"),
        _ => Kind::Local,
    })
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub(super) fn kind(_: &Path) -> Option<Kind> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_machine_s_disk_and_memory_are_told_from_a_disk() {
        assert_eq!(of_magic(0xEF53), Kind::Local);
        assert_eq!(of_magic(0x6969), Kind::Network("NFS"));
        assert_eq!(of_magic(0xFF53_4D42), Kind::Network("SMB"));
        assert_eq!(of_magic(0x0102_1994), Kind::Passing("tmpfs, in memory"));
    }

    #[test]
    fn this_machine_s_folders_are_known() {
        let folder = std::env::temp_dir();
        assert!(kind(&folder).is_some() || cfg!(not(any(target_os = "linux", target_os = "macos"))));
    }
}
