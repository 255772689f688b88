//! Changes runs, and knows what the API held at each time.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tallyfy_sim::Simulator;
use tallyfy_sim::clock::ManualClock;
use tallyfy_sim::faults::{Fault, FaultRule, RetryAfter};
use tallyfy_sim::replicas::Replicas;
use tallyfy_sim::webhooks::WebhookKind;
use tallyfy_sim::world::{Assignees, Completion, Lag, Launch, Run, World, WorldError};

use crate::history::{Announcement, Issued, Told, Undone, Version, stamp};
use crate::plan::Plan;

/// How many runs are worked on at a time.
const RUNS: usize = 8;

/// The time between two changes. Webhooks tell of times to the second: what is announced can then be told from what was
/// before.
const STEP: Duration = Duration::from_secs(2);

/// A fetch takes some ten changes. A lag is longer than that, and shorter than the worker waits with its second look.
fn replicas(seed: u64) -> Replicas {
    Replicas {
        mean_lag: STEP * 50,
        longest_lag: STEP * 150,
        contradicting_lists: 0.3,
        ..Replicas::seeded(seed)
    }
}

/// What was done before, and is not any more, or was done once more: for the archive, that is the same.
fn undone(before: &Run, after: &Run) -> impl Iterator<Item = Undone> {
    let of_run = [
        (before.completed_at, after.completed_at, Undone::Completion),
        (before.archived_at, after.archived_at, Undone::Archiving),
    ];
    let of_run = of_run
        .into_iter()
        .filter(|(before, after, _)| before.is_some() && before != after);
    let is_open = |id: &str| after.task(id).is_some_and(|task| task.completed_at.is_none());
    let done = before.tasks.iter().filter(|task| task.completed_at.is_some());
    let of_tasks = done
        .filter(move |task| is_open(&task.id))
        .map(|task| Undone::Task(task.id.clone()));
    of_run.map(|(.., undone)| undone).chain(of_tasks)
}

/// How many changes a lag lasts, at most: less than the worker's patience with old answers.
const LONGEST_LAG: u32 = 20;

/// The operations on runs, from a seed.
pub struct Oracle {
    sim: Simulator,
    clock: ManualClock,
    rng: StdRng,
    plan: Plan,
    open: Vec<String>,
    launched: usize,
    issued: BTreeMap<String, Issued>,
    /// For each webhook in the ledger, which version it is about and whether the API lagged.
    announced: Vec<(Version, bool)>,
    lag_left: u32,
}

#[derive(Clone, Copy)]
enum Change {
    Complete,
    Rename,
    Comment,
    Assign,
    RaiseIssue,
    ResolveIssues,
    Archive,
    Reactivate,
    AddTask,
    Skip,
    Reopen,
    Tag,
    Delete,
}

impl Oracle {
    /// Nothing has happened yet.
    pub fn new(sim: &Simulator, clock: &ManualClock, plan: &Plan) -> Self {
        sim.set_replicas(plan.has_replicas.then(|| replicas(plan.seed)));
        Self {
            sim: sim.clone(),
            clock: clock.clone(),
            rng: StdRng::seed_from_u64(plan.seed ^ 0x6f72_6163_6c65),
            plan: plan.clone(),
            open: Vec::new(),
            launched: 0,
            issued: BTreeMap::new(),
            announced: Vec::new(),
            lag_left: 0,
        }
    }

    /// What the API holds of each run.
    pub fn issued(&self) -> BTreeMap<String, Issued> {
        self.issued.clone()
    }

    /// The webhooks, with what became of them so far.
    pub fn announcements(&self) -> Vec<Announcement> {
        let sent = self.sim.ledger().notifications();
        let known = sent.into_iter().zip(&self.announced);
        known
            .map(|(sent, (version, lagged))| Announcement {
                is_acknowledged: sent.is_acknowledged(),
                is_binding: !lagged || sent.kind != WebhookKind::Organization,
                run: sent.run,
                told: Told {
                    kind: sent.kind.as_str().to_owned(),
                    event: sent.event.to_owned(),
                    task: sent.task,
                },
                version: *version,
            })
            .collect()
    }

    /// Does one thing; now and then, something goes wrong with the API or the webhooks from here on.
    pub fn step(&mut self) {
        if self.plan.has_faults && self.rng.random_bool(0.15) {
            let fault = self.fault();
            self.sim.faults().add(fault);
        }
        self.move_lag();
        self.clock.advance(STEP);
        // An operation that the world refuses announces nothing.
        let _: Result<(), WorldError> = if self.open.len() < RUNS && self.rng.random_bool(0.3) || self.open.is_empty() {
            self.launch()
        } else {
            self.change()
        };
    }

    /// How long nothing happens now.
    pub fn pause(&mut self) -> Duration {
        if self.rng.random_bool(0.1) {
            Duration::from_millis(self.rng.random_range(10..60))
        } else {
            Duration::from_millis(self.rng.random_range(0..8))
        }
    }

    /// Ends everything that goes wrong outside the worker.
    pub fn calm(&mut self) {
        self.sim.faults().clear();
        self.sim.set_lag(Lag::None);
        self.sim.set_replicas(None);
        self.lag_left = 0;
    }

    fn move_lag(&mut self) {
        if !self.plan.lags {
            return;
        }
        match self.lag_left {
            0 if self.rng.random_bool(0.05) => {
                self.lag_left = self.rng.random_range(1..=LONGEST_LAG);
                self.sim.set_lag(Lag::Versions(self.rng.random_range(1..=4)));
            }
            0 => {}
            1 => {
                self.lag_left = 0;
                self.sim.set_lag(Lag::None);
            }
            _ => self.lag_left -= 1,
        }
    }

