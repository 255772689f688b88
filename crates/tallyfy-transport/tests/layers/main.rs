//! Layers, each alone and all together, around a transport that answers by script. Time is tokio's, and paused.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod auth;
mod breaker;
mod client_credentials;
mod rate_limit;
mod record;
mod retry;
mod script;
mod together;
