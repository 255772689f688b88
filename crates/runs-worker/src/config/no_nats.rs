//! What stands in the place of `[handlers.nats]` in a program that was built without NATS.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::HandlerKind;
use super::told::Told;

/// `[handlers.nats]`, whatever is in it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct NatsTable(Option<IgnoredAny>);

impl NatsTable {
    pub(super) fn kind(&self, told: &mut Told<'_>) -> Option<HandlerKind> {
        let message = "is `nats`, which this program was built without: it needs the feature `nats` of runs-worker";
        told.problem("type", message.to_owned());
        None
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.is_some()
    }
}
