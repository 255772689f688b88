//! The intake log's promise as a model of a few lines, held against random verbs, restarts and power cuts.
//!
//! A power cut keeps, of what was written since the last answer, some pages and not others, in both folders.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::prop_oneof;
use proptest::test_runner::{Config, TestRunner};
use runs_store::intake_log::inspect;
use runs_store::{IntakeLog, IntakeLogSettings, LogId, NewNotification, NotificationHead, Position};
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use uuid::Uuid;

const SEGMENT: u64 = 16 * 1024;
const PAGE: usize = 4096;
const CASES: u32 = 32;

#[derive(Clone, Debug)]
enum Step {
    Append {
        length: usize,
    },
    /// So many at the same time.
    AppendTogether {
        number: usize,
        length: usize,
    },
    /// The store takes some more.
    Read {
        limit: usize,
        max_bytes: usize,
    },
    /// Everything that the store has may go, or some of it.
    Release {
        behind: u64,
    },
    Restart,
    /// The power goes while notifications are written: which of the changed pages are on the disk is up to the bits.
    CutPower {
        number: usize,
        length: usize,
        pages: u64,
    },
    /// The first folder is away for one run of the worker.
    StartWithoutFirstFolder,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let length = || prop_oneof![3 => 0..3000_usize, 3 => 0..200_usize, 1 => 10_000..20_000_usize];
    let step = prop_oneof![
        8 => length().prop_map(|length| Step::Append { length }),
        2 => (1..9_usize, length()).prop_map(|(number, length)| Step::AppendTogether { number, length }),
        5 => (1..9_usize, 0..10_000_usize).prop_map(|(limit, max_bytes)| Step::Read { limit, max_bytes }),
        3 => (0..5_u64).prop_map(|behind| Step::Release { behind }),
        1 => Just(Step::Restart),
        3 => (1..9_usize, length(), any::<u64>())
            .prop_map(|(number, length, pages)| Step::CutPower { number, length, pages }),
        1 => Just(Step::StartWithoutFirstFolder),
    ];
    vec(step, 1..40)
}

fn notification(length: usize) -> NewNotification {
    NewNotification {
        id: Uuid::now_v7(),
        org: "acme".into(),
        subject: None,
        head: NotificationHead::default(),
        dedupe_key: None,
        received_at: Timestamp::UNIX_EPOCH,
        body: Bytes::from(vec![b'x'; length]),
    }
}

