//! A stand-in Tallyfy for tests, demos and development.
//!
//! It has an organization in memory, serves it through the vendor's API, tells webhooks of every change, and fails in
//! the ways the real one fails, on request.
//!
//! ```
//! use tallyfy_sim::faults::Fault;
//! use tallyfy_sim::{SimConfig, Simulator};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sim = Simulator::start(SimConfig::default()).await?;
//! let run = sim.launch("Onboarding of Globex")?;
//! sim.complete_next(&run)?;
//! sim.faults().once(Fault::UNAVAILABLE);
//! // … point the program under test at sim.base_url(), with sim.org() and sim.token() …
//! sim.settle().await;
//! assert!(sim.ledger().is_empty(), "no webhook URL is set");
//! assert_eq!(sim.requests().of_run(&run), 0);
//! sim.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! Invariants:
//! - The world does no I/O and reads no clock but the one it was given; the same seed gives the same ids.
//! - What is rendered depends on the world and the quirks alone.
//! - A webhook is tried once. The ledger knows every one of them and what became of it.
//! - Nothing here depends on the crates that are tested with it.

mod simulator;
pub use simulator::{SimConfig, Simulator, StartError};

pub mod faults;
pub mod quirks;
pub mod replicas;
pub mod requests;
pub mod sample;
pub mod webhooks;
pub mod world;

pub mod clock;
pub mod ids;

mod api;
pub use api::LEAKED_SQL;

mod control;
mod millis;
mod rate_limit;
mod render;
mod server;
mod shared;

/// The examples of the README are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