    fn launch(&mut self) -> Result<(), WorldError> {
        self.launched += 1;
        let name = format!("Order {}", self.launched);
        let launch = Launch::of(&self.sim.founding().onboarding).named(&name);
        let org = self.sim.org().to_owned();
        // Before its first version is written, the run is there already; a read that lags may show that.
        let run = self.announcing(0, |world| {
            let run = world.launch(&org, &launch)?;
            world.summarize(&run, Some(&stamp(1)))?;
            Ok(run)
        })?;
        let issued = Issued {
            last: 1,
            ..Issued::default()
        };
        self.issued.insert(run.clone(), issued);
        self.open.push(run);
        Ok(())
    }

    fn change(&mut self) -> Result<(), WorldError> {
        let position = self.rng.random_range(0..self.open.len());
        let Some(run) = self.open.get(position).cloned() else {
            return Ok(());
        };
        let change = self.choose();
        let pick: usize = self.rng.random_range(0..16);
        let (admin, tags) = (self.sim.founding().admin, self.sim.founding().tags.clone());
        let issued = self.issued.entry(run.clone()).or_default();
        issued.last += 1;
        let version = issued.last;
        // The version is written first: whoever reads what this operation did, reads at least this version.
        let before = self.sim.run(&run).ok();
        let is_done = self.announcing(version, |world| {
            world.summarize(&run, Some(&stamp(version)))?;
            let settled = |wanted: bool| {
                let found = world.run(&run)?;
                let tasks: Vec<String> = found
                    .tasks
                    .iter()
                    .filter(|task| task.status.is_settled() == wanted)
                    .map(|task| task.id.clone())
                    .collect();
                Ok::<_, WorldError>(tasks.get(pick % tasks.len().max(1)).cloned().unwrap_or_default())
            };
            let (open, done) = (settled(false)?, settled(true)?);
            match change {
                Change::Complete => world.complete(&open, &Completion::new().filled())?,
                Change::Rename => world.rename(&run, &format!("Order, edited {version}"))?,
                Change::Comment => drop(world.comment(&open, admin, "Looks good")?),
                Change::Assign => world.assign(&open, Assignees::default())?,
                Change::RaiseIssue => drop(world.raise_issue(&open, admin, "Does not fit")?),
                Change::ResolveIssues => drop(world.resolve_issues(&open, admin, "Fits now")?),
                Change::Archive => world.archive(&run)?,
                Change::Reactivate => world.reactivate(&run)?,
                Change::AddTask => drop(world.add_task(&run, "One more", Assignees::default(), None)?),
                Change::Skip => world.skip(&open)?,
                Change::Reopen => world.reopen(&done)?,
                Change::Tag => world.tag(&run, &tags[pick % 2])?,
                Change::Delete => world.delete(&run)?,
            }
            Ok(world.run(&run).map_or(true, |run| run.completed_at.is_some()))
        });
        if let (Some(before), Ok(after), Some(issued)) = (before, self.sim.run(&run), self.issued.get_mut(&run)) {
            issued
                .undone
                .extend(undone(&before, &after).map(|undone| (version, undone)));
        }
        let is_done = is_done?;
        if let (Change::Delete, Some(issued)) = (change, self.issued.get_mut(&run)) {
            issued.is_deleted = true;
        }
        if is_done && (matches!(change, Change::Delete) || self.rng.random_bool(0.7)) {
            self.open.swap_remove(position);
        }
        Ok(())
    }

    fn choose(&mut self) -> Change {
        match self.rng.random_range(0..100) {
            0..45 => Change::Complete,
            45..52 => Change::Rename,
            52..64 => Change::Comment,
            64..70 => Change::Assign,
            70..75 => Change::RaiseIssue,
            75..79 => Change::ResolveIssues,
            79..83 => Change::Archive,
            83..86 => Change::Reactivate,
            86..88 => Change::AddTask,
            88..90 => Change::Skip,
            90..95 => Change::Reopen,
            95..98 => Change::Tag,
            _ if self.plan.deletes => Change::Delete,
            _ => Change::Rename,
        }
    }

    /// Changes the world, and notes which version the webhooks that go out are about.
    fn announcing<T>(
        &mut self,
        version: Version,
        change: impl FnOnce(&mut World) -> Result<T, WorldError>,
    ) -> Result<T, WorldError> {
        let changed = self.sim.change(change);
        let lagged = self.lag_left > 0;
        // Nobody else makes webhooks: what is new in the ledger is from this change.
        self.announced.resize(self.sim.ledger().len(), (version, lagged));
        changed
    }

    fn fault(&mut self) -> FaultRule {
        let millis = |rng: &mut StdRng, most| Duration::from_millis(rng.random_range(1..most));
        let fault = match self.rng.random_range(0..16) {
            0 => Fault::Latency {
                by: millis(&mut self.rng, 250),
            },
            1 => Fault::TooManyRequests {
                retry_after: if self.rng.random_bool(0.3) {
                    RetryAfter::Seconds(1)
                } else {
                    RetryAfter::Absent
                },
            },
            2 => Fault::UNAVAILABLE,
            3 => Fault::Status { status: 500 },
            4 => Fault::Truncated,
            5 => Fault::Dropped,
            6 => Fault::DroppedMidway,
            7 => Fault::EmptyBody,
            8 => Fault::EmptyData,
            9 => Fault::Html { status: 200 },
            10 => Fault::OtherRun,
            11 => Fault::Unauthorized,
            12 => Fault::WebhookLost,
            13 => Fault::WebhookDuplicated,
            14 => Fault::WebhookReordered,
            _ => Fault::WebhookDelayed {
                by: millis(&mut self.rng, 200),
            },
        };
        FaultRule::times(self.rng.random_range(1..4), fault)
    }
}
