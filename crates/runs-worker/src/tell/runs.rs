//! How a run stands, in a few words for a list.

use jiff::Timestamp;
use runs_store::{RunSummary, Standing};

use super::Tone;
use super::words::until;

/// How a run stands.
pub(crate) fn stands(run: &RunSummary, now: Timestamp) -> (Tone, String) {
    let names = |names: &[runs_store::HandlerName]| {
        let names: Vec<&str> = names.iter().map(runs_store::HandlerName::as_str).collect();
        names.join(", ")
    };
    if !run.given_up_for.is_empty() {
        return (Tone::Bad, format!("given up for {}", names(&run.given_up_for)));
    }
    if !run.failing_for.is_empty() {
        return (Tone::Warn, format!("{} fails to take it", names(&run.failing_for)));
    }
    match (&run.reason, run.due_at) {
        (_, Some(_)) if run.is_out => (Tone::Quiet, "being fetched".to_owned()),
        (Some(_), Some(due)) => (Tone::Warn, format!("fetch failed, tried again {}", until(due, now))),
        (None, Some(due)) => (Tone::Quiet, format!("to be fetched {}", until(due, now))),
        (_, None) => match run.standing {
            Standing::Unseen => (Tone::Quiet, "known, never fetched".to_owned()),
            Standing::Present => (Tone::Good, "up to date".to_owned()),
            Standing::Gone => (Tone::Quiet, "gone, says the API".to_owned()),
            Standing::NoAccess => (Tone::Warn, "may not be seen, or was given up".to_owned()),
        },
    }
}
