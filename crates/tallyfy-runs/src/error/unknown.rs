//! Why it is not known whether a write was done.

use tallyfy_transport::TransportError;
use thiserror::Error;

use super::{Exchange, Mismatch, in_one_line};

/// Why it is not known whether a write was done.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum WhyUnknown {
    /// It was sent, and the answer did not come, or not completely.
    #[error("whether this was done is not known, look before you send it again: {}", in_one_line(.0))]
    NoAnswer(#[source] TransportError),
    /// The server, or something before it, failed (5xx) or gave up (408).
    #[error("{0}: whether this was done is not known, look before you send it again")]
    Answered(Exchange),
    /// The answer says that it was done (2xx), and cannot be read. Most likely it was done.
    #[error("{answer}: most likely this was done, but the answer cannot be read: {mismatch}")]
    Unreadable {
        /// The answer.
        answer: Exchange,
        /// What is wrong with it, and where.
        mismatch: Mismatch,
    },
}

impl WhyUnknown {
    /// What was asked and how it was answered, if it was.
    pub fn exchange(&self) -> Option<&Exchange> {
        match self {
            Self::NoAnswer(_) => None,
            Self::Answered(answer) | Self::Unreadable { answer, .. } => Some(answer),
        }
    }
}
