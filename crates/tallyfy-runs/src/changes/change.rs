//! What can be different between two views of a run.

use serde::Serialize;
use serde_json::value::RawValue;

/// One difference between two views of a run.
///
/// As JSON it has a member `kind`, which is the name below in lower case, parts separated by dots.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all_fields = "snake_case")]
#[non_exhaustive]
pub enum Change {
    /// The run has another status.
    #[serde(rename = "status")]
    Status {
        /// The status before.
        from: Option<String>,
        /// The status now.
        to: Option<String>,
    },
    /// The share of the run that is done is another.
    #[serde(rename = "progress")]
    Progress {
        /// Percent before.
        from: Option<f64>,
        /// Percent now.
        to: Option<f64>,
    },
    /// The run has another name.
    #[serde(rename = "name")]
    Name {
        /// The name before.
        from: Option<String>,
        /// The name now.
        to: Option<String>,
    },
    /// The run has another `owner_id`.
    #[serde(rename = "owner")]
    Owner {
        /// The member's id before.
        from: Option<String>,
        /// The member's id now.
        to: Option<String>,
    },
    /// A member or a group owns the run that did not.
    #[serde(rename = "owner.added")]
    OwnerAdded {
        /// The member or the group.
        owner: OwnerRef,
    },
    /// A member or a group does not own the run any more.
    #[serde(rename = "owner.removed")]
    OwnerRemoved {
        /// The member or the group.
        owner: OwnerRef,
    },
    /// The run was completed.
    #[serde(rename = "completed")]
    Completed {
        /// When, as the API says it.
        at: Option<String>,
    },
    /// The run is no longer complete.
    #[serde(rename = "reopened")]
    Reopened,
    /// The run was archived.
    #[serde(rename = "archived")]
    Archived {
        /// When, as the API says it.
        at: Option<String>,
    },
    /// The run was taken back from the archive.
    #[serde(rename = "reactivated")]
    Reactivated,
    /// One of the run's dates is another.
    #[serde(rename = "date")]
    Date {
        /// Which: `due_date`, `started_at`, `created_at`; `completed_at` or `archived_at` where the run was completed or
        /// archived before.
        field: String,
        /// The date before, as the API says it.
        from: Option<String>,
        /// The date now, as the API says it.
        to: Option<String>,
    },
    /// There is a task that was not there.
    #[serde(rename = "task.added")]
    TaskAdded {
        /// The task.
        task: TaskRef,
    },
    /// A task is not there any more.
    #[serde(rename = "task.removed")]
    TaskRemoved {
        /// The task.
        task: TaskRef,
    },
    /// A task was completed.
    #[serde(rename = "task.completed")]
    TaskCompleted {
        /// The task.
        task: TaskRef,
        /// When, as the API says it.
        at: Option<String>,
        /// Who did it: the id of a member, or what the API calls a guest; none if the task does not say.
        #[serde(skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// A task is no longer complete.
    #[serde(rename = "task.reopened")]
    TaskReopened {
        /// The task.
        task: TaskRef,
    },
    /// Something else of the task's own is another: not what it repeats of its run or its template.
    #[serde(rename = "task.changed")]
    TaskChanged {
        /// The task.
        task: TaskRef,
        /// What is different.
        fields: Vec<FieldChange>,
    },
    /// A form field has another answer.
    #[serde(rename = "answer")]
    Answer {
        /// The form field's id.
        field: String,
        /// The task that it belongs to; none for the kick-off form.
        task: Option<String>,
        /// What the field is called, if the run says.
        label: Option<String>,
        /// The answer before; none if there was none.
        from: Option<Box<RawValue>>,
        /// The answer now; none if there is none.
        to: Option<Box<RawValue>>,
    },
    /// The run has a tag that it did not have.
    #[serde(rename = "tag.added")]
    TagAdded {
        /// The tag.
        tag: TagRef,
    },
    /// The run does not have a tag any more.
    #[serde(rename = "tag.removed")]
    TagRemoved {
        /// The tag.
        tag: TagRef,
    },
    /// Anything else.
    #[serde(rename = "other")]
    Other(FieldChange),
}

/// A task, as far as a person needs it to know which one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TaskRef {
    /// The id.
    pub id: String,
    /// The title.
    pub title: Option<String>,
    /// How it stands now, or stood when it was last seen.
    pub status: Option<String>,
}

/// One of a run's owners, as far as a person needs it to know which one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OwnerRef {
    /// `member` or `group`.
    pub r#type: &'static str,
    /// The id.
    pub id: String,
    /// The name, where it came with one.
    pub name: Option<String>,
}

/// A tag, as far as a person needs it to know which one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TagRef {
    /// The tag's id.
    pub id: String,
    /// The name.
    pub title: Option<String>,
}

/// A member whose value is another.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct FieldChange {
    /// Where, as a JSON Pointer (RFC 6901) into the run or the task; `data` envelopes are left out.
    pub pointer: String,
    /// The value before; none if it was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Box<RawValue>>,
    /// The value now; none if it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Box<RawValue>>,
}
