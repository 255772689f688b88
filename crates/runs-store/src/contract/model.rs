//! The promises as a model of a few lines, held against random verbs, jumps of time in both directions, sweeps, restarts and crashes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::env;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::prop_oneof;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Builder;
use uuid::Uuid;

use super::arrange::{
    Desk, again, assert_lease_lost, changed, claim, give_up, keyed, of_run, postponed, then_pause_until, version,
    with_events,
};
use super::sweeps::{SYNC, listed};
use super::under_test::StoreUnderTest;
use crate::desks::{Appended, Claim, Delivery, DueRefresh, Lane, Lease, LeaseLost, PostponeCause, Settlement, Subject};
use crate::desks::{SweepFound, SweepPhase};

const RUNS: u8 = 3;
const HANDLERS: [&str; 2] = ["h1", "h2"];

#[derive(Clone, Debug)]
enum Step {
    Append {
        run: u8,
        key: Option<u8>,
    },
    /// A person asks for a run, as a sweep would.
    Request {
        run: u8,
    },
    /// Nobody is told of it.
    Change {
        run: u8,
    },
    /// One move of the sweep, whatever is next.
    Sweep,
    Claim {
        limit: usize,
    },
    Commit {
        pick: usize,
        events: usize,
        pause: i64,
    },
    Postpone {
        pick: usize,
        cause: PostponeCause,
        wait: i64,
    },
    ClaimDeliveries {
        handler: usize,
        limit: usize,
    },
    Settle {
        pick: usize,
        how: u8,
    },
    UseOldLease {
        pick: usize,
    },
    SetHandlers {
        first: bool,
        second: bool,
    },
    Wait {
        seconds: i64,
    },
    /// The clock is set back.
    SetBack {
        seconds: i64,
    },
    End {
        crash: bool,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let cause = prop_oneof![
        Just(PostponeCause::Failed),
        Just(PostponeCause::LookAgain),
        Just(PostponeCause::NotTried)
    ];
    let step = prop_oneof![
        8 => (0..RUNS, proptest::option::of(0..6_u8)).prop_map(|(run, key)| Step::Append { run, key }),
        1 => (0..RUNS).prop_map(|run| Step::Request { run }),
        3 => (0..RUNS).prop_map(|run| Step::Change { run }),
        6 => Just(Step::Sweep),
        6 => (1..4_usize).prop_map(|limit| Step::Claim { limit }),
        6 => (any::<usize>(), 0..3_usize, 0..90_i64)
            .prop_map(|(pick, events, pause)| Step::Commit { pick, events, pause }),
        2 => (any::<usize>(), cause, 0..90_i64).prop_map(|(pick, cause, wait)| Step::Postpone { pick, cause, wait }),
        6 => (0..2_usize, 1..4_usize).prop_map(|(handler, limit)| Step::ClaimDeliveries { handler, limit }),
        6 => (any::<usize>(), 0..4_u8).prop_map(|(pick, how)| Step::Settle { pick, how }),
        2 => any::<usize>().prop_map(|pick| Step::UseOldLease { pick }),
        1 => any::<(bool, bool)>().prop_map(|(first, second)| Step::SetHandlers { first, second }),
        3 => (1..120_i64).prop_map(|seconds| Step::Wait { seconds }),
        1 => (1..7200_i64).prop_map(|seconds| Step::SetBack { seconds }),
        1 => any::<bool>().prop_map(|crash| Step::End { crash }),
    ];
    vec(step, 1..60)
}

/// A refresh in hand.
struct Held {
    due: DueRefresh,
    until: i64,
    /// What the API has answered.
    seen: u32,
}

/// What must be true, in a few lines.
#[derive(Default)]
struct Model {
    now: i64,
    /// What the clock has shown at most.
    latest: i64,
    /// How often each run has changed.
    api: BTreeMap<String, u32>,
    /// The same as of its last fetch, or as the first sweep took it down.
    known: BTreeMap<String, u32>,
    /// What no fetch has covered, the oldest first.
    pending: BTreeMap<String, Vec<Uuid>>,
    /// Which notification took a key first.
    keys: BTreeMap<u8, Uuid>,
    events: BTreeMap<String, u64>,
    active: BTreeSet<usize>,
    /// What a handler has still to get of a run, in order.
    lines: BTreeMap<(usize, String), VecDeque<u64>>,
    /// Who works on what, until when.
    refreshes: Vec<Held>,
    deliveries: Vec<(usize, Delivery, i64)>,
    ended: Vec<Lease>,
}

pub fn the_promises_hold_whatever_happens<S: StoreUnderTest>() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let asked_for = env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    let config = Config {
        cases: asked_for.unwrap_or_else(S::stories),
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&steps(), |steps| {
        runtime.block_on(play::<S>(steps));
        Ok(())
    });
    if let Err(failure) = outcome {
        unreachable!("{failure}");
    }
}

