//! The overflow journal keeps what it said it keeps, whatever becomes of its file.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use runs_store::{
    InboxDesk as _, Journal, JournalError, NewNotification, NotificationHead, OperatorDesk as _, SqliteStore, Subject,
};
use tallyfy_model::RunId;
use tempfile::TempDir;
use uuid::Uuid;

const RESERVE: u64 = 4096;

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

fn file(folder: &Path) -> PathBuf {
    folder.join("overflow.journal")
}

/// The runs of what is in the journal, in order.
async fn runs(journal: &Journal) -> Vec<String> {
    let found = journal.oldest(None, 1000).await.unwrap();
    let run = |(_, found): &(u64, NewNotification)| found.head.run.clone().unwrap().to_string();
    found.iter().map(run).collect()
}

/// A journal with notifications of these runs, closed.
async fn with(names: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path(), RESERVE).unwrap();
    for name in names {
        journal.append(notification(name, name.as_bytes())).await.unwrap();
    }
    journal.close().await;
    folder
}

#[tokio::test]
async fn what_was_kept_is_there_after_a_restart_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path(), RESERVE).unwrap();
    let unrecognized = NewNotification {
        subject: None,
        dedupe_key: None,
        ..notification("x", b"\x00\xff no JSON, and no text")
    };
    let kept = [notification("a", b"{}"), unrecognized];
    for notification in &kept {
        journal.append(notification.clone()).await.unwrap();
    }
    journal.close().await;
    let journal = Journal::open(folder.path(), RESERVE).unwrap();
    let found = journal.oldest(None, 10).await.unwrap();
    let found: Vec<String> = found.iter().map(|(_, found)| format!("{found:?}")).collect();
    assert_eq!(found, kept.map(|kept| format!("{kept:?}")));
    assert_eq!((journal.damage().places, *journal.waiting().borrow()), (0, 2));
}

#[tokio::test]
async fn what_is_in_the_store_is_forgotten_and_its_room_is_used_again() {
    let folder = with(&["a", "b", "c"]).await;
    for round in 0..20 {
        let journal = Journal::open(folder.path(), RESERVE).unwrap();
        assert_eq!(journal.damage().places, 0, "round {round}");
        let found = journal.oldest(None, 10).await.unwrap();
        let numbers = found.iter().map(|(number, _)| *number).collect();
        journal.forget(numbers).await.unwrap();
        assert!(runs(&journal).await.is_empty());
        // Of another length each time, so that what is left lies athwart.
        let body = vec![b'x'; 1 + 37 * round];
        journal.append(notification("a", &body)).await.unwrap();
        journal.append(notification("b", &body)).await.unwrap();
        journal.close().await;
    }
    let journal = Journal::open(folder.path(), RESERVE).unwrap();
    assert_eq!(runs(&journal).await, ["a", "b"]);
    assert!(fs::metadata(file(folder.path())).unwrap().len() <= 4096 + RESERVE);
}

