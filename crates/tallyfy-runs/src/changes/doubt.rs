//! What an answer may have left out by mistake.

use std::fmt;

use super::json::Json;
use super::{INCLUDES, View};

/// A member of a run that has nothing in it where there was something.
///
/// A replica that lags behind lists no tasks of a run (API reference, section h.24). Before that is told as "all tasks
/// removed", it is to be confirmed by another look.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Doubt {
    /// The member: an include, or `prerun`, the answers in the kick-off form.
    pub member: &'static str,
}

impl fmt::Display for Doubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "nothing in `{}`, where there was something", self.member)
    }
}

/// Where there was something and is nothing. That no task comes next is what happens at the end of every run.
pub(super) fn doubts(old: &View<'_>, new: &View<'_>) -> Vec<Doubt> {
    INCLUDES
        .into_iter()
        .chain(["prerun"])
        .filter(|member| *member != "next_task")
        .filter(|member| is_filled(old, member) == Some(true) && is_filled(new, member) == Some(false))
        .map(|member| Doubt { member })
        .collect()
}

/// Whether there is something in a member; `None` if the view does not have it.
fn is_filled(view: &View<'_>, member: &str) -> Option<bool> {
    if member == "tasks"
        && let Some(tasks) = &view.tasks
    {
        return Some(!tasks.is_empty());
    }
    let json = view.members.get(member)?;
    Some(match member {
        // Of the answers, those count that were given.
        "prerun" => json.members().values().any(|answer| !answer.is_no_value()),
        _ => !Json::is_empty(*json),
    })
}
