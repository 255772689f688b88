//! The intake log keeps what it said it keeps, whatever becomes of its files.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use runs_store::intake_log::inspect;
use runs_store::{IntakeLog, IntakeLogError, IntakeLogSettings, NewNotification, NotificationHead, Position, Subject};
use tallyfy_model::{Announced, RunId, TaskId};
use tempfile::TempDir;
use uuid::Uuid;

const SEGMENT: u64 = 16 * 1024;

fn notification(run: &str, body: &[u8]) -> NewNotification {
    let head = NotificationHead {
        kind: "process".to_owned(),
        run: Some(RunId::new(run)),
        ..NotificationHead::default()
    };
    NewNotification {
        id: Uuid::now_v7(),
        org: "acme".into(),
        subject: Some(Subject::Run(RunId::new(run))),
        head,
        dedupe_key: Some(format!("key of {run}")),
        received_at: Timestamp::UNIX_EPOCH,
        body: Bytes::copy_from_slice(body),
    }
}

/// Small segments, one of them reserved ahead in each folder.
fn settings(folders: &[&Path]) -> IntakeLogSettings {
    let mut settings = IntakeLogSettings::new(folders.iter().map(|folder| folder.to_path_buf()).collect());
    settings.segment_bytes = SEGMENT;
    settings.reserve_bytes = SEGMENT;
    settings.retry_folder_after = Duration::ZERO;
    settings
}

fn open(folder: &Path) -> IntakeLog {
    IntakeLog::open(settings(&[folder])).unwrap()
}

/// The runs of what comes after a position, and the positions.
async fn read(log: &IntakeLog, after: Position) -> (Vec<String>, Vec<Position>) {
    let (mut runs, mut positions, mut through) = (Vec::new(), Vec::new(), after);
    loop {
        let batch = log.read(through, 7, 100_000).await.unwrap();
        through = batch.through;
        if batch.records.is_empty() {
            return (runs, positions);
        }
        for (position, notification) in batch.records {
            positions.push(position);
            runs.push(notification.head.run.unwrap().to_string());
        }
    }
}

async fn runs(log: &IntakeLog) -> Vec<String> {
    let (runs, positions) = read(log, Position::START).await;
    assert!(positions.is_sorted_by(|before, after| before < after), "{positions:?}");
    runs
}

/// A log with notifications of these runs, closed.
async fn with(names: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    for name in names {
        log.append(notification(name, name.as_bytes())).await.unwrap();
    }
    log.close().await;
    folder
}

#[tokio::test]
async fn what_was_kept_is_there_after_a_restart_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let mut announcing = notification("b", b"{}");
    announcing.head.announced.task = Some(TaskId::new("t"));
    announcing.received_at = "2026-11-27T06:00:00.123456789Z".parse().unwrap();
    announcing.subject = Some(Subject::Task(TaskId::new("t")));
    announcing.head.event = Some("task.completed".to_owned());
    assert_ne!(announcing.head.announced, Announced::default());
    let unrecognized = NewNotification {
        subject: None,
        dedupe_key: None,
        ..notification("x", b"\x00\xff no JSON, and no text")
    };
    let kept = [notification("a", b""), announcing, unrecognized];
    let mut positions = Vec::new();
    for notification in &kept {
        positions.push(log.append(notification.clone()).await.unwrap());
    }
    let id = log.id();
    log.close().await;
    let log = open(folder.path());
    let found = log.read(Position::START, 10, 1_000_000).await.unwrap();
    let expected: Vec<_> = positions.iter().copied().zip(kept).collect();
    assert_eq!(format!("{:?}", found.records), format!("{expected:?}"));
    assert_eq!((found.through, log.end()), (positions[2], positions[2]));
    assert_eq!((log.id(), log.damage().places), (id, 0));
}

#[tokio::test]
async fn positions_go_on_after_a_restart_when_everything_was_released() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = Position::START;
    for round in 0..6 {
        let log = open(folder.path());
        assert_eq!(log.end(), last, "round {round}");
        for number in 0..20 {
            let position = log
                .append(notification(&number.to_string(), &[b'x'; 1500]))
                .await
                .unwrap();
            assert!(position > last);
            last = position;
        }
        log.release(last).await.unwrap();
        assert_eq!((log.segments(), log.waiting_bytes()), (1, 0));
        log.close().await;
    }
}

