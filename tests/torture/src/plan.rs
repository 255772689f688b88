//! What goes wrong in a round: decided by a seed, before anything is started.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A system call that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IoFault {
    /// Which group of calls: `write`, `fsync`, `truncate` or `allocate`.
    pub call: &'static str,
    /// The first of them that fails, from 1.
    pub at: u32,
    /// How many fail from there on.
    pub times: u32,
    /// `EIO` or `ENOSPC`.
    pub error: &'static str,
}

impl IoFault {
    /// The groups of calls.
    pub const CALLS: [&'static str; 4] = ["write", "fsync", "truncate", "allocate"];
    /// The errors.
    pub const ERRORS: [&'static str; 2] = ["EIO", "ENOSPC"];
}

/// How a life of the worker ends, if it does not end by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By SIGKILL, this long after its start.
    Kill(Duration),
    /// By SIGTERM, this long after it began to listen.
    Terminate(Duration),
}

/// One life of the worker.
#[derive(Clone, Debug)]
pub struct Life {
    /// The point at which it dies, and at which occurrence.
    pub crash: Option<(String, u64)>,
    /// What fails.
    pub io: Option<IoFault>,
    /// When it is stopped (SIGSTOP), counted from its start, and for how long.
    pub pauses: Vec<(Duration, Duration)>,
    /// How it ends otherwise.
    pub end: End,
    /// How long nobody listens afterwards.
    pub gap: Duration,
}

/// A thread of the worker that stands still for a while.
#[derive(Clone, Debug)]
pub struct Hold {
    /// At which point.
    pub point: &'static str,
    /// Each how manieth thread that comes there.
    pub each: u64,
    /// How long.
    pub length: Duration,
}

impl Hold {
    /// Somebody else has the run when the thread goes on.
    pub(crate) const LONGER_THAN_A_LEASE: Self = Self {
        point: "refresh.fetched",
        each: 5,
        length: Duration::from_millis(500),
    };
    /// Whoever else has claimed the same has delivered it when the thread goes on.
    pub(crate) const AFTER_A_CLAIM: Self = Self {
        point: "deliver.claimed",
        each: 3,
        length: Duration::from_millis(300),
    };
}

/// A round.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What a person calls it.
    pub name: String,
    /// Decides the operations and the faults of the API and the handlers.
    pub seed: u64,
    /// The lives before the faults stop.
    pub lives: Vec<Life>,
    /// Whether the API and the webhooks fail now and then.
    pub has_faults: bool,
    /// Whether reads may show an earlier state.
    pub lags: bool,
    /// Whether replicas answer, each behind by another while, with includes that drop out and lists that contradict
    /// themselves.
    pub has_replicas: bool,
    /// Whether sweeps look at the runs.
    pub sweeps: bool,
    /// Whether runs are deleted.
    pub deletes: bool,
    /// Whether every response has other quirks.
    pub has_quirks: bool,
    /// Whether leases are so short, and answers so late, that leases run out.
    pub short_leases: bool,
    /// Which threads stand still.
    pub hold: Option<Hold>,
    /// After how many pages the write-ahead log is moved into the file, if not as usual.
    pub checkpoint_pages: Option<u32>,
    /// A deliberate defect.
    pub sabotage: Option<&'static str>,
}

impl Plan {
    /// Nothing goes wrong.
    pub fn calm(name: String, seed: u64) -> Self {
        Self {
            name,
            seed,
            lives: Vec::new(),
            has_faults: false,
            lags: false,
            has_replicas: false,
            sweeps: true,
            deletes: false,
            has_quirks: false,
            short_leases: false,
            hold: None,
            checkpoint_pages: None,
            sabotage: None,
        }
    }

    /// Several lives, killed whenever it happens.
    pub fn random(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut plan = Self::calm(format!("random-{seed}"), seed);
        plan.has_faults = rng.random_bool(0.8);
        plan.lags = rng.random_bool(0.3);
        plan.deletes = rng.random_bool(0.1);
        plan.has_quirks = rng.random_bool(0.3);
        plan.short_leases = rng.random_bool(0.25);
        plan.hold = (plan.short_leases && rng.random_bool(0.5)).then_some(Hold::LONGER_THAN_A_LEASE);
        plan.checkpoint_pages = rng.random_bool(0.5).then(|| rng.random_range(2..40));
        for _ in 0..rng.random_range(2..=5) {
            plan.lives.push(life(&mut rng, plan.short_leases));
        }
        if rng.random_bool(0.3) {
            plan.with_replicas(rng.random_bool(0.5))
        } else {
            plan
        }
    }