/// All files of the log, as they are.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A log, what was kept in it, and a store that takes things out of it.
struct Desk {
    folder: TempDir,
    log: Arc<IntakeLog>,
    id: LogId,
    /// What was answered for, with its position.
    kept: Vec<(Position, Uuid)>,
    /// What the store has taken, in its order.
    taken: Vec<Uuid>,
    /// How far the store is.
    after: Position,
    /// Nothing was ever given a higher number.
    highest: Position,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = Arc::new(IntakeLog::open(settings(folder.path())).unwrap());
        Self {
            id: log.id(),
            folder,
            log,
            kept: Vec::new(),
            taken: Vec::new(),
            after: Position::START,
            highest: Position::START,
        }
    }

    fn answered(&mut self, position: Position, id: Uuid) {
        assert!(position > self.highest, "{position} is new");
        self.highest = position;
        self.kept.push((position, id));
    }

    async fn append_together(&mut self, number: usize, length: usize) -> Vec<(Position, Uuid)> {
        let mut appending = JoinSet::new();
        for _ in 0..number {
            let (log, new) = (Arc::clone(&self.log), notification(length));
            appending.spawn(async move { (new.id, log.append(new).await.unwrap()) });
        }
        let appended = appending.join_all().await.into_iter();
        let mut appended: Vec<_> = appended.map(|(id, position)| (position, id)).collect();
        appended.sort_unstable();
        appended
    }

    /// The store takes what is next; it is durable there at once.
    async fn read(&mut self, limit: usize, max_bytes: usize) -> usize {
        let batch = self.log.read(self.after, limit, max_bytes).await.unwrap();
        assert!(batch.records.len() <= limit);
        let bytes: usize = batch.records.iter().map(|(_, found)| found.body.len()).sum();
        assert!(batch.records.len() <= 1 || bytes <= max_bytes);
        let mut last = self.after;
        for (position, notification) in &batch.records {
            assert!(*position > last);
            last = *position;
            self.taken.push(notification.id);
        }
        assert!(batch.through >= last);
        self.after = batch.through;
        batch.records.len()
    }

    /// The store takes everything. Then it has each notification that was answered for, in the order of the answers, and
    /// none twice.
    async fn take_everything(&mut self) {
        while self.read(7, 5000).await > 0 {}
        let seen: BTreeSet<_> = self.taken.iter().collect();
        assert_eq!(seen.len(), self.taken.len(), "none twice");
        let mut taken = self.taken.iter();
        for (position, id) in &self.kept {
            assert!(taken.any(|found| found == id), "{position} is there, in its order");
        }
    }

    async fn restart(&mut self) {
        self.log.close().await;
        self.open();
    }

    fn open(&mut self) {
        self.log = Arc::new(IntakeLog::open(settings(self.folder.path())).unwrap());
        assert_eq!(self.log.id(), self.id);
        assert!(self.log.end() >= self.highest);
    }

    fn files(&self) -> Files {
        let mut files = Files::new();
        for folder in folders(self.folder.path()) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                files.insert(path.clone(), fs::read(path).unwrap());
            }
        }
        files
    }

    /// Notifications are written, and then only some of the pages are what they became.
    async fn cut_power(&mut self, number: usize, length: usize, pages: u64) {
        // The keeper has done what it had to.
        self.log.release(Position::START).await.unwrap();
        self.log.release(Position::START).await.unwrap();
        let before = self.files();
        let unanswered = self.append_together(number, length).await;
        self.log.close().await;
        let after = self.files();
        let mut bits = (0..64).cycle().map(|bit| pages >> bit & 1 == 1);
        let mut is_complete = true;
        // A file goes only once the header of the one that follows it is on the disk.
        let are_headers_synced = before.keys().any(|path| !after.contains_key(path));
        for (path, now) in after {
            let Some(then) = before.get(&path) else { continue };
            let mut torn = now.clone();
            for (start, page) in then
                .chunks(PAGE)
                .enumerate()
                .map(|(number, page)| (number * PAGE, page))
            {
                let end = start + page.len();
                let is_header = start == 0 || end == then.len();
                if is_header && are_headers_synced {
                    continue;
                }
                if torn[start..end] != *page && !bits.next().unwrap_or_default() {
                    torn[start..end].copy_from_slice(page);
                    is_complete = false;
                }
            }
            fs::write(&path, torn).unwrap();
        }
        for (position, id) in unanswered {
            // They were not answered for, unless nothing is missing: then they are found.
            if is_complete {
                self.answered(position, id);
            }
        }
        self.open();
        self.highest = self.highest.max(self.log.end());
    }

    async fn start_without_first_folder(&mut self) {
        self.log.close().await;
        let [first, _] = folders(self.folder.path());
        let away = self.folder.path().join("away");
        fs::rename(&first, &away).unwrap();
        fs::write(&first, "in the way").unwrap();
        self.open();
        let (position, id) = self.append_together(1, 100).await[0];
        let waiting: Vec<_> = std::mem::take(&mut self.kept);
        while self.read(7, 5000).await > 0 {}
        assert!(self.taken.contains(&id));
        self.log.close().await;
        fs::remove_file(&first).unwrap();
        fs::rename(&away, &first).unwrap();
        self.open();
        // What was away comes after what was not, and some of it once more.
        while self.read(7, 5000).await > 0 {}
        for (position, id) in &waiting {
            assert!(self.taken.contains(id), "{position} is not lost");
        }
        let mut seen = BTreeSet::new();
        self.taken.retain(|id| seen.insert(*id));
        assert!(position > self.highest);
        self.highest = self.log.end();
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Append { length } => {
                let new = notification(length);
                let id = new.id;
                let position = self.log.append(new).await.unwrap();
                self.answered(position, id);
            }
            Step::AppendTogether { number, length } => {
                for (position, id) in self.append_together(number, length).await {
                    self.answered(position, id);
                }
            }
            Step::Read { limit, max_bytes } => drop(self.read(limit, max_bytes).await),
            Step::Release { behind } => {
                let through = Position::new(self.after.get().saturating_sub(behind));
                self.log.release(through).await.unwrap();
            }
            Step::Restart => {
                self.restart().await;
                assert_eq!(self.log.damage().places, 0);
                self.take_everything().await;
            }
            Step::CutPower { number, length, pages } => {
                self.cut_power(number, length, pages).await;
                self.take_everything().await;
            }
            Step::StartWithoutFirstFolder => self.start_without_first_folder().await,
        }
    }
}

fn folders(folder: &Path) -> [PathBuf; 2] {
    [folder.join("first"), folder.join("second")]
}

fn settings(folder: &Path) -> IntakeLogSettings {
    let mut settings = IntakeLogSettings::new(folders(folder).into());
    settings.segment_bytes = SEGMENT;
    settings.reserve_bytes = 2 * SEGMENT;
    settings.retry_folder_after = Duration::ZERO;
    settings
}

#[test]
fn nothing_that_was_kept_is_lost_whatever_happens() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&steps(), |steps| {
        runtime.block_on(async {
            let mut desk = Desk::new();
            for step in steps {
                desk.step(step).await;
            }
            desk.take_everything().await;
            // Nothing is there before the room is reserved.
            if let Some(inspection) = inspect(&folders(desk.folder.path())).unwrap() {
                assert_eq!(inspection.id, desk.id);
                assert!(inspection.last.is_none_or(|last| last <= desk.log.end()));
            }
        });
        Ok(())
    });
    outcome.unwrap();
}
