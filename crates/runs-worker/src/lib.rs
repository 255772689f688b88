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
//! Features, all of which the binary has and a program with the worker inside can leave out: `cli`, the command line;
//! `nats`, handlers of this type; `prometheus`, the metrics as it reads them; `systemd`, sockets that are handed over and word
//! to the service manager.
//!
//! Invariants:
//! - A webhook is answered with 2xx only after it was stored durably.
//! - What a handler sees was fetched after the notifications that led to it.
//! - No log line, error, metric or page holds a token, a path secret, a guest link or a body.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(all(feature = "cli", feature = "systemd")),
    allow(
        dead_code,
        unused_imports,
        reason = "the command line alone needs it; with it, nothing is allowed"
    )
)]

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
mod identity;
mod import;
mod prune;
mod receive;
mod reconcile;
mod redact;
mod refresh;
mod registrations;
mod reload;
mod seats;
#[cfg(feature = "systemd")]
mod service_manager;
#[cfg(all(feature = "cli", not(feature = "systemd")))]
#[path = "no_service_manager.rs"]
mod service_manager;
mod shared;
mod start;
mod tell;
mod test_bench;
mod vitals;
mod wait;
mod worker;

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;

pub use clock::Clock;
pub use event::EventType;
pub use filter::{ChangeKind, EventFilter};
pub use front_door::{ListenAddress, NotAnAddress};
pub use handler::{Event, EventDraft, Handler, HandlerError, Notification, StdoutHandler};
pub use start::{StartError, WorkerBuilder};
pub use test_bench::{BenchError, Handled, TestBench};
pub use worker::Worker;

/// The examples of the workspace's README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
