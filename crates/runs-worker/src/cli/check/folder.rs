//! The data folder: whether it can be written, on what it is, how much room there is, and how fast it makes things durable.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::unistd::{AccessFlags, access};

use super::file_system::{self, Kind};
use super::finding::Finding;
use crate::config::Loaded;
use crate::data_folder;
use crate::shared::disk::{self, Room};

const GB: u64 = 1 << 30;
const MB: u64 = 1 << 20;
/// Less than this, and a busy day fills the disk.
const LITTLE: u64 = GB;
/// Less than this, and nothing can be kept.
const NOTHING_LEFT: u64 = 64 * MB;
/// A disk that takes longer to make a page durable slows every webhook.
const SLOW: Duration = Duration::from_millis(10);
/// How often it is tried.
const TRIES: usize = 7;

pub(super) fn look(loaded: &Loaded) -> Vec<Finding> {
    let folder = loaded.config.store.folder();
    let writable = writable(&folder);
    let Some(there) = folder.ancestors().find(|place| place.is_dir()) else {
        return vec![writable];
    };
    let mut findings = vec![writable, kind(there), free(there)];
    if loaded
        .config
        .store
        .location()
        .is_ok_and(|location| !location.has_one_worker())
    {
        // Only the intake log is in it, which works on any file system.
        findings.retain(|finding| finding.id != "file-system");
    }
    if folder.is_dir() {
        findings.push(fsync(&folder));
    }
    findings
}

/// Whether this user can make or change the store.
fn writable(folder: &Path) -> Finding {
    let failure = |message: String| {
        Finding::failure("data-folder", message)
            .hint("run as the user who owns it, or set another folder with --data-dir")
    };
    let Some(there) = folder.ancestors().find(|place| place.exists()) else {
        return failure(format!("{} cannot be made", folder.display()));
    };
    let shown = there.display();
    if !there.is_dir() {
        return failure(format!("{shown} is not a folder"));
    }
    if access(there, AccessFlags::W_OK | AccessFlags::X_OK).is_err() {
        return failure(format!("{shown} cannot be written by this user"));
    }
    let file = data_folder::store_file(folder);
    if file.exists() && access(&file, AccessFlags::W_OK).is_err() {
        return failure(format!("{} cannot be written by this user", file.display()));
    }
    Finding::ok("data-folder", format!("{} can be written", folder.display()))
}

fn kind(there: &Path) -> Finding {
    let shown = there.display();
    match file_system::kind(there) {
        Some(Kind::Local) => Finding::ok("file-system", format!("{shown} is on a disk of this machine")),
        Some(Kind::Network(name)) => Finding::failure("file-system", format!("{shown} is on {name}")).hint(
            "SQLite's write-ahead log does not work over a network: set store.data_dir to a disk of this machine",
        ),
        Some(Kind::Passing(what)) => Finding::warning("file-system", format!("{shown} is on {what}"))
            .hint("what is acknowledged is lost with it: set store.data_dir to a disk, or mount a volume there"),
        None => Finding::ok("file-system", format!("what {shown} is on cannot be found out here")),
    }
}

fn free(there: &Path) -> Finding {
    let shown = there.display();
    let Some(Room { free, .. }) = disk::room(there) else {
        return Finding::ok(
            "free-space",
            format!("how much is free at {shown} cannot be found out here"),
        );
    };
    let told = match free {
        free if free >= GB => format!("{:.1} GB are free at {shown}", free as f64 / GB as f64),
        free => format!("{} MB are free at {shown}", free / MB),
    };
    match free {
        free if free < NOTHING_LEFT => {
            Finding::failure("free-space", told).hint("make room, or set intake.dirs to a second disk")
        }
        free if free < LITTLE => {
            Finding::warning("free-space", told).hint("make room, or limit the store with retention.max_megabytes")
        }
        _ => Finding::ok("free-space", told),
    }
}

fn fsync(folder: &Path) -> Finding {
    match time_of_sync(folder) {
        Ok(took) if took > SLOW => Finding::warning("fsync", format!("a page is durable after {}", millis(took)))
            .hint("each webhook waits for that long before it is answered: a disk of the machine itself is faster"),
        Ok(took) => Finding::ok("fsync", format!("a page is durable after {}", millis(took))),
        Err(error) => Finding::failure("fsync", format!("{}: {error}", folder.display())),
    }
}

fn millis(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1000.0)
}

/// The median of some tries, in a file that has no name any more.
fn time_of_sync(folder: &Path) -> io::Result<Duration> {
    let path = folder.join(format!(".check-{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    fs::remove_file(&path)?;
    let mut took = Vec::new();
    for _ in 0..TRIES {
        let begun = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    Ok(took.get(TRIES / 2).copied().unwrap_or_default())
}
