//! Values that are words in a column, whichever database has it.

use super::refreshes::Standing;
use super::story::FetchCause;
use super::sweeps::{Finding, SweepKind, SweepScope};

/// A type with a word for each of its values.
pub(crate) trait Word: Copy + Sized {
    /// The word of this value.
    fn word(self) -> &'static str;
    /// The value of this word.
    fn of(word: &str) -> Option<Self>;
}

macro_rules! words {
    ($($type:ident { $($value:ident = $word:literal),* })*) => {$(
        impl Word for $type {
            fn word(self) -> &'static str {
                match self {
                    $($type::$value => $word,)*
                }
            }

            fn of(word: &str) -> Option<Self> {
                match word {
                    $($word => Some($type::$value),)*
                    _ => None,
                }
            }
        }
    )*};
}

words! {
    Standing { Unseen = "unseen", Present = "present", Gone = "gone", NoAccess = "no_access" }
    SweepKind { Sync = "sync", Audit = "audit" }
    SweepScope { Active = "active", All = "all" }
    FetchCause { Webhook = "webhook", Retry = "retry", Look = "look", Sweep = "sweep", Person = "person" }
    Finding { New = "new", Changed = "changed", Vanished = "vanished", Pending = "pending" }
}
