//! Which files of a folder are touched at all.
//!
//! Whoever may write into the folder could put something else in the place of a file: a symbolic link, a second name of a
//! file elsewhere, a pipe. A command that an administrator runs there must neither follow it nor wait for it, and must
//! leave nothing behind that the folder's owner cannot use. So a file is touched only if it is a regular one with one name,
//! and belongs to this user or to the folder's; and the administrator does not work in the folder of another user.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::process::geteuid;

/// Refuses a folder that belongs to another user, where this one may do everything.
pub(crate) fn folder(path: &Path) -> io::Result<()> {
    let owner = fs::metadata(path)?.uid();
    if geteuid().is_root() && owner != 0 {
        return Err(refused(format!(
            "{} belongs to user {owner}, and files of root in it would lock that user out; run this as that user: sudo -u '#{owner}' …",
            path.display()
        )));
    }
    Ok(())
}

/// Looks at what is there; `None` if nothing is. Anything but a file of ours is refused.
pub(crate) fn look(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(found) => allow(path, &found).map(|()| Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a file, and looks at it before anybody changes it.
pub(crate) fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    look(path)?;
    // What was put there meanwhile is neither followed nor waited for.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let file = options.custom_flags(flags).open(path)?;
    allow(path, &file.metadata()?)?;
    Ok(file)
}

fn allow(path: &Path, found: &Metadata) -> io::Result<()> {
    let what = if found.is_symlink() {
        "a symbolic link"
    } else if !found.is_file() {
        "no file"
    } else if found.nlink() > 1 {
        "a file that has another name, too"
    } else if !belongs(path, found)? {
        "the file of another user"
    } else {
        return Ok(());
    };
    Err(refused(format!("{} is {what}", path.display())))
}

fn belongs(path: &Path, found: &Metadata) -> io::Result<bool> {
    if found.uid() == geteuid().as_raw() {
        return Ok(true);
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    Ok(fs::metadata(folder)?.uid() == found.uid())
}

fn refused(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, message)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_files_of_ones_own_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("mine"), "kept").unwrap();
        symlink(at("mine"), at("link")).unwrap();
        symlink(at("nothing"), at("dangling")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_bits_truncate(0o600),
            0,
        )
        .unwrap();
        let open = |name: &str| open(OpenOptions::new().read(true).write(true), &at(name));
        assert!(open("mine").is_ok());
        for (name, what) in [
            ("link", "a symbolic link"),
            ("dangling", "a symbolic link"),
            ("folder", "no file"),
            ("pipe", "no file"),
        ] {
            assert!(open(name).unwrap_err().to_string().ends_with(what), "{name}");
        }
        fs::hard_link(at("mine"), at("twin")).unwrap();
        assert!(open("twin").unwrap_err().to_string().contains("another name"));
        assert!(open("mine").unwrap_err().to_string().contains("another name"));
        assert_eq!(look(&at("nothing")).map(|found| found.is_none()).ok(), Some(true));
    }
}