#[tokio::test]
async fn segments_are_used_again_and_what_was_in_them_never_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let mut after = Position::START;
    for round in 0..50 {
        // Of another length each time, so that what is left lies athwart.
        let body = vec![b'x'; 1 + 137 * round];
        let names = [format!("{round} a"), format!("{round} b")];
        for name in &names {
            log.append(notification(name, &body)).await.unwrap();
        }
        let (found, positions) = read(&log, after).await;
        assert_eq!(found, names);
        after = *positions.last().unwrap();
        log.release(after).await.unwrap();
    }
    let files = fs::read_dir(folder.path()).unwrap().count();
    assert!(files <= 4, "{files} files");
    log.close().await;
    let log = open(folder.path());
    assert!(read(&log, after).await.0.is_empty());
    assert_eq!(log.damage().places, 0);
}

#[tokio::test]
async fn whole_records_that_an_earlier_use_of_a_segment_left_are_no_records() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let mut last = Position::START;
    // Several times round through the files, with many records in each.
    for _ in 0..400 {
        last = log.append(notification("old", &[b'x'; 100])).await.unwrap();
        log.release(last).await.unwrap();
    }
    log.close().await;
    for number in 0..50 {
        let log = open(folder.path());
        assert_eq!((log.end(), log.damage().places), (last, 0), "start {number}");
        // Of another length, so that what is left does not follow.
        last = log.append(notification("new", &[b'y'; 300])).await.unwrap();
        log.close().await;
    }
    let log = open(folder.path());
    assert_eq!(read(&log, Position::new(400)).await.0, ["new"; 50]);
    assert_eq!(log.damage().places, 0);
}

#[tokio::test]
async fn a_log_has_one_owner_and_another_file_is_left_alone() {
    let folder = with(&["a"]).await;
    let log = open(folder.path());
    let second = IntakeLog::open(settings(&[folder.path()]));
    assert!(matches!(second, Err(IntakeLogError::Held { .. })));
    drop(log);
    let file = folder.path().join("intake-1.log");
    fs::write(&file, "somebody else's file").unwrap();
    let opened = IntakeLog::open(settings(&[folder.path()]));
    assert!(matches!(opened, Err(IntakeLogError::NotALog { path }) if path == file));
    assert_eq!(fs::read(&file).unwrap(), b"somebody else's file");
}

#[tokio::test]
async fn many_at_a_time_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(open(folder.path()));
    let mut appending = tokio::task::JoinSet::new();
    for number in 0..200 {
        let log = Arc::clone(&log);
        appending.spawn(async move { log.append(notification(&number.to_string(), &[b'x'; 500])).await });
    }
    while let Some(appended) = appending.join_next().await {
        appended.unwrap().unwrap();
    }
    let log = Arc::into_inner(log).unwrap();
    drop(log);
    let mut names = runs(&open(folder.path())).await;
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 200);
}

#[tokio::test]
async fn a_full_log_says_so_and_goes_on_when_something_is_released() {
    let folder = tempfile::tempdir().unwrap();
    let mut small = settings(&[folder.path()]);
    small.max_bytes = 3 * SEGMENT;
    let log = IntakeLog::open(small).unwrap();
    let mut last = Position::START;
    let refused = loop {
        match log.append(notification("a", &[b'x'; 3000])).await {
            Ok(position) => last = position,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, IntakeLogError::Full { .. }));
    assert_eq!(last, Position::new(3 * 2), "three segments of two");
    log.release(Position::new(2)).await.unwrap();
    assert_eq!(log.append(notification("b", b"b")).await.unwrap(), Position::new(7));
}

