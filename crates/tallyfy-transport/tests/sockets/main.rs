//! `ReqwestTransport` against servers on this machine.
#![cfg(feature = "reqwest")]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod faults;
mod server;
mod wire;
