//! Many rounds, side by side.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
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

    /// Plays all rounds, and tells of each that failed as soon as it has.
    ///
    /// # Errors
    /// If something else than the worker fails.
    pub async fn run(&self, tell: impl Fn(&Report) + Send + Sync + 'static) -> anyhow::Result<Total> {
        crate::binary()?;
        let queue = Arc::new(Mutex::new(Queue {
            fixed: self.fixed()?,
            campaign: self.clone(),
            random: 0,
            end: Instant::now() + self.time,
        }));
        let (total, tell) = (Arc::new(Mutex::new(Total::default())), Arc::new(tell));
        let mut players = tokio::task::JoinSet::new();
        for _ in 0..SIDE_BY_SIDE {
            let (queue, total, tell) = (Arc::clone(&queue), Arc::clone(&total), Arc::clone(&tell));
            let (seed, occurrences) = (self.seed, self.occurrences);
            players.spawn(async move {
                loop {
                    let work = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(work) = work else {
                        return anyhow::Ok(());
                    };
                    let note = |report: Report| {
                        if !report.wrong.is_empty() {
                            tell(&report);
                        }
                        total.lock().unwrap_or_else(PoisonError::into_inner).add(report);
                    };
                    match work {
                        Work::Round(plan) => note(round::play(&plan).await?),
                        Work::Point(point) => {
                            let play = |occurrence, attempt| {
                                let plan = Plan::at_point(&point, occurrence, seed.wrapping_add(attempt));
                                async move { round::play(&plan).await }
                            };
                            if is_reached(occurrences, TRIES, play, &note).await? {
                                let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
                                total.reached.insert(point.clone());
                            }
                        }
                    }
                }
            });
        }
        while let Some(ended) = players.join_next().await {
            ended??;
        }
        let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut *total))
    }
}

/// Plays rounds in which a worker dies at a point: at one occurrence after the other until it is not passed so often, each
/// tried again, with other operations and faults, until it is passed. Whether it was passed at all.
pub(crate) async fn is_reached<Round>(
    occurrences: u64,
    tries: u64,
    play: impl Fn(u64, u64) -> Round,
    note: &impl Fn(Report),
) -> anyhow::Result<bool>
where
    Round: Future<Output = anyhow::Result<Report>>,
{
    let mut reached = false;
    'occurrences: for occurrence in 1..=occurrences {
        for attempt in 0..tries {
            let report = play(occurrence, attempt).await?;
            let has_crashed = report.has_crashed;
            note(report);
            if has_crashed {
                reached = true;
                continue 'occurrences;
            }
        }
        break;
    }
    Ok(reached)
}

impl Total {
    pub(crate) fn add(&mut self, report: Report) {
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
        if !report.wrong.is_empty() {
            self.failed.push(report);
        }
    }
}
