//! Webhooks, sent as Tallyfy sends them: once, unsigned, and nobody is told when they fail.

mod ledger;
mod plan;
mod sender;

pub use ledger::{Ledger, Notification, Outcome, WebhookKind};

pub(crate) use plan::plan;
pub(crate) use sender::{Sender, SenderConfig};

/// The header that names the organization, all there is of authenticity.
pub const ORG_HEADER: &str = "X-Tallyfy-orgID";
