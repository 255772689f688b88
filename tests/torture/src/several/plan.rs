//! What goes wrong in a round with several workers: decided by a seed, before anything is started.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use system_tests::Passing;

use crate::plan::{Hold, Plan};

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A worker is killed by SIGKILL, and started again so much later.
    Kill {
        /// Which.
        worker: usize,
        /// How long it is away.
        away: Duration,
    },
    /// A worker is asked to end, and started again.
    Terminate {
        /// Which.
        worker: usize,
    },
    /// A worker stands still (SIGSTOP).
    Stop {
        /// Which.
        worker: usize,
        /// How long.
        length: Duration,
    },
    /// The link between a worker and the server does this for a while.
    Link {
        /// Whose.
        worker: usize,
        /// How it passes on what it is given.
        passing: Passing,
        /// How long.
        length: Duration,
    },
    /// The server closes all connections (`pg_terminate_backend`).
    CloseConnections,
    /// The server is stopped at once, and started again so much later.
    RestartServer {
        /// How long it is away.
        away: Duration,
    },
    /// Another session locks what is claimed from, so that all connections of all pools are soon in use.
    LockTables {
        /// How long.
        length: Duration,
    },
}

/// What happens, and how long after the workers have started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// When.
    pub at: Duration,
    /// What.
    pub what: What,
}

/// A worker, and by how many seconds its clock is ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongClock {
    /// Which.
    pub worker: usize,
    /// How much.
    pub ahead: i64,
}

/// A round.
#[derive(Clone, Debug)]
pub struct SeveralPlan {
    /// What goes wrong with the API, the webhooks and the handlers, and the leases.
    pub world: Plan,
    /// How many workers there are.
    pub workers: usize,
    /// How long the troubles last.
    pub length: Duration,
    /// The troubles.
    pub troubles: Vec<Trouble>,
    /// The point at which the first worker dies, and at which occurrence.
    pub crash: Option<(String, u64)>,
    /// Whose clock is wrong.
    pub clock: Option<WrongClock>,
    /// Who has so few connections that they are soon used up.
    pub short_of_connections: Option<usize>,
    /// Who reaches the server through PgBouncer in transaction mode.
    pub pooled: Vec<usize>,
    /// How many calls to the API there may be in five seconds, if that is limited.
    pub budget: Option<u32>,
    /// Who is killed at the end of the troubles and never comes back.
    pub buried: Option<usize>,
}

impl SeveralPlan {
    fn new(name: &str, workers: usize, seed: u64) -> Self {
        Self {
            world: Plan::calm(format!("{name}-{seed}"), seed),
            workers,
            length: Duration::from_millis(2500),
            troubles: Vec::new(),
            crash: None,
            clock: None,
            short_of_connections: None,
            pooled: Vec::new(),
            budget: None,
            buried: None,
        }
    }

    /// Whatever happens.
    pub fn random(workers: usize, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut plan = Self::new("several", workers, seed);
        plan.world.has_faults = rng.random_bool(0.6);
        plan.world.lags = rng.random_bool(0.2);
        plan.world.deletes = rng.random_bool(0.1);
        plan.world.has_quirks = rng.random_bool(0.2);
        plan.world.short_leases = rng.random_bool(0.3);
        plan.length = millis(&mut rng, 2500..4500);
        let worker = |rng: &mut StdRng| rng.random_range(0..workers);
        plan.clock = rng.random_bool(0.4).then(|| WrongClock {
            worker: worker(&mut rng),
            ahead: rng.random_range(-20_000..20_000),
        });
        let at = |rng: &mut StdRng| millis(rng, 100..plan.length.as_millis() as u64);
        let mut troubles = Vec::new();
        for _ in 0..rng.random_range(2..=4) {
            let (worker, longest) = (worker(&mut rng), if rng.random_bool(0.5) { 300 } else { 2500 });
            let away = millis(&mut rng, 20..longest);
            troubles.push((at(&mut rng), What::Kill { worker, away }));
        }
        if rng.random_bool(0.1) {
            plan.buried = Some(worker(&mut rng));
        } else {
            troubles.extend(
                database_troubles(&mut rng, workers)
                    .into_iter()
                    .map(|what| (at(&mut rng), what)),
            );
            plan.short_of_connections = rng.random_bool(0.4).then(|| worker(&mut rng));
        }
        // Who stands still for a while sends what it was about to send afterwards. And what was deleted is asked for so often
        // that this would last longer than anybody waits.
        let is_stop = |(_, what): &(Duration, What)| matches!(what, What::Stop { .. });
        let may_be_limited = !plan.world.deletes && !troubles.iter().any(is_stop);
        plan.budget = (rng.random_bool(0.5) && may_be_limited).then_some(50);
        if rng.random_bool(0.4) {
            plan.pooled = (0..workers).filter(|_| rng.random_bool(0.7)).collect();
        }
        plan.troubles = troubles.into_iter().map(|(at, what)| Trouble { at, what }).collect();
        plan.troubles.sort_by_key(|trouble| trouble.at);
        plan
    }

