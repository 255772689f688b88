//! Many rounds, side by side.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::plan::{IoFault, Plan};
use crate::points::{Rig, points};
use crate::round::{self, Report};

/// How many rounds are played at a time: most of their time, they wait.
const SIDE_BY_SIDE: usize = 4;

/// How often a round is played again, with other operations and faults, because its point was not passed.
const TRIES: u64 = 4;

/// What to try.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// Decides everything that is random. The random rounds have this seed and those after it.
    pub seed: u64,
    /// How many random rounds; without it, as many as there is time for.
    pub rounds: Option<usize>,
    /// How long.
    pub time: Duration,
    /// Only this point.
    pub point: Option<String>,
    /// At which occurrences of each point the worker dies, at most; 0 leaves the points out.
    pub occurrences: u64,
    /// How many calls of each group fail, each with each error; 0 leaves the system calls out.
    pub io_faults: u32,
}

/// What came of all rounds.
#[derive(Debug, Default)]
pub struct Total {
    /// The rounds that were played.
    pub rounds: usize,
    /// The sums of what they tell.
    pub sum: Report,
    /// The rounds in which something was wrong.
    pub failed: Vec<Report>,
    /// The points at which the worker died.
    pub reached: BTreeSet<String>,
}

enum Work {
    /// A point, at one occurrence after the other, until it is not passed so often.
    Point(String),
    Round(Box<Plan>),
}

struct Queue {
    campaign: Campaign,
    fixed: VecDeque<Work>,
    /// How many random rounds were begun.
    random: usize,
    end: Instant,
}

impl Queue {
    fn next(&mut self) -> Option<Work> {
        if let Some(work) = self.fixed.pop_front() {
            return Some(work);
        }
        let is_enough = match self.campaign.rounds {
            Some(rounds) => self.random >= rounds,
            None => self.campaign.point.is_some() || Instant::now() >= self.end,
        };
        if is_enough {
            return None;
        }
        let seed = self.campaign.seed.wrapping_add(self.random as u64);
        self.random += 1;
        Some(Work::Round(Box::new(Plan::random(seed))))
    }
}

impl Campaign {
    fn fixed(&self) -> anyhow::Result<VecDeque<Work>> {
        let mut fixed = VecDeque::new();
        if self.occurrences > 0 {
            let wanted = points(Rig::File)?
                .into_iter()
                .filter(|point| self.point.as_ref().is_none_or(|only| only == point));
            fixed.extend(wanted.map(Work::Point));
        }
        if self.point.is_none() {
            for call in IoFault::CALLS {
                for (error, at) in IoFault::ERRORS
                    .into_iter()
                    .flat_map(|error| (0..self.io_faults).map(move |number| (error, 1 + number * number)))
                {
                    let fault = IoFault {
                        call,
                        at,
                        times: 3,
                        error,
                    };
                    let seed = self.seed.wrapping_add(u64::from(at));
                    fixed.push_back(Work::Round(Box::new(Plan::with_io_fault(fault, seed))));
                }
            }
        }
        Ok(fixed)
    }

    /// Plays all rounds, and tells of each as soon as it has ended, with what came of all so far.
    ///
    /// # Errors
    /// If something else than the worker fails.
    pub async fn run(&self, tell: impl Fn(&Report, &Total) + Send + Sync + 'static) -> anyhow::Result<Total> {
        crate::binary()?;
        let queue = Arc::new(Mutex::new(Queue {
            fixed: self.fixed()?,
            campaign: self.clone(),
            random: 0,
            end: Instant::now() + self.time,
        }));
        let account = Arc::new(Account::new(tell));
        let mut players = tokio::task::JoinSet::new();
        for _ in 0..SIDE_BY_SIDE {
            let (queue, account) = (Arc::clone(&queue), Arc::clone(&account));
            let (seed, occurrences) = (self.seed, self.occurrences);
            players.spawn(async move {
                loop {
                    let work = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(work) = work else {
                        return anyhow::Ok(());
                    };
                    match work {
                        Work::Round(plan) => account.note(round::play(&plan).await?),
                        Work::Point(point) => {
                            let play = |occurrence, attempt| {
                                let plan = Plan::at_point(&point, occurrence, seed.wrapping_add(attempt));
                                async move { round::play(&plan).await }
                            };
                            account.die_at(&point, occurrences, TRIES, play).await?;
                        }
                    }
                }
            });
        }
        while let Some(ended) = players.join_next().await {
            ended??;
        }
        Ok(account.end())
    }
}

/// What came of the rounds so far, and who is told of each.
pub(crate) struct Account<Tell> {
    total: Mutex<Total>,
    tell: Tell,
}

impl<Tell: Fn(&Report, &Total)> Account<Tell> {
    pub(crate) fn new(tell: Tell) -> Self {
        Self {
            total: Mutex::default(),
            tell,
        }
    }

    fn total(&self) -> MutexGuard<'_, Total> {
        self.total.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, report: Report) {
        let mut total = self.total();
        total.add(&report);
        (self.tell)(&report, &total);
        if !report.wrong.is_empty() {
            total.failed.push(report);
        }
    }

    /// Plays rounds in which a worker dies at a point: at one occurrence after the other until it is not passed so often,
    /// each tried again, with other operations and faults, until it is passed.
    pub(crate) async fn die_at<Round>(
        &self,
        point: &str,
        occurrences: u64,
        tries: u64,
        play: impl Fn(u64, u64) -> Round,
    ) -> anyhow::Result<()>
    where
        Round: Future<Output = anyhow::Result<Report>>,
    {
        'occurrences: for occurrence in 1..=occurrences {
            for attempt in 0..tries {
                let report = play(occurrence, attempt).await?;
                let has_crashed = report.has_crashed;
                self.note(report);
                if has_crashed {
                    self.total().reached.insert(point.to_owned());
                    continue 'occurrences;
                }
            }
            break;
        }
        Ok(())
    }

    pub(crate) fn end(&self) -> Total {
        std::mem::take(&mut self.total())
    }
}

impl Total {
    fn add(&mut self, report: &Report) {
        self.rounds += 1;
        self.sum.kills += report.kills;
        self.sum.restarts += report.restarts;
        self.sum.sent += report.sent;
        self.sum.acknowledged += report.acknowledged;
        self.sum.events += report.events;
        self.sum.duplicates += report.duplicates;
        self.sum.above_budget += report.above_budget;
        self.sum.lost += report.lost;
        self.sum.out_of_order += report.out_of_order;
        self.sum.ids_changed += report.ids_changed;
    }
}
