//! One round with several workers, from an empty schema to the verdict.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use system_tests::{Passing, Relay};
use tallyfy_sim::Simulator;
use tallyfy_sim::clock::ManualClock;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::calls::Calls;
use super::plan::{SeveralPlan, Trouble, What};
use super::rig::{Seat, Server, log, other_program, set_clock, unsound};
use crate::handlers::Receivers;
use crate::history::History;
use crate::life::{Death, Process, waiting};
use crate::oracle::Oracle;
use crate::round::{Place, Report, SECRET, drive, environment, free_addresses, hold, own_host, simulator};

/// Everything settles within this time once the troubles have stopped. What somebody was delivering who does not come back is
/// leased for a minute longer than a handler may take.
const LIVENESS: Duration = Duration::from_secs(90);

/// How long a worker that is not heard of keeps the right to fetch.
const SEAT_TERM: &str = "1s";

struct Stage {
    plan: SeveralPlan,
    server: Server,
    schema: String,
    sim: Simulator,
    receivers: Receivers,
    balancer: Relay,
    seats: Vec<Arc<Mutex<Seat>>>,
}

/// Plays a round on this server.
///
/// # Errors
/// If something else than the workers fails.
pub async fn play(plan: &SeveralPlan, server: &Server) -> anyhow::Result<Report> {
    let name = &plan.world.name;
    let folder = crate::binary::folder()?.join(format!("{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let clock = ManualClock::at("2026-01-05T09:00:00Z".parse()?);
    let stage = Stage::set(plan, &clock, server, &folder).await?;
    let oracle = Oracle::new(&stage.sim, &clock, &plan.world);
    let mut report = Report {
        name: name.clone(),
        ..Report::default()
    };
    let history = stage.play(oracle, &mut report).await?;
    stage.sim.shutdown().await;
    server.drop_schema(&stage.schema).await?;
    report.judge(&history);
    report.keep(folder, &format!("{plan:#?}\n{history:#?}"))?;
    Ok(report)
}

impl Stage {
    async fn set(plan: &SeveralPlan, clock: &ManualClock, server: &Server, folder: &Path) -> anyhow::Result<Self> {
        let host = own_host();
        let mut doors = free_addresses(host, 2 * plan.workers)?;
        let admins = doors.split_off(plan.workers);
        let balancer = Relay::to(doors.clone()).await?;
        let url = format!("http://{}/webhooks/{SECRET}", balancer.address());
        let sim = simulator(&plan.world, clock, url).await?;
        let receivers = Receivers::start(plan.world.seed).await?;
        let name = plan
            .world
            .name
            .replace(|other: char| !other.is_ascii_alphanumeric(), "_");
        let schema = format!("round_{name}");
        let mut seats = Vec::new();
        for (worker, (door, admin)) in doors.into_iter().zip(admins).enumerate() {
            let place = Place {
                config: folder.join(format!("worker-{worker}.toml")),
                data: folder.join(format!("data-{worker}")),
                journal: None,
                door,
                admin,
            };
            let link = Arc::new(server.link(plan.pooled.contains(&worker)).await?);
            let mut environment = environment(&plan.world, &place, &sim, receivers.address)?;
            let url = server.url(&schema, Some(link.address()));
            add_to(&mut environment, plan, worker, &url)?;
            seats.push(Arc::new(Mutex::new(Seat {
                environment,
                crash: plan.crash.clone().filter(|_| worker == 0),
                door,
                admin,
                link,
                program: other_program().filter(|_| worker + 1 == plan.workers),
                log: log(folder, worker),
                process: None,
            })));
        }
        Ok(Self {
            plan: plan.clone(),
            server: server.clone(),
            schema,
            sim,
            receivers,
            balancer,
            seats,
        })
    }

    async fn play(&self, oracle: Oracle, report: &mut Report) -> anyhow::Result<History> {
        for seat in &self.seats {
            let mut seat = seat.lock().await;
            seat.start()?;
            // The first one has the seat. It may die before it listens.
            seat.is_up().await;
        }
        let calls = Calls::count(self.sim.clone());
        let (_alive, is_alive) = watch::channel(true);
        let (stop, is_stopped) = watch::channel(false);
        let driver = tokio::spawn(drive(oracle, self.sim.clone(), is_alive, is_stopped));
        let deaths = self.trouble().await?;
        stop.send_replace(true);
        let mut oracle = driver.await?;
        oracle.calm();
        self.receivers.calm();
        for (worker, death) in deaths {
            self.note(worker, death, report);
        }
        let restarts = |trouble: &&Trouble| matches!(trouble.what, What::RestartServer { .. });
        report.restarts = self.plan.troubles.iter().filter(restarts).count();
        self.settle(report).await?;
        self.end(report).await?;
        let most = calls.most().await?;
        if let Some(budget) = self.plan.budget.map(u64::from).filter(|budget| most > *budget) {
            report.above_budget = most - budget;
            report.wrong.push(format!(
                "budget: {most} calls in less than five seconds, {budget} are allowed"
            ));
        }
        report.wrong.extend(unsound(self.server.url(&self.schema, None)).await);
        Ok(History {
            runs: oracle.issued(),
            announcements: oracle.announcements(),
            arrivals: self.receivers.arrivals(),
            without_sweeps: !self.plan.world.sweeps,
        })
    }

    /// Everything that goes wrong, each at its time. How workers ended meanwhile.
    async fn trouble(&self) -> anyhow::Result<Vec<(usize, Death)>> {
        let start = Instant::now();
        let mut troubles = JoinSet::new();
        for trouble in self.plan.troubles.clone() {
            let (seats, server, schema) = (self.seats.clone(), self.server.clone(), self.schema.clone());
            troubles.spawn(async move {
                tokio::time::sleep_until(start + trouble.at).await;
                happen(trouble.what, &seats, &server, &schema).await
            });
        }
        let mut deaths = Vec::new();
        while let Some(ended) = troubles.join_next().await {
            deaths.extend(ended??);
        }
        tokio::time::sleep_until(start + self.plan.length).await;
        if let Some(worker) = self.plan.buried {
            let death = self.seats[worker].lock().await.kill().await?;
            deaths.extend(death.map(|death| (worker, death)));
        }
        Ok(deaths)
    }

    fn note(&self, worker: usize, death: Death, report: &mut Report) {
        match death {
            Death::Killed => report.kills += 1,
            Death::Crashed if self.plan.crash.is_some() && worker == 0 => {
                report.kills += 1;
                report.has_crashed = true;
            }
            Death::Crashed => report.wrong.push(format!("worker {worker} aborted")),
            Death::Ended { success: true } => {}
            Death::Ended { success: false } => report.wrong.push(format!("worker {worker} ended by itself")),
            Death::Stuck => report
                .wrong
                .push(format!("worker {worker} did not end when it was asked to")),
        }
    }

    /// Waits until nothing is left to do, and starts who is dead. A worker may come to its point now only.
    async fn settle(&self, report: &mut Report) -> anyhow::Result<()> {
        for seat in &self.seats {
            seat.lock().await.link.set(Passing::Through);
        }
        self.sim.settle().await;
        let deadline = Instant::now() + LIVENESS;
        loop {
            let mut left = Vec::new();
            for (worker, seat) in self.seats.iter().enumerate() {
                if self.plan.buried == Some(worker) {
                    continue;
                }
                let mut seat = seat.lock().await;
                if seat.process.as_mut().is_none_or(Process::has_ended) {
                    if let Some(death) = seat.kill().await? {
                        self.note(worker, death, report);
                    }
                    seat.start()?;
                }
                left.push(waiting(seat.admin).await);
            }
            if left.iter().all(|left| *left == Some(0.0)) {
                return Ok(());
            }
            if Instant::now() > deadline {
                report
                    .wrong
                    .push(format!("liveness: after {LIVENESS:?} there waits {left:?}"));
                return Ok(());
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn end(&self, report: &mut Report) -> anyhow::Result<()> {
        for (worker, seat) in self.seats.iter().enumerate() {
            match seat.lock().await.terminate().await? {
                None | Some(Death::Ended { success: true }) => {}
                // It came to its point just now.
                Some(death @ Death::Crashed) => self.note(worker, death, report),
                Some(_) => report
                    .wrong
                    .push(format!("worker {worker} did not end well when it was asked to")),
            }
        }
        self.balancer.set(Passing::Cut);
        Ok(())
    }
}

/// What one of several workers is started with besides.
fn add_to(
    environment: &mut BTreeMap<String, String>,
    plan: &SeveralPlan,
    worker: usize,
    url: &str,
) -> anyhow::Result<()> {
    let mut set = |name: &str, value: &str| drop(environment.insert(name.to_owned(), value.to_owned()));
    set("RUNS_WORKER__STORE__URL", url);
    set("RUNS_WORKER__STORE__SEAT_TERM", SEAT_TERM);
    // Who never comes back must have everything in the database.
    let patience = if plan.buried.is_some() { "4s" } else { "300ms" };
    set("RUNS_WORKER__RECEIVE__STORE_TIMEOUT", patience);
    if plan.short_of_connections == Some(worker) {
        set("RUNS_WORKER__STORE__CONNECTIONS", "2");
    }
    if let Some(budget) = plan.budget {
        set("RUNS_WORKER__API__REQUESTS_PER_FIVE_SECONDS", &budget.to_string());
    }
    if let Some(defect) = plan.world.sabotage {
        set("TORTURE_SABOTAGE", defect);
    }
    hold(&plan.world, environment);
    match plan.clock.filter(|clock| clock.worker == worker) {
        Some(clock) => set_clock(environment, clock.ahead),
        None => Ok(()),
    }
}

/// What goes wrong, to its end. How a worker ended by it, or had ended before.
async fn happen(
    what: What,
    seats: &[Arc<Mutex<Seat>>],
    server: &Server,
    schema: &str,
) -> anyhow::Result<Option<(usize, Death)>> {
    let seat = |worker: usize| seats.get(worker).context("there is no such worker");
    match what {
        What::Kill { worker, away } => {
            let mut seat = seat(worker)?.lock().await;
            let death = seat.kill().await?;
            sleep(away).await;
            seat.start()?;
            return Ok(death.map(|death| (worker, death)));
        }
        What::Terminate { worker } => {
            let mut seat = seat(worker)?.lock().await;
            // A process that has hardly begun ends as any other does.
            seat.is_up().await;
            let death = seat.terminate().await?;
            seat.start()?;
            return Ok(death.map(|death| (worker, death)));
        }
        What::Stop { worker, length } => {
            let seat = seat(worker)?.lock().await;
            if let Some(process) = &seat.process {
                process.set_still(true);
                sleep(length).await;
                process.set_still(false);
            }
        }
        What::Link {
            worker,
            passing,
            length,
        } => {
            // Whatever else happens to the worker meanwhile, which may take a while.
            let link = Arc::clone(&seat(worker)?.lock().await.link);
            link.set(passing);
            sleep(length).await;
            link.set(Passing::Through);
        }
        What::RestartServer { away } => server.restart(away).await?,
        // The server may be away just now.
        What::CloseConnections => drop(server.close_connections(schema).await),
        What::LockTables { length } => drop(server.lock_tables(schema, length).await),
    }
    Ok(None)
}
