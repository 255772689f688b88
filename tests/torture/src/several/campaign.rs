//! Many rounds with several workers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Server;
use super::plan::SeveralPlan;
use super::round;
use crate::campaign::{Account, Total};
use crate::points::{self, Rig};
use crate::round::Report;

/// How many rounds are played at a time, each on a server of its own.
const SIDE_BY_SIDE: usize = 2;

/// How often a round is played again, with other operations and faults, because its point was not passed.
const TRIES: u64 = 8;

/// What to try.
#[derive(Clone, Debug)]
pub struct SeveralCampaign {
    /// How many workers there are.
    pub workers: usize,
    /// Decides everything that is random. The random rounds have this seed and those after it.
    pub seed: u64,
    /// How many random rounds; without it, as many as there is time for.
    pub rounds: Option<usize>,
    /// How long.
    pub time: Duration,
    /// Only this point.
    pub point: Option<String>,
    /// At which occurrences of each point the first worker dies, at most; 0 leaves the points out.
    pub occurrences: u64,
}

enum Work {
    Point(String),
    Round(u64),
}

struct Queue {
    points: VecDeque<String>,
    seeds: std::ops::RangeFrom<u64>,
    left: Option<usize>,
    end: Instant,
}

impl Queue {
    fn next(&mut self) -> Option<Work> {
        if let Some(point) = self.points.pop_front() {
            return Some(Work::Point(point));
        }
        match &mut self.left {
            Some(0) => return None,
            Some(left) => *left -= 1,
            None if Instant::now() >= self.end => return None,
            None => {}
        }
        self.seeds.next().map(Work::Round)
    }
}

impl SeveralCampaign {
    fn points(&self) -> anyhow::Result<VecDeque<String>> {
        let points = points::points(Rig::Postgres)?.into_iter();
        let wanted = points.filter(|point| self.point.as_ref().is_none_or(|only| only == point));
        Ok(wanted.filter(|_| self.occurrences > 0).collect())
    }

    /// Plays all rounds, and tells of each as soon as it has ended, with what came of all so far.
    ///
    /// # Errors
    /// If something else than the workers fails.
    pub async fn run(&self, tell: impl Fn(&Report, &Total) + Send + Sync + 'static) -> anyhow::Result<Total> {
        crate::binary()?;
        let queue = Arc::new(Mutex::new(Queue {
            points: self.points()?,
            seeds: self.seed..,
            left: self.rounds.or(self.point.is_some().then_some(0)),
            end: Instant::now() + self.time,
        }));
        let account = Arc::new(Account::new(tell));
        let mut players = tokio::task::JoinSet::new();
        for _ in 0..SIDE_BY_SIDE {
            let player = Player {
                campaign: self.clone(),
                server: Server::start().await?,
                queue: Arc::clone(&queue),
            };
            players.spawn(player.play(Arc::clone(&account)));
        }
        while let Some(ended) = players.join_next().await {
            ended??;
        }
        Ok(account.end())
    }
}

struct Player {
    campaign: SeveralCampaign,
    server: Server,
    queue: Arc<Mutex<Queue>>,
}

impl Player {
    async fn play(self, account: Arc<Account<impl Fn(&Report, &Total)>>) -> anyhow::Result<()> {
        loop {
            let work = self.queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            match work {
                None => return Ok(()),
                Some(Work::Round(seed)) => {
                    let plan = SeveralPlan::random(self.campaign.workers, seed);
                    account.note(round::play(&plan, &self.server).await?);
                }
                Some(Work::Point(point)) => {
                    let server = &self.server;
                    let play = |occurrence, attempt| {
                        let seed = self.campaign.seed.wrapping_add(attempt);
                        let plan = SeveralPlan::at_point(&point, occurrence, self.campaign.workers, seed);
                        async move { round::play(&plan, server).await }
                    };
                    account.die_at(&point, self.campaign.occurrences, TRIES, play).await?;
                }
            }
        }
    }
}