#[tokio::test]
async fn what_is_looked_at_from_outside_is_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let folders: Vec<PathBuf> = vec![folder.path().join("none"), folder.path().to_owned()];
    assert!(inspect(&folders).unwrap().is_none());
    let log = open(folder.path());
    for name in ["a", "b", "c"] {
        log.append(notification(name, &[b'x'; 6000])).await.unwrap();
    }
    let inspection = inspect(&folders).unwrap().unwrap();
    assert_eq!((inspection.id, inspection.records), (log.id(), 3));
    assert_eq!(
        (inspection.first, inspection.last),
        (Some(Position::new(1)), Some(log.end()))
    );
    assert_eq!(inspection.damage.places, 0);
    let found = inspection.records(Position::new(1));
    let found: Vec<_> = found.map(|(_, found)| found.head.run.unwrap().to_string()).collect();
    assert_eq!(found, ["b", "c"]);
}

/// The file that has records.
fn segment_in_use(folder: &Path) -> PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    files
        .find(|path| fs::read(path).unwrap()[4096..].starts_with(b"RUNl"))
        .unwrap()
}

fn end_of_records(segment: &[u8]) -> usize {
    let records = &segment[..segment.len() - 4096];
    (1 + records.iter().rposition(|byte| *byte != 0).unwrap()).next_multiple_of(8)
}

/// A copy of a folder whose segment in use is this.
fn copy_with(folder: &Path, segment: &[u8]) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    let file = segment_in_use(folder);
    fs::write(copy.path().join(file.file_name().unwrap()), segment).unwrap();
    copy
}

#[tokio::test]
async fn at_every_length_of_its_tail_what_is_whole_is_kept() {
    let folder = with(&["a", "b", "c"]).await;
    let whole = fs::read(segment_in_use(folder.path())).unwrap();
    let end = end_of_records(&whole);
    let mut seen = Vec::new();
    for length in (4096..=end + 8).rev().step_by(5) {
        // Half of the times the file ends there; otherwise the rest was never written.
        let mut torn = whole[..length].to_vec();
        if length % 2 == 0 {
            torn.resize(whole.len() - 4096, 0);
            torn.extend_from_slice(&whole[whole.len() - 4096..]);
        }
        let copy = copy_with(folder.path(), &torn);
        let log = open(copy.path());
        let names = runs(&log).await;
        assert_eq!(names, ["a", "b", "c"][..names.len()]);
        seen.push(names.len());
        // And it goes on: what comes next is kept behind what was whole.
        let position = log.append(notification("d", b"d")).await.unwrap();
        assert!(position > Position::new(3) || log.damage().places == 0);
        log.close().await;
        let log = open(copy.path());
        assert_eq!(runs(&log).await, [&names[..], &["d".to_owned()]].concat());
    }
    assert!(seen.is_sorted_by(|before, after| before >= after), "{seen:?}");
    assert_eq!((seen.first(), seen.last()), (Some(&3), Some(&0)));
}

#[tokio::test]
async fn a_flipped_byte_costs_one_record_and_no_other() {
    let folder = with(&["a", "b", "c"]).await;
    let whole = fs::read(segment_in_use(folder.path())).unwrap();
    let end = end_of_records(&whole);
    let headers = (0..100).chain(whole.len() - 4096..whole.len() - 3996);
    let mut lost = 0;
    for position in headers.step_by(9).chain((4096..end).step_by(2)) {
        let mut flipped = whole.clone();
        flipped[position] ^= 0x5a;
        let copy = copy_with(folder.path(), &flipped);
        let log = open(copy.path());
        let names = runs(&log).await;
        let damage = log.damage();
        match names.len() {
            3 => assert_eq!(damage.places, 0, "byte {position}"),
            2 => {
                lost += 1;
                assert_eq!(damage.places, 1, "byte {position}");
                assert_eq!(fs::read(&damage.kept_at[0]).unwrap(), flipped);
            }
            left => panic!("byte {position} left {left} records"),
        }
        assert!(names.iter().is_sorted());
        // The number of a record that cannot be read is not given out again.
        let position = log.append(notification("d", b"d")).await.unwrap();
        assert!(position > Position::new(3));
    }
    assert!(lost > 150, "{lost}");
}