    /// With replicas in the place of a lag that is the same for every read.
    fn with_replicas(self, sweeps: bool) -> Self {
        Self {
            has_replicas: true,
            lags: false,
            sweeps,
            ..self
        }
    }

    /// One life that dies at a named point, or is asked to end if it never comes there.
    pub fn at_point(point: &str, occurrence: u64, seed: u64) -> Self {
        let mut plan = Self::calm(format!("{point}-{occurrence}"), seed);
        // Some points are passed only when something fails, others only when nothing does.
        plan.has_faults = seed.is_multiple_of(2);
        // A log of the usual length takes longer to fill than this life lasts.
        plan.checkpoint_pages = point.starts_with("checkpoint.").then_some(4);
        plan.lives.push(Life {
            crash: Some((point.to_owned(), occurrence)),
            io: None,
            pauses: Vec::new(),
            end: End::Terminate(Duration::from_millis(1200)),
            gap: Duration::ZERO,
        });
        plan
    }

    /// One life in which system calls fail, and that is then killed.
    pub fn with_io_fault(fault: IoFault, seed: u64) -> Self {
        let name = format!("{}-{}-{}x{}", fault.call, fault.error, fault.at, fault.times);
        let mut plan = Self::calm(name, seed);
        // `truncate` is called when the log is cut back at the end; the others all the time.
        let end = match fault.call {
            "truncate" => End::Terminate(Duration::from_millis(800)),
            _ => End::Kill(Duration::from_millis(1500)),
        };
        plan.checkpoint_pages = seed.is_multiple_of(2).then_some(4);
        plan.lives.push(Life {
            crash: None,
            io: Some(fault),
            pauses: Vec::new(),
            end,
            gap: Duration::ZERO,
        });
        plan
    }

    /// Two lives of a worker with a deliberate defect, under the conditions in which it shows.
    pub fn sabotaged(defect: &'static str, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut plan = Self::calm(format!("{defect}-{seed}"), seed);
        plan.sabotage = Some(defect);
        match defect {
            "no-fence" => {
                plan.short_leases = true;
                plan.hold = Some(Hold::LONGER_THAN_A_LEASE);
            }
            "forget-debts" | "believe-older" => plan = plan.with_replicas(false),
            _ => {}
        }
        for _ in 0..2 {
            // The defect shows only where little time is: it dies in there, and not whenever it happens.
            let point = match defect {
                "answer-before-fsync" => Some("log.writing"),
                "recycle-before-durable" => Some("import.begin"),
                _ => None,
            };
            let crash = point.map(|point| (point.to_owned(), rng.random_range(5..40)));
            plan.lives.push(Life {
                crash,
                io: None,
                pauses: Vec::new(),
                end: End::Kill(Duration::from_millis(rng.random_range(1400..2000))),
                gap: Duration::ZERO,
            });
        }
        plan
    }
}

fn life(rng: &mut StdRng, pauses: bool) -> Life {
    // Two of five die while they start.
    let lasts = if rng.random_bool(0.4) { 5..250 } else { 250..1400 };
    let lasts = Duration::from_millis(rng.random_range(lasts));
    let end = if rng.random_bool(0.9) {
        End::Kill(lasts)
    } else {
        End::Terminate(lasts)
    };
    let pauses = if pauses {
        let mut at = Duration::from_millis(400);
        let mut pauses = Vec::new();
        while at < lasts.max(Duration::from_millis(1000)) {
            pauses.push((at, Duration::from_millis(rng.random_range(330..450))));
            at += Duration::from_millis(rng.random_range(600..800));
        }
        pauses
    } else {
        Vec::new()
    };
    let io = rng.random_bool(0.15).then(|| IoFault {
        call: IoFault::CALLS[rng.random_range(0..IoFault::CALLS.len())],
        at: rng.random_range(1..120),
        times: rng.random_range(1..6),
        error: IoFault::ERRORS[rng.random_range(0..IoFault::ERRORS.len())],
    });
    Life {
        crash: None,
        io,
        pauses,
        end,
        gap: Duration::from_millis(rng.random_range(0..120)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_is_one_plan() {
        let told = |seed| format!("{:?}", Plan::random(seed));
        assert_eq!(told(7), told(7));
        assert_ne!(told(7), told(8));
    }
}