    /// The first worker dies at a named point, while two others go on.
    pub fn at_point(point: &str, occurrence: u64, workers: usize, seed: u64) -> Self {
        let mut plan = Self::new(&format!("{point}-{occurrence}"), workers, seed);
        plan.world.has_faults = seed.is_multiple_of(2);
        plan.crash = Some((point.to_owned(), occurrence));
        // What is received meanwhile comes by its log.
        let what = What::Link {
            worker: 0,
            passing: Passing::Cut,
            length: Duration::from_millis(600),
        };
        if point == "postgres.log-position-moved" {
            plan.troubles.push(Trouble {
                at: Duration::from_millis(200),
                what,
            });
        }
        plan
    }

    /// Workers with a deliberate defect, under the conditions in which it shows.
    pub fn sabotaged(defect: &'static str, workers: usize, seed: u64) -> Self {
        let mut plan = Self::new(defect, workers, seed);
        plan.world.sabotage = Some(defect);
        match defect {
            "no-fence" => {
                plan.world.short_leases = true;
                plan.world.hold = Some(Hold::LONGER_THAN_A_LEASE);
            }
            // Who holds the seat dies, with a clock that is ahead.
            "seat-by-own-clock" => {
                plan.clock = Some(WrongClock { worker: 0, ahead: 3600 });
                plan.buried = Some(0);
            }
            "claim-unlocked" => plan.world.hold = Some(Hold::AFTER_A_CLAIM),
            _ => {}
        }
        plan
    }
}

/// What goes wrong between the workers and the server. Who is cut off keeps what it is told on its own disk, which has to
/// come back: so there is none of this where a worker does not.
fn database_troubles(rng: &mut StdRng, workers: usize) -> Vec<What> {
    let mut troubles = Vec::new();
    if rng.random_bool(0.65) {
        let away = millis(rng, 20..1500);
        troubles.push(What::RestartServer { away });
    }
    if rng.random_bool(0.4) {
        let (worker, length) = (rng.random_range(0..workers), millis(rng, 1200..4500));
        troubles.push(What::Stop { worker, length });
    }
    if rng.random_bool(0.5) {
        let passing = match rng.random_range(0..3) {
            0 => Passing::Cut,
            1 => Passing::Held,
            _ => Passing::Slowly(millis(rng, 5..150)),
        };
        let (worker, length) = (rng.random_range(0..workers), millis(rng, 200..3000));
        troubles.push(What::Link {
            worker,
            passing,
            length,
        });
    }
    if rng.random_bool(0.4) {
        troubles.push(What::CloseConnections);
    }
    if rng.random_bool(0.3) {
        let length = millis(rng, 300..2000);
        troubles.push(What::LockTables { length });
    }
    if rng.random_bool(0.3) {
        let worker = rng.random_range(0..workers);
        troubles.push(What::Terminate { worker });
    }
    troubles
}

fn millis(rng: &mut StdRng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.random_range(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_is_one_plan() {
        let told = |seed| format!("{:?}", SeveralPlan::random(3, seed));
        assert_eq!(told(7), told(7));
        assert_ne!(told(7), told(8));
    }

    #[test]
    fn who_does_not_come_back_was_never_cut_off() {
        for seed in 0..500 {
            let plan = SeveralPlan::random(3, seed);
            let is_kill = |trouble: &Trouble| matches!(trouble.what, What::Kill { .. });
            assert!(plan.buried.is_none() || plan.troubles.iter().all(is_kill), "{plan:?}");
        }
    }
}