#[tokio::test]
async fn damage_is_put_aside_once() {
    let folder = with(&["a", "b", "c"]).await;
    let file = segment_in_use(folder.path());
    let mut bytes = fs::read(&file).unwrap();
    let end = end_of_records(&bytes);
    // One record in the middle, and a torn end.
    bytes[4096 + (end - 4096) / 2] ^= 0x5a;
    bytes[end..end + 50].fill(b'?');
    fs::write(&file, &bytes).unwrap();
    let mut places = Vec::new();
    for _ in 0..4 {
        let log = open(folder.path());
        places.push(log.damage().places);
        for _ in 0..2 {
            assert_eq!(runs(&log).await, ["a", "c"]);
        }
        assert_eq!(
            log.damage().places,
            2,
            "each place counts once, however often it is read"
        );
        log.close().await;
    }
    assert_eq!(
        places,
        [2, 0, 0, 0],
        "the end is torn no more, and the rest is read when it is wanted"
    );
    let copies = fs::read_dir(folder.path()).unwrap();
    let copies = copies.filter(|entry| entry.as_ref().unwrap().path().to_string_lossy().contains("damaged"));
    assert_eq!(copies.count(), 1);
}

#[tokio::test]
async fn damage_in_an_older_segment_is_found_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    for number in 0..6 {
        log.append(notification(&number.to_string(), &[b'x'; 3000]))
            .await
            .unwrap();
    }
    log.close().await;
    let mut first = None;
    for entry in fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        // The first record's number is 1.
        if bytes.get(4096 + 16) == Some(&1) {
            first = Some((path, bytes));
        }
    }
    let (path, mut bytes) = first.unwrap();
    bytes[5000] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let log = open(folder.path());
    assert_eq!(log.damage().places, 0, "it was not read yet");
    assert_eq!(runs(&log).await, ["1", "2", "3", "4", "5"]);
    assert_eq!(log.damage().places, 1);
    assert_eq!(log.append(notification("6", b"")).await.unwrap(), Position::new(7));
}

#[tokio::test]
async fn the_next_folder_is_used_while_the_first_takes_no_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    // A file is in the way.
    fs::write(&first, "").unwrap();
    let log = IntakeLog::open(settings(&[&first, &second])).unwrap();
    log.append(notification("a", b"")).await.unwrap();
    fs::remove_file(&first).unwrap();
    log.append(notification("b", b"")).await.unwrap();
    assert_eq!(runs(&log).await, ["a", "b"], "in order, over both folders");
    log.close().await;
    assert!(segment_in_use(&first).exists() && segment_in_use(&second).exists());
    let log = IntakeLog::open(settings(&[&first, &second])).unwrap();
    assert_eq!(runs(&log).await, ["a", "b"]);
    assert_eq!(log.append(notification("c", b"")).await.unwrap(), Position::new(3));
}

#[tokio::test]
async fn what_is_in_a_folder_that_was_away_is_read_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second, away) = (
        folder.path().join("first"),
        folder.path().join("second"),
        folder.path().join("away"),
    );
    let both = settings(&[&first, &second]);
    let log = IntakeLog::open(both.clone()).unwrap();
    let id = log.id();
    log.append(notification("a", b"")).await.unwrap();
    log.append(notification("b", b"")).await.unwrap();
    log.close().await;
    fs::rename(&first, &away).unwrap();
    fs::write(&first, "").unwrap();

    let log = IntakeLog::open(both.clone()).unwrap();
    let position = log.append(notification("c", b"")).await.unwrap();
    assert!(position > Position::new(2), "no number is given out twice");
    let read_up_to = log.read(Position::START, 10, 10_000).await.unwrap().through;
    assert_eq!((log.id(), read_up_to), (id, position));
    log.release(position).await.unwrap();
    log.close().await;
    fs::remove_file(&first).unwrap();
    fs::rename(&away, &first).unwrap();

    for _ in 0..2 {
        let log = IntakeLog::open(both.clone()).unwrap();
        assert_eq!(read(&log, position).await.0, ["a", "b"], "after what was read already");
        log.close().await;
    }
    let log = IntakeLog::open(both).unwrap();
    log.append(notification("d", b"")).await.unwrap();
    assert_eq!(read(&log, position).await.0, ["a", "b", "d"]);
    assert_eq!(inspect(&[first, second]).unwrap().unwrap().records, 4);
}

