//! What may take how long, as ratios that hold on any machine.
//!
//! Every figure compares two things that were done by turns in one process, so that a slow machine, or a busy one, is
//! slow for both. `cargo xtask bench` runs them.

#![expect(clippy::print_stdout, reason = "the table is what the benchmarks are for")]

pub mod plain;
pub mod sample;
mod table;
mod turns;

pub use table::{Limit, Table};
pub use turns::{Contestant, Turns};
