//! Receives Tallyfy webhooks, stores them durably, fetches the full run and hands it, with what changed, to handlers.
//!
//! ```text
//! Tallyfy ──POST──▶ receive ──▶ intake log ──▶ import ──▶ store ──▶ refresh ──▶ store ──▶ deliver ──▶ handlers
//! ```
//!
//! The stages share nothing but the store ([`runs_store::Store`]): each goes on whatever the others are doing. The
//! binary `runs-worker` is a thin shell around [`Worker`], which a program of your own can embed with a [`Handler`] in
//! Rust.
//!
//! Invariants:
//! - A webhook is answered with 2xx only after it was stored durably.
//! - What a handler sees was fetched after the notifications that led to it.
//! - No log line, error, metric or page holds a token, a path secret, a guest link or a body.

pub mod config;
pub mod telemetry;

mod admin;
mod api;
mod clock;
mod data_folder;
mod deliver;
mod event;
mod fetching;
mod filter;
mod front_door;
mod handler;
mod import;
mod prune;
mod receive;
mod reconcile;
mod redact;
mod refresh;
mod service_manager;
mod shared;
mod start;
mod wait;
mod worker;

#[doc(hidden)]
pub mod cli;

pub use clock::Clock;
pub use event::EventType;
pub use filter::{ChangeKind, EventFilter};
pub use front_door::{ListenAddress, NotAnAddress};
pub use handler::{Event, EventDraft, Handler, HandlerError, Notification, StdoutHandler};
pub use start::{StartError, WorkerBuilder};
pub use worker::Worker;

/// The examples of the workspace's README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