#[tokio::test]
async fn what_was_released_beyond_the_end_is_not_given_out_again() {
    let folder = with(&["a"]).await;
    let log = open(folder.path());
    log.release(Position::new(100)).await.unwrap();
    assert_eq!(log.append(notification("b", b"")).await.unwrap(), Position::new(101));
    assert_eq!(read(&log, Position::new(100)).await.0, ["b"]);
    log.close().await;
    let log = open(folder.path());
    assert_eq!(log.append(notification("c", b"")).await.unwrap(), Position::new(102));
    assert_eq!(read(&log, Position::new(100)).await.0, ["b", "c"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_and_letting_go_beside_appending_sees_everything_once() {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(open(folder.path()));
    let writing = {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            for number in 0..500 {
                let body = vec![b'x'; 17 * (number % 100)];
                log.append(notification(&number.to_string(), &body)).await.unwrap();
            }
        })
    };
    let (mut found, mut after, mut appended) = (Vec::new(), Position::START, log.appended());
    while found.len() < 500 {
        let batch = log.read(after, 64, 100_000).await.unwrap();
        found.extend(
            batch
                .records
                .into_iter()
                .map(|(_, found)| found.head.run.unwrap().to_string()),
        );
        after = batch.through;
        log.release(after).await.unwrap();
        if after.get() >= *appended.borrow_and_update() && found.len() < 500 {
            appended.changed().await.unwrap();
        }
    }
    writing.await.unwrap();
    let all: Vec<_> = (0..500).map(|number| number.to_string()).collect();
    assert_eq!(found, all);
    assert_eq!((log.damage().places, log.segments(), log.waiting_bytes()), (0, 1, 0));
}

/// A small disk, unmounted in the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this user may not mount anything.
    #[expect(clippy::print_stderr, reason = "what is skipped is told aloud")]
    fn mount(at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(at).output();
        if mounted.as_ref().is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self(at.to_owned()));
        }
        let is_root = rustix::process::geteuid().is_root();
        assert!(std::env::var_os("CI").is_none() || !is_root, "no tmpfs: {mounted:?}");
        eprintln!("SKIPPED: no small disk can be mounted: {mounted:?}");
        None
    }

    fn fill(&self) -> PathBuf {
        let filler = self.0.join("filler");
        let mut file = fs::File::create(&filler).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        filler
    }

    /// How many segments on it have records.
    fn segments(&self) -> usize {
        let files = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| fs::read(entry.unwrap().path()).unwrap());
        files
            .filter(|file| file.get(4096..).is_some_and(|records| records.starts_with(b"RUNl")))
            .count()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn on_a_full_disk_the_room_that_was_reserved_is_used_and_then_the_next_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let Some(disk) = SmallDisk::mount(&first) else { return };
    let mut settings = settings(&[&first, &second]);
    settings.reserve_bytes = 3 * SEGMENT;
    let log = IntakeLog::open(settings.clone()).unwrap();
    // The room is reserved when this comes back for the second time.
    for _ in 0..2 {
        log.release(Position::START).await.unwrap();
    }
    let filler = disk.fill();
    let mut names = Vec::new();
    for number in 0..12 {
        names.push(number.to_string());
        log.append(notification(&names[number], &[b'x'; 3000])).await.unwrap();
    }
    assert_eq!((disk.segments(), log.segments()), (3, 6), "two in each segment");
    fs::remove_file(filler).unwrap();
    names.push("12".to_owned());
    log.append(notification("12", b"")).await.unwrap();
    assert_eq!(disk.segments(), 4, "the first folder is preferred");
    assert_eq!(runs(&log).await, names);
    log.close().await;
    let log = IntakeLog::open(settings).unwrap();
    assert_eq!(runs(&log).await, names);
    log.close().await;
}
