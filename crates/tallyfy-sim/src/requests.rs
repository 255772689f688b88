//! A log of the calls to the API.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

/// Calls are kept up to this many; counters go on.
const KEPT_CALLS: usize = 100_000;

/// One call to the API.
#[derive(Debug, Clone, Serialize)]
pub struct Call {
    /// Counted from 1; `X-Request-Id` is made of it.
    pub number: u64,
    /// When it arrived.
    pub at: Timestamp,
    /// `GET /organizations/{org}/runs/{run}` and the like.
    pub route: String,
    /// Path and query, as sent.
    pub path: String,
    /// The run it is about; a task's call counts for the task's run.
    pub run: Option<String>,
    /// The status of the answer; `None` while it is worked on, and when the connection was dropped.
    pub status: Option<u16>,
    /// Whether it has ended, with or without an answer.
    pub ended: bool,
}

#[derive(Debug, Default)]
struct Log {
    calls: VecDeque<Call>,
    total: u64,
    by_run: BTreeMap<String, u64>,
    by_route: BTreeMap<String, u64>,
    in_flight: u64,
    peak_in_flight: u64,
}

/// The calls so far. Clones see the same log.
#[derive(Debug, Clone)]
pub struct Requests {
    log: Arc<Mutex<Log>>,
    arrived: watch::Sender<u64>,
    ended: watch::Sender<u64>,
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            log: Arc::default(),
            arrived: watch::Sender::new(0),
            ended: watch::Sender::new(0),
        }
    }
}

impl Requests {
    /// How many calls there were.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.log().total
    }

    /// How many calls there were for this run.
    #[must_use]
    pub fn of_run(&self, run: &str) -> u64 {
        self.log().by_run.get(run).copied().unwrap_or(0)
    }

    /// How many calls there were of this route.
    #[must_use]
    pub fn of_route(&self, route: &str) -> u64 {
        self.log().by_route.get(route).copied().unwrap_or(0)
    }

    /// Calls by run.
    #[must_use]
    pub fn by_run(&self) -> BTreeMap<String, u64> {
        self.log().by_run.clone()
    }

    /// Calls by route.
    #[must_use]
    pub fn by_route(&self) -> BTreeMap<String, u64> {
        self.log().by_route.clone()
    }

    /// The most calls that were worked on at the same time.
    #[must_use]
    pub fn peak_in_flight(&self) -> u64 {
        self.log().peak_in_flight
    }

    /// The calls, oldest first, up to the last 100 000.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.log().calls.iter().cloned().collect()
    }

    /// Waits until so many calls have arrived.
    pub async fn wait_for_total(&self, total: u64) {
        let _ = self.arrived.subscribe().wait_for(|_| self.total() >= total).await;
    }

    /// Waits until so many calls for this run have arrived.
    pub async fn wait_for_run(&self, run: &str, calls: u64) {
        let _ = self.arrived.subscribe().wait_for(|_| self.of_run(run) >= calls).await;
    }

    /// Waits until no call is worked on.
    pub async fn wait_until_idle(&self) {
        let _ = self.ended.subscribe().wait_for(|_| self.log().in_flight == 0).await;
    }

    /// Forgets every call that has ended, and all counts.
    pub fn clear(&self) {
        let mut log = self.log();
        let in_flight = log.in_flight;
        let mut calls = std::mem::take(&mut log.calls);
        calls.retain(|call| !call.ended);
        *log = Log {
            calls,
            in_flight,
            peak_in_flight: in_flight,
            ..Log::default()
        };
    }

    pub(crate) fn begin(&self, number: u64, at: Timestamp, route: &str, path: &str, run: Option<&str>) -> Underway {
        {
            let mut log = self.log();
            log.total += 1;
            log.in_flight += 1;
            log.peak_in_flight = log.peak_in_flight.max(log.in_flight);
            *log.by_route.entry(route.to_owned()).or_default() += 1;
            if let Some(run) = run {
                *log.by_run.entry(run.to_owned()).or_default() += 1;
            }
            if log.calls.len() == KEPT_CALLS {
                log.calls.pop_front();
            }
            log.calls.push_back(Call {
                number,
                at,
                route: route.to_owned(),
                path: path.to_owned(),
                run: run.map(str::to_owned),
                status: None,
                ended: false,
            });
        }
        self.arrived.send_modify(|calls| *calls += 1);
        Underway {
            requests: self.clone(),
            number,
            status: None,
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that is worked on. It ends when this is dropped, also when the caller hangs up.
#[derive(Debug)]
pub(crate) struct Underway {
    requests: Requests,
    number: u64,
    status: Option<u16>,
}

impl Underway {
    /// Notes the answer and ends the call.
    pub(crate) fn answered(mut self, status: u16) {
        self.status = Some(status);
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        {
            let mut log = self.requests.log();
            log.in_flight = log.in_flight.saturating_sub(1);
            let number = self.number;
            if let Some(call) = log.calls.iter_mut().rev().find(|call| call.number == number) {
                call.ended = true;
                call.status = self.status;
            }
        }
        self.requests.ended.send_modify(|ended| *ended += 1);
    }
}

/// Where a request goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) route: String,
    pub(crate) run: Option<String>,
    pub(crate) task: Option<String>,
}

impl Place {
    /// Reads a path, with or without `/api` in front.
    pub(crate) fn of(method: &str, path: &str) -> Self {
        let path = path
            .strip_prefix("/api/")
            .or_else(|| path.strip_prefix('/'))
            .unwrap_or(path);
        let mut place = Self {
            route: method.to_owned() + " ",
            run: None,
            task: None,
        };
        let mut before = "";
        for segment in path.split('/') {
            place.route.push('/');
            match before {
                "runs" => place.run = Some(segment.to_owned()),
                "tasks" | "completed-tasks" => place.task = Some(segment.to_owned()),
                _ => {}
            }
            place.route.push_str(placeholder(before).unwrap_or(segment));
            // An id that happens to be called like a collection must not start a new one.
            before = if placeholder(before).is_some() { "" } else { segment };
        }
        place
    }
}

fn placeholder(before: &str) -> Option<&'static str> {
    Some(match before {
        "organizations" => "{org}",
        "runs" => "{run}",
        "tasks" | "completed-tasks" => "{task}",
        "checklists" => "{checklist}",
        "steps" => "{step}",
        "users" => "{user}",
        "guests" => "{guest}",
        "groups" => "{group}",
        "tags" => "{tag}",
        "remove-watcher" => "{watcher}",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_with_and_without_the_prefix() {
        let route = "GET /organizations/{org}/runs/{run}/tasks/{task}";
        for path in [
            "/api/organizations/acme/runs/r1/tasks/t1",
            "/organizations/acme/runs/r1/tasks/t1",
        ] {
            let place = Place::of("GET", path);
            assert_eq!(place.route, route);
            assert_eq!((place.run.as_deref(), place.task.as_deref()), (Some("r1"), Some("t1")));
        }
        assert_eq!(
            Place::of("GET", "/api/organizations/runs/runs").route,
            "GET /organizations/{org}/runs"
        );
        assert_eq!(Place::of("GET", "/me").route, "GET /me");
    }
}
