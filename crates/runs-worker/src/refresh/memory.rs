//! What is remembered of a run from one fetch to the next.

use std::time::Duration;

use runs_store::{SchedulingTime, Standing};
use serde::{Deserialize, Serialize};
use tallyfy_model::{ApiTime, Run};
use tallyfy_runs::Owed;
use tracing::error;

/// What is remembered of a run, beside its last state. The store keeps it as text and knows nothing of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Memory {
    /// What handlers were told.
    pub(super) told: Told,
    /// How many answers in a row were older than what was announced.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) stale: u32,
    /// How many answers in a row said that it is not there, or not to be seen.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) missing: u32,
    /// Since when they say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) missing_since: Option<SchedulingTime>,
    /// Whether the token was refused when it was asked for last.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) refused: bool,
    /// What was announced and no answer has shown.
    #[serde(skip_serializing_if = "Owed::is_paid")]
    pub(super) owed: Owed,
    /// Since when that is owed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) owed_since: Option<SchedulingTime>,
    /// A fetch is owed that begins no earlier, because nothing shows whether the answers so far were new enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) look_after: Option<SchedulingTime>,
    /// An answer that is older than the last state, and since when it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) older: Option<Stands>,
    /// What was empty where there was something, and since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) doubted: Option<Stands>,
    /// Since when all answers leave out something that was asked for, or since something new asked for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) incomplete_since: Option<SchedulingTime>,
}

/// The milestones that handlers were told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Told {
    /// That the run is there.
    pub(super) seen: bool,
    /// When it was completed, as was told last, unless it was reopened since; an empty text for an unknown time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) completed: Option<ApiTime>,
    /// The same of its archiving.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) archived: Option<ApiTime>,
}

/// Something that was answered, and since when it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stands {
    pub(super) what: String,
    pub(super) since: SchedulingTime,
}

impl Memory {
    /// What was written down, or what follows from the last state where nothing was: an earlier version told of each
    /// run that it fetched.
    pub(super) fn read(text: Option<&str>, standing: Standing, before: Option<&Run>) -> Self {
        let written = text.and_then(|text| match serde_json::from_str(text) {
            Ok(memory) => Some(memory),
            Err(error) => {
                error!(%error, "what is remembered of a run cannot be read");
                None
            }
        });
        written.unwrap_or_else(|| Self {
            told: Told {
                seen: standing == Standing::Present || before.is_some(),
                completed: before.filter(|run| run.is_complete()).map(completed_at),
                archived: before.filter(|run| run.is_archived()).map(archived_at),
            },
            ..Self::default()
        })
    }

    /// Notes that the run was shown: no answer before it counts for its absence any more.
    pub(super) fn note_shown(&mut self) {
        self.missing = 0;
        self.missing_since = None;
        self.refused = false;
    }

    /// As the store keeps it.
    pub(super) fn write(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }
}

impl Stands {
    /// Notes what was answered, in a fetch that began at this time. Whether it has stood for so long.
    pub(super) fn note(stands: &mut Option<Self>, what: String, at: SchedulingTime, long: Duration) -> bool {
        match stands {
            Some(known) if known.what == what => at.apart(known.since) >= long,
            _ => {
                *stands = Some(Self { what, since: at });
                false
            }
        }
    }
}

/// When a run was completed; an empty text if that is not known.
pub(super) fn completed_at(run: &Run) -> ApiTime {
    run.completed_at.as_time().cloned().unwrap_or_else(|| ApiTime::new(""))
}

/// When a run was archived; an empty text if that is not known.
pub(super) fn archived_at(run: &Run) -> ApiTime {
    run.archived_at.as_time().cloned().unwrap_or_else(|| ApiTime::new(""))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}
