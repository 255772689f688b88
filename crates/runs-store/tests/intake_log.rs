//! The intake log keeps what it said it keeps, whatever becomes of its files.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::fs;
use std::path::{Path, PathBuf};
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
