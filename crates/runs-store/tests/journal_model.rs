//! The overflow journal's promise as a model of a few lines, held against random verbs, restarts, crashes and torn writes.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::prop_oneof;
use proptest::test_runner::{Config, TestRunner};
use runs_store::{Journal, NewNotification, NotificationHead};
use tempfile::TempDir;
use tokio::runtime::Builder;
use uuid::Uuid;

const RESERVE: u64 = 4096;
const CASES: u32 = 64;

#[derive(Clone, Debug)]
enum Step {
    Append {
        length: usize,
    },
    /// Some of the oldest go to the store.
    Forget {
        most: usize,
        which: u8,
    },
    Restart,
    /// The process ends, and what it has written stays.
    Crash,
    /// The power goes while a notification is written, so far.
    Tear {
        length: usize,
        at: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..3000_usize).prop_map(|length| Step::Append { length }),
        5 => (1..6_usize, any::<u8>()).prop_map(|(most, which)| Step::Forget { most, which }),
        1 => Just(Step::Restart),
        1 => Just(Step::Crash),
        2 => (0..3000_usize, any::<usize>()).prop_map(|(length, at)| Step::Tear { length, at }),
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

fn file(folder: &Path) -> PathBuf {
    folder.join("overflow.journal")
}

/// A journal in a folder, and what must be in it.
struct Desk {
    folder: TempDir,
    journal: Journal,
    /// What was kept and not forgotten, in the order in which it came.
    kept: Vec<Uuid>,
    /// What may be there or not: after a crash, what was forgotten.
    optional: BTreeSet<Uuid>,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path(), RESERVE).unwrap();
        Self {
            folder,
            journal,
            kept: Vec::new(),
            optional: BTreeSet::new(),
        }
    }

    async fn append(&mut self, length: usize) {
        let notification = notification(length);
        self.kept.push(notification.id);
        self.journal.append(notification).await.unwrap();
    }

    async fn forget(&mut self, most: usize, which: u8) {
        let oldest = self.journal.oldest(None, most).await.unwrap();
        let chosen = oldest.iter().enumerate().filter(|(place, _)| which & (1 << place) != 0);
        let mut numbers = Vec::new();
        for (_, (number, notification)) in chosen {
            numbers.push(*number);
            self.kept.retain(|kept| *kept != notification.id);
            self.optional.insert(notification.id);
        }
        self.journal.forget(numbers).await.unwrap();
    }

    /// Goes on with a journal whose file is this.
    async fn go_on_with(&mut self, bytes: &[u8]) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(file(folder.path()), bytes).unwrap();
        self.journal.close().await;
        self.journal = Journal::open(folder.path(), RESERVE).unwrap();
        self.folder = folder;
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(file(self.folder.path())).unwrap()
    }

    /// Everything that is in it. What came back after a crash is kept from now on.
    async fn look(&mut self) {
        let found = self.journal.oldest(None, 1000).await.unwrap();
        let found: Vec<Uuid> = found.into_iter().map(|(_, notification)| notification.id).collect();
        assert_eq!(*self.journal.waiting().borrow(), found.len() as u64);
        let mut rest: Vec<Uuid> = found.clone();
        rest.retain(|id| !self.optional.contains(id));
        assert_eq!(
            rest, self.kept,
            "nothing is lost, nothing comes twice, and all in order"
        );
        assert!(found.is_sorted(), "what comes back does so in its place");
        self.optional.retain(|id| !found.contains(id));
        self.kept = found;
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Append { length } => self.append(length).await,
            Step::Forget { most, which } => self.forget(most, which).await,
            Step::Restart => {
                self.journal.close().await;
                self.journal = Journal::open(self.folder.path(), RESERVE).unwrap();
                assert_eq!(self.journal.damage().places, 0, "a torn end is found once");
                self.look().await;
            }
            Step::Crash => {
                let bytes = self.bytes();
                self.go_on_with(&bytes).await;
                assert_eq!(self.journal.damage().places, 0);
                self.look().await;
            }
            Step::Tear { length, at } => {
                let before = self.bytes();
                self.append(length).await;
                let mut torn = self.bytes();
                let written: Vec<usize> = (0..torn.len())
                    .filter(|&place| before.get(place) != Some(&torn[place]))
                    .collect();
                let kept = at % (written.len() + 1);
                for &place in &written[kept..] {
                    torn[place] = before.get(place).copied().unwrap_or_default();
                }
                if kept < written.len() {
                    // Nobody was told that it is kept. It may be whole all the same, without the end behind it.
                    self.optional.extend(self.kept.pop());
                }
                self.go_on_with(&torn).await;
                self.look().await;
            }
        }
    }
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
            desk.look().await;
        });
        Ok(())
    });
    outcome.unwrap();
}
