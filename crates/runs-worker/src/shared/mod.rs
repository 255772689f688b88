//! What several stages share, so that no stage needs another.

pub(crate) mod disk;
pub(crate) mod grace;
pub(crate) mod late_store;
pub(crate) mod notified;
pub(crate) mod spelled;
pub(crate) mod stage_names;
pub(crate) mod unknown_word;
pub(crate) mod visible;
pub(crate) mod worker_name;
