//! The use cases through a transport that answers as it is told, and comparisons of runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod accounting;
mod answering;
mod change_text;
mod changes;
mod errors;
mod freshness;
mod get_run;
mod get_task;
mod lists;
mod meaning;
mod members;
mod probe;
mod send;
mod templates;
mod watchers;
mod weight;
mod wishes;
mod writes;
