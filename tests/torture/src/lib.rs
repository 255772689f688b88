//! Kills the real worker at every moment, and judges what came out.
//!
//! A *round* is a simulator, a data folder, three handlers, and several lives of the worker, each of which ends badly. Then
//! the faults stop, the worker is started once more, and the judge holds what came out against what was promised.
//!
//! - The [`oracle`] changes runs and issues a version of each state. What it announces is owed once the webhook was
//!   answered with 2xx.
//! - The [`plan`] of a round says what goes wrong in it, and comes from a seed.
//! - The [`judge`] is pure: it is given a [`history`].
//!
//! `docs/testing.md` says what is tried, and how to go on from a loss.

pub mod campaign;
pub mod history;
pub mod judge;
pub mod oracle;
pub mod plan;
pub mod points;
pub mod round;
pub mod several;

mod binary;
mod handlers;
mod life;

pub use binary::{binary, root};
