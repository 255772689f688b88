//! The simulator over real sockets.
//!
//! Nothing here sleeps: tests wait for events, or for a paused clock.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod api;
mod binary;
mod control;
mod faults;
mod headers;
mod http;
mod pages;
mod python_sdk;
mod quirks;
mod receiver;
mod replicas;
mod shapes;
mod webhooks;

use std::sync::Arc;

use tallyfy_sim::clock::ManualClock;
use tallyfy_sim::{SimConfig, Simulator};

/// A clock that stands at 2026-01-05T09:00:00Z.
fn still_clock() -> ManualClock {
    ManualClock::at("2026-01-05T09:00:00Z".parse().unwrap())
}

/// A simulator that always does the same.
async fn simulator() -> Simulator {
    simulator_with(SimConfig::default()).await
}

async fn simulator_with(config: SimConfig) -> Simulator {
    Simulator::start(SimConfig {
        clock: Arc::new(still_clock()),
        ..config
    })
    .await
    .unwrap()
}

/// `/organizations/northwind/runs/{run}` and whatever follows.
fn run_path(sim: &Simulator, run: &str, rest: &str) -> String {
    format!("/organizations/{}/runs/{run}{rest}", sim.org())
}
