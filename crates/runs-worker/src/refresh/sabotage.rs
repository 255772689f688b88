//! The places at which the torture puts deliberate defects into what is decided.

use runs_store::SchedulingTime;

use super::memory::Memory;

/// When the run is to be looked at again. A worker with a defect forgets it, with all that is owed.
pub(super) fn look_again(look_again: Option<SchedulingTime>, memory: &mut Memory) -> Option<SchedulingTime> {
    #[cfg(feature = "torture")]
    if runs_store::torture::is_sabotaged("forget-debts") {
        memory.owed = tallyfy_runs::Owed::default();
        memory.owed_since = None;
        memory.look_after = None;
        return None;
    }
    #[cfg(not(feature = "torture"))]
    let _ = memory;
    look_again
}

/// Whether an answer that is older than the last state is taken for the truth: only by a worker with a defect.
pub(super) fn believes_older() -> bool {
    #[cfg(feature = "torture")]
    return runs_store::torture::is_sabotaged("believe-older");
    #[cfg(not(feature = "torture"))]
    false
}