async fn play<S: StoreUnderTest>(steps: Vec<Step>) {
    let mut desk = Desk::<S>::fresh().await;
    let mut model = Model::default();
    for step in steps {
        desk = model.step(desk, step).await;
    }
    model.everything_ends(&desk).await;
}

impl Model {
    async fn step<S: StoreUnderTest>(&mut self, desk: Desk<S>, step: Step) -> Desk<S> {
        match step {
            Step::Append { run, key } => self.append(&desk, run, key).await,
            Step::Request { run } => desk.request(&run.to_string(), Lane::Sweep, self.now).await,
            Step::Change { run } => *self.api.entry(run.to_string()).or_default() += 1,
            Step::Sweep => {
                self.sweep(&desk).await;
            }
            Step::Claim { limit } => {
                self.claim(&desk, limit).await;
            }
            Step::Commit { pick, events, pause } => self.commit(&desk, pick, events, pause).await,
            Step::Postpone { pick, cause, wait } => {
                if let Some(Held { due, .. }) = take(&mut self.refreshes, pick) {
                    desk.postpone(&due.lease, postponed(self.now + wait, cause), self.now)
                        .await;
                    self.ended.push(due.lease);
                }
            }
            Step::ClaimDeliveries { handler, limit } => {
                self.claim_deliveries(&desk, handler, limit).await;
            }
            Step::Settle { pick, how } => self.settle(&desk, pick, how).await,
            Step::UseOldLease { pick } => {
                if let Some(lease) = take(&mut self.ended, pick) {
                    assert_lease_lost(desk.try_commit(&lease, changed("old"), self.now).await);
                    let settled = desk.try_settle(&lease, Settlement::Delivered, self.now).await;
                    assert_eq!(settled, Err(LeaseLost));
                }
            }
            Step::SetHandlers { first, second } => {
                let wanted = [first.then_some(0), second.then_some(1)];
                self.set_handlers(&desk, wanted.into_iter().flatten().collect()).await;
            }
            Step::Wait { seconds } => self.wait(self.now + seconds),
            Step::SetBack { seconds } => self.now -= seconds,
            Step::End { crash } => {
                // Past all leases: whether they end with the worker or by time is the implementation's choice.
                self.wait(self.latest + 1000);
                self.refreshes.clear();
                self.deliveries.clear();
                self.ended.clear();
                return if crash {
                    desk.crash(self.now).await
                } else {
                    desk.restart(self.now).await
                };
            }
        }
        desk
    }

    fn wait(&mut self, until: i64) {
        self.now = until;
        self.latest = self.latest.max(until);
    }

    /// The next move of the sweep that is under way, or of a new one. What it has found, once it is over.
    async fn sweep<S: StoreUnderTest>(&mut self, desk: &Desk<S>) -> Option<SweepFound> {
        let sweep = desk.start(SYNC, self.now).await;
        let SweepPhase::Listing { page, .. } = sweep.phase else {
            return Some(desk.finish(&sweep, self.now).await);
        };
        if page > u32::from(RUNS) {
            desk.go_to(&sweep, SweepPhase::Closing).await;
            return None;
        }
        // A page for each run.
        let run = (page - 1).to_string();
        let version = self.api.get(&run).copied().unwrap_or_default();
        if sweep.baseline {
            self.known.entry(run.clone()).or_insert(version);
        }
        desk.record(&sweep, vec![listed(&run, &version.to_string())], self.now)
            .await;
        None
    }

