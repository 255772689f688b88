//! A run and its earlier versions.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{Task, Template};

/// How a run stands. The API calls the vendor's other spellings into play when it renders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunStatus {
    /// Work is going on.
    Active,
    /// A task has an open issue.
    Problem,
    /// The run itself has an open issue.
    Issue,
    /// Everything is done.
    Complete,
}

/// The tie between a run and a tag: what the API lists under `tags`.
#[derive(Debug, Clone)]
pub struct TagAssociation {
    /// Numeric id of the tie.
    pub id: u64,
    /// The tag.
    pub tag_id: String,
    /// When it was tied.
    pub created_at: Timestamp,
}

/// A run, at one moment.
#[derive(Debug, Clone)]
pub struct Run {
    /// Id, 32 hexadecimal digits.
    pub id: String,
    /// Counter of the organization.
    pub increment_id: u64,
    /// Its organization.
    pub org: String,
    /// The template, as it was at launch.
    pub template: Arc<Template>,
    /// Name.
    pub name: String,
    /// Summary.
    pub summary: Option<String>,
    /// Who launched it.
    pub started_by: i64,
    /// Who answers for it.
    pub owner_id: i64,
    /// Members who can see it.
    pub users: Vec<i64>,
    /// Groups who can see it.
    pub groups: Vec<String>,
    /// Tags.
    pub tags: Vec<TagAssociation>,
    /// Kick-off answers by timeline id.
    pub prerun: BTreeMap<String, Value>,
    /// Values of custom fields by name.
    pub custom_fields: BTreeMap<String, Value>,
    /// Tasks by position.
    pub tasks: Vec<Arc<Task>>,
    /// Whether the run itself has an open issue.
    pub has_open_issue: bool,
    /// Whether the caller starred it.
    pub starred: bool,
    /// The run it was launched from.
    pub parent_id: Option<String>,
    /// Launch.
    pub created_at: Timestamp,
    /// Last change, strictly later than the one before.
    pub last_updated: Timestamp,
    /// Completion.
    pub completed_at: Option<Timestamp>,
    /// Archiving.
    pub archived_at: Option<Timestamp>,
    /// When it is due.
    pub due_date: Option<Timestamp>,
}

impl Run {
    /// How it stands.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        if self.has_open_issue {
            RunStatus::Issue
        } else if self.completed_at.is_some() {
            RunStatus::Complete
        } else if self.tasks.iter().any(|task| task.has_problem()) {
            RunStatus::Problem
        } else {
            RunStatus::Active
        }
    }

    /// Whether all tasks are done or skipped; a run without tasks is never done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        !self.tasks.is_empty() && self.tasks.iter().all(|task| task.status.is_settled())
    }

    /// The task with this id.
    #[must_use]
    pub fn task(&self, id: &str) -> Option<&Arc<Task>> {
        self.tasks.iter().find(|task| task.id == id)
    }

    /// Open tasks whose deadline has passed.
    #[must_use]
    pub fn late_tasks(&self, now: Timestamp) -> usize {
        self.tasks
            .iter()
            .filter(|task| !task.status.is_settled() && task.deadline < now)
            .count()
    }
}

/// What a lagging read replica shows instead of the current state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lag {
    /// The current state.
    #[default]
    None,
    /// The state this many changes ago; before the launch there is no run.
    Versions(usize),
    /// The state this long ago.
    Time(Duration),
}

/// Earlier versions are kept up to this many, so that a long burst does not fill memory.
const KEPT_VERSIONS: usize = 128;

/// A run through time: its versions, the current one last.
#[derive(Debug, Clone)]
pub struct RunHistory {
    current: Arc<Run>,
    earlier: VecDeque<Arc<Run>>,
    forgotten: bool,
}

impl RunHistory {
    pub(crate) fn begin(run: Run) -> Self {
        Self {
            current: Arc::new(run),
            earlier: VecDeque::new(),
            forgotten: false,
        }
    }

    /// The run as it is now.
    #[must_use]
    pub fn current(&self) -> &Arc<Run> {
        &self.current
    }

    pub(crate) fn push(&mut self, run: Run) {
        let before = std::mem::replace(&mut self.current, Arc::new(run));
        self.earlier.push_back(before);
        if self.earlier.len() > KEPT_VERSIONS {
            self.earlier.pop_front();
            self.forgotten = true;
        }
    }

    /// The run as a replica shows it that is behind by `lag`. `None`: it was not launched yet.
    #[must_use]
    pub fn seen(&self, lag: Lag, now: Timestamp) -> Option<&Arc<Run>> {
        match lag {
            Lag::None => Some(&self.current),
            Lag::Versions(0) => Some(&self.current),
            Lag::Versions(n) => match self.earlier.len().checked_sub(n) {
                Some(index) => self.earlier.get(index),
                None => self.oldest_known(),
            },
            Lag::Time(by) => {
                let then = now.checked_sub(by).unwrap_or(Timestamp::MIN);
                if self.current.last_updated <= then {
                    return Some(&self.current);
                }
                self.earlier
                    .iter()
                    .rev()
                    .find(|run| run.last_updated <= then)
                    .or_else(|| self.oldest_known())
            }
        }
    }

    /// The oldest version, if older ones were thrown away: the run did exist then.
    fn oldest_known(&self) -> Option<&Arc<Run>> {
        if self.forgotten { self.earlier.front() } else { None }
    }
}
