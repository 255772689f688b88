//! Tests of the worker through its public surfaces: configuration, command line, listeners and handlers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cli;
mod config;
mod handlers;
mod in_code;
mod internet;
mod looking;
mod nats;
mod odd_store;
mod operate;
mod pipeline;
mod receive;
mod rooms;
mod strangers;
mod test_bench;
mod trying;
mod wishes;
mod world;
