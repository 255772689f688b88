//! What a body says, as a number that can be kept and compared.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::json_text;

/// Members that are another each time, or say nothing of how the run stands: links that let somebody in, and the task that
/// comes next, which the API names by another rule (API reference, sections c.2 and g.4). As
/// [`plain_name`](json_text::plain_name) has them.
const LEFT_OUT: [&str; 6] = [
    "guestlink",
    "guestlinks",
    "linkforguest",
    "nexttask",
    "publiclink",
    "taskurls",
];

/// What a body says, as a number: another assignee, answer, status or `last_updated` make another.
///
/// Two notifications with one [`dedupe_key`](super::Webhook::dedupe_key) may still say different things, such as two
/// assignments within one second. The second is a duplicate only if the fingerprints are equal too.
///
/// White space, the order of members, the spelling of text, and members that are `null` or left out make no difference;
/// neither do guest links and the next task. Two equal fingerprints that were made by different versions of this crate
/// are equal still; what is different may have become so by the version, which costs a fetch and nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(u64);

impl Fingerprint {
    pub(super) fn of(json: &str) -> Self {
        Self(json_text::fingerprint(json, |name| LEFT_OUT.contains(&name)))
    }

    /// The number, to be kept beside the key.
    pub fn to_u64(self) -> u64 {
        self.0
    }

    /// The fingerprint that was kept as this number.
    pub fn from_u64(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Fingerprint({self})")
    }
}
