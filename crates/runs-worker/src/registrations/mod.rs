//! Which webhooks come to this worker: what the API has registered, held against the address and the secrets of here.
//!
//! URLs are compared as the API shows them, before anything is taken out, because the secret in them is what is compared.
//! Nothing of them leaves this module but the name of a host.

mod board;
mod coverage;
mod memory;
mod survey;
mod target;
mod watch;

pub(crate) use board::Board;
pub(crate) use coverage::{Coverage, Reach};
pub(crate) use memory::Memory;
pub(crate) use survey::{FoundTemplate, FoundWatcher, Watchers, survey};
pub(crate) use target::{Here, Target};
pub(crate) use watch::Watch;