#[tokio::test]
async fn a_few_may_be_left_behind_without_holding_up_the_rest() {
    let folder = with(&["a", "b", "c"]).await;
    let journal = Journal::open(folder.path(), RESERVE).unwrap();
    let found = journal.oldest(None, 10).await.unwrap();
    journal.forget(vec![found[0].0, found[2].0]).await.unwrap();
    assert_eq!(runs(&journal).await, ["b"]);
    assert!(journal.oldest(Some(found[1].0), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn at_every_length_of_its_tail_what_is_whole_is_kept() {
    let folder = with(&["a", "b", "c"]).await;
    let whole = fs::read(file(folder.path())).unwrap();
    let end = 8 + whole.iter().rposition(|byte| *byte != 0).unwrap();
    let mut seen = Vec::new();
    for length in (4096..=end).rev() {
        let copy = tempfile::tempdir().unwrap();
        fs::write(file(copy.path()), &whole[..length]).unwrap();
        let journal = Journal::open(copy.path(), RESERVE).unwrap();
        let names = runs(&journal).await;
        assert_eq!(names, ["a", "b", "c"][..names.len()]);
        seen.push(names.len());
        // And it goes on: what comes next is kept behind what was whole.
        journal.append(notification("d", b"d")).await.unwrap();
        journal.close().await;
        let journal = Journal::open(copy.path(), RESERVE).unwrap();
        assert_eq!(runs(&journal).await, [&names[..], &["d".to_owned()]].concat());
    }
    assert!(seen.is_sorted_by(|before, after| before >= after), "{seen:?}");
    assert_eq!((seen.first(), seen.last()), (Some(&3), Some(&0)));
}

#[tokio::test]
async fn a_flipped_byte_costs_one_record_and_no_other() {
    let folder = with(&["a", "b", "c"]).await;
    let whole = fs::read(file(folder.path())).unwrap();
    let end = 1 + whole.iter().rposition(|byte| *byte != 0).unwrap();
    let mut lost = 0;
    for position in 0..end {
        let mut flipped = whole.clone();
        flipped[position] ^= 0x5a;
        let copy = tempfile::tempdir().unwrap();
        fs::write(file(copy.path()), &flipped).unwrap();
        let journal = Journal::open(copy.path(), RESERVE).unwrap();
        let names = runs(&journal).await;
        let damage = journal.damage();
        match names.len() {
            3 => assert_eq!(damage.places, 0, "byte {position}"),
            2 => {
                lost += 1;
                assert_eq!(damage.places, 1, "byte {position}");
                let aside = damage.kept_at.as_ref().unwrap();
                assert_eq!(fs::read(aside).unwrap()[..end], flipped[..end]);
            }
            left => panic!("byte {position} left {left} records"),
        }
        assert!(
            ["a", "b", "c"]
                .iter()
                .filter(|name| names.contains(&(**name).to_owned()))
                .count()
                == names.len()
        );
    }
    assert!(lost > 300, "{lost}");
}

#[tokio::test]
async fn damage_is_put_aside_once() {
    let folder = with(&["a", "b", "c"]).await;
    let mut bytes = fs::read(file(folder.path())).unwrap();
    let end = 1 + bytes.iter().rposition(|byte| *byte != 0).unwrap();
    // One record in the middle, and a torn end.
    bytes[4096 + (end - 4096) / 2] ^= 0x5a;
    bytes.splice(end.next_multiple_of(8).., [b'?'; 50]);
    fs::write(file(folder.path()), &bytes).unwrap();
    let mut places = Vec::new();
    for _ in 0..5 {
        let journal = Journal::open(folder.path(), RESERVE).unwrap();
        assert_eq!(runs(&journal).await, ["a", "c"]);
        places.push(journal.damage().places);
        journal.close().await;
    }
    assert_eq!(places, [2, 1, 1, 1, 1]);
    let copies = fs::read_dir(folder.path()).unwrap().count() - 1;
    assert_eq!(copies, 2, "as it was, and as it is without the torn end");
}

#[tokio::test]
async fn what_is_drained_twice_is_stored_once() {
    let folder = with(&["a", "b"]).await;
    let now = Timestamp::UNIX_EPOCH;
    let store = SqliteStore::open(folder.path().join("runs.db"), now).unwrap();
    for _ in 0..2 {
        // As after a crash between the store and the journal.
        let journal = Journal::open(folder.path(), RESERVE).unwrap();
        for (_, notification) in journal.oldest(None, 10).await.unwrap() {
            store.append(notification, now).await.unwrap();
        }
        journal.close().await;
    }
    assert_eq!(store.stats(now).await.unwrap().due, 2);
}

#[tokio::test]
async fn a_journal_has_one_owner_and_another_file_is_left_alone() {
    let folder = with(&["a"]).await;
    let journal = Journal::open(folder.path(), RESERVE).unwrap();
    assert!(matches!(
        Journal::open(folder.path(), RESERVE),
        Err(JournalError::Held { .. })
    ));
    journal.close().await;
    drop(journal);
    fs::write(file(folder.path()), "somebody else's file").unwrap();
    assert!(matches!(
        Journal::open(folder.path(), RESERVE),
        Err(JournalError::NotAJournal { .. })
    ));
    assert_eq!(fs::read(file(folder.path())).unwrap(), b"somebody else's file");
}

#[tokio::test]
async fn many_at_a_time_are_all_kept_beyond_what_was_reserved() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Arc::new(Journal::open(folder.path(), RESERVE).unwrap());
    let mut appending = tokio::task::JoinSet::new();
    for number in 0..200 {
        let journal = Arc::clone(&journal);
        appending.spawn(async move { journal.append(notification(&number.to_string(), &[b'x'; 500])).await });
    }
    while let Some(appended) = appending.join_next().await {
        appended.unwrap().unwrap();
    }
    journal.close().await;
    drop(journal);
    let journal = Journal::open(folder.path(), RESERVE).unwrap();
    let mut names = runs(&journal).await;
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 200);
}