    async fn append<S: StoreUnderTest>(&mut self, desk: &Desk<S>, run: u8, key: Option<u8>) {
        // A key belongs to one run: it is made of its ids.
        let run = key.map_or(run, |key| key % RUNS);
        let mut notification = of_run(&run.to_string());
        if let Some(key) = key {
            notification = keyed(notification, &format!("k{key}"));
        }
        let id = notification.id;
        let twin = key.and_then(|key| self.keys.get(&key).copied());
        match (desk.append(notification, self.now).await, twin) {
            (Appended::Stored, None) => {
                self.pending.entry(run.to_string()).or_default().push(id);
                if let Some(key) = key {
                    self.keys.insert(key, id);
                }
            }
            (Appended::Duplicate { of, due_again }, Some(twin)) => {
                assert_eq!(of, twin);
                let pending = self.pending.get(&run.to_string()).is_some_and(|ids| ids.contains(&of));
                let fetching = |held: &Held| held.due.notifications.iter().any(|pending| pending.id == of);
                assert_eq!(due_again, !pending || self.refreshes.iter().any(fetching));
            }
            (appended, twin) => unreachable!("{appended:?} beside {twin:?}"),
        }
    }

    async fn claim<S: StoreUnderTest>(&mut self, desk: &Desk<S>, limit: usize) -> usize {
        let claimed = desk
            .claim(Claim {
                limit,
                ..claim(self.now)
            })
            .await;
        assert!(claimed.work.len() <= limit);
        let handed_out = claimed.work.len();
        for due in claimed.work {
            let Subject::Run(run) = &due.subject else {
                unreachable!()
            };
            if let Some(held) = self.refreshes.iter().position(|held| held.due.subject == due.subject) {
                let held = self.refreshes.remove(held);
                assert!(held.until <= self.now, "a lease that has not run out is exclusive");
                self.ended.push(held.due.lease);
            }
            let ids: Vec<_> = due.notifications.iter().map(|pending| pending.id).collect();
            let pending = self.pending.get(run.as_str()).cloned().unwrap_or_default();
            assert_eq!(ids, pending, "nothing is lost, nothing comes twice");
            assert_eq!(due.events, self.events.get(run.as_str()).copied().unwrap_or_default());
            let seen = self.api.get(run.as_str()).copied().unwrap_or_default();
            let until = self.now + 60;
            self.refreshes.push(Held { due, until, seen });
        }
        handed_out
    }

    async fn commit<S: StoreUnderTest>(&mut self, desk: &Desk<S>, pick: usize, events: usize, pause: i64) {
        let Some(Held { due, seen, .. }) = take(&mut self.refreshes, pick) else {
            return;
        };
        let Subject::Run(run) = &due.subject else {
            unreachable!()
        };
        let mut refreshed = with_events(&["event", "another"][..events]);
        refreshed.version = Some(version(&seen.to_string()));
        desk.commit(&due.lease, then_pause_until(refreshed, self.now + pause), self.now)
            .await;
        self.known.insert(run.to_string(), seen);
        let covered: Vec<_> = due.notifications.iter().map(|pending| pending.id).collect();
        if let Some(pending) = self.pending.get_mut(run.as_str()) {
            pending.retain(|id| !covered.contains(id));
        }
        for _ in 0..events {
            let number = self.events.entry(run.to_string()).or_default();
            *number += 1;
            for handler in &self.active {
                self.lines
                    .entry((*handler, run.to_string()))
                    .or_default()
                    .push_back(*number);
            }
        }
        self.ended.push(due.lease);
    }

