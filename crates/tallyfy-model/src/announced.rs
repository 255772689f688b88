//! What a webhook says of the state that it announces.

use serde::{Deserialize, Serialize};

use crate::{ApiTime, TaskId};

/// The traces of the new state that a webhook body carries.
///
/// Reads of the API can lag behind its webhooks, so a fetched run is held against these: it must not be older than
/// what was announced. They are never shown to anybody as the truth.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Announced {
    /// The run's `last_updated`, from a process payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_last_updated: Option<ApiTime>,
    /// The run's `completed_at`, from a process payload that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_completed_at: Option<ApiTime>,
    /// The run's status says that it is complete, and there is no time of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub run_is_complete: bool,
    /// The run's `archived_at`, from a process payload that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_archived_at: Option<ApiTime>,
    /// The task that the body is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// That task's `completed_at`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_completed_at: Option<ApiTime>,
    /// That task's status says that it is complete, and there is no time of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub task_is_complete: bool,
}
