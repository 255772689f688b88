//! How much room there is on the disk that a folder is on.

use std::path::Path;

/// Room on a disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// What is free for this user.
    pub(crate) free: u64,
    pub(crate) size: u64,
}

/// The room where a folder is; `None` where that cannot be found out.
#[cfg(unix)]
pub(crate) fn room(folder: &Path) -> Option<Room> {
    let found = nix::sys::statvfs::statvfs(folder).ok()?;
    #[allow(
        clippy::unnecessary_cast,
        clippy::useless_conversion,
        reason = "its width differs between platforms"
    )]
    let (free, all, size) = (
        u64::from(found.blocks_available()),
        u64::from(found.blocks()),
        found.fragment_size() as u64,
    );
    Some(Room {
        free: free.checked_mul(size)?,
        size: all.checked_mul(size)?,
    })
}

#[cfg(not(unix))]
pub(crate) fn room(_: &Path) -> Option<Room> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_disk_has_no_more_room_than_its_size() {
        let room = room(&std::env::temp_dir()).unwrap();
        assert!(0 < room.free && room.free <= room.size, "{room:?}");
        assert_eq!(super::room(Path::new("/is/not/there")), None);
    }
}