    async fn claim_deliveries<S: StoreUnderTest>(&mut self, desk: &Desk<S>, handler: usize, limit: usize) -> usize {
        let name = HANDLERS[handler];
        let claimed = desk
            .claim_deliveries(
                name,
                Claim {
                    limit,
                    ..claim(self.now)
                },
            )
            .await;
        assert!(claimed.work.len() <= limit);
        let handed_out = claimed.work.len();
        assert!(handed_out == 0 || self.active.contains(&handler));
        for delivery in claimed.work {
            let same = |(by, held, _): &(usize, Delivery, i64)| *by == handler && held.run == delivery.run;
            let mut attempt = None;
            if let Some(held) = self.deliveries.iter().position(same) {
                let (_, held, until) = self.deliveries.remove(held);
                assert!(until <= self.now, "a lease that has not run out is exclusive");
                attempt = Some(held.attempt + 1);
                self.ended.push(held.lease);
            }
            let line = self.lines.get(&(handler, delivery.run.to_string()));
            let head = line.and_then(VecDeque::front).copied();
            assert_eq!(
                head,
                Some(delivery.number),
                "the head of the line, and nothing that was settled"
            );
            assert_eq!(delivery.attempt, attempt.unwrap_or(delivery.attempt));
            self.deliveries.push((handler, delivery, self.now + 60));
        }
        handed_out
    }

    async fn settle<S: StoreUnderTest>(&mut self, desk: &Desk<S>, pick: usize, how: u8) {
        let Some((handler, delivery, _)) = take(&mut self.deliveries, pick) else {
            return;
        };
        match how {
            0 => desk.settle(&delivery.lease, again(self.now + 30), self.now).await,
            1 => desk.settle(&delivery.lease, Settlement::Released, self.now).await,
            _ => {
                let settlement = if how == 2 { give_up() } else { Settlement::Delivered };
                desk.settle(&delivery.lease, settlement, self.now).await;
                if let Some(line) = self.lines.get_mut(&(handler, delivery.run.to_string())) {
                    line.pop_front();
                }
            }
        }
        self.ended.push(delivery.lease);
    }

    async fn set_handlers<S: StoreUnderTest>(&mut self, desk: &Desk<S>, active: BTreeSet<usize>) {
        let names: Vec<_> = active.iter().map(|&handler| HANDLERS[handler]).collect();
        desk.set_handlers(&names, self.now).await;
        self.active = active;
    }

    /// Given time, all that was asked for is done, and then nothing is left.
    async fn everything_ends<S: StoreUnderTest>(&mut self, desk: &Desk<S>) {
        self.set_handlers(desk, BTreeSet::from([0, 1])).await;
        self.wait(self.latest + 1000);
        // What is under way when a run changes may be past it; the next one is not.
        while self.sweep(desk).await.is_none() {}
        while self.sweep(desk).await.is_none() {}
        self.claim(desk, 100).await;
        while !self.refreshes.is_empty() {
            self.commit(desk, 0, 1, 0).await;
        }
        for (run, version) in &self.api {
            assert_eq!(self.known.get(run), Some(version), "every run is as the API has it");
        }
        assert!(
            self.pending.values().all(Vec::is_empty),
            "every notification was covered"
        );
        self.wait(self.now + 1000);
        assert_eq!(self.claim(desk, 100).await, 0, "one fetch covers all");
        let found = loop {
            if let Some(found) = self.sweep(desk).await {
                break found;
            }
        };
        assert_eq!((found.missing(), found.pending), (0, 0), "a sweep finds nothing");

        let longest = self.lines.values().map(VecDeque::len).max().unwrap_or_default();
        for _ in 0..longest {
            for handler in 0..HANDLERS.len() {
                self.claim_deliveries(desk, handler, 100).await;
            }
            while !self.deliveries.is_empty() {
                self.settle(desk, 0, 3).await;
            }
        }
        assert!(self.lines.values().all(VecDeque::is_empty), "every event was delivered");
        let stats = desk.stats(self.now).await;
        assert_eq!((stats.due, stats.oldest_due), (0, None));
        assert!(
            stats
                .handlers
                .iter()
                .all(|handler| handler.waiting == 0 && handler.oldest.is_none())
        );
    }
}

fn take<T>(from: &mut Vec<T>, pick: usize) -> Option<T> {
    let index = pick.checked_rem(from.len())?;
    Some(from.swap_remove(index))
}
