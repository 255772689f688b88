//! A run: the decoded view and the JSON that it came from.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{self, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Number, Value};

use crate::json_text;
use crate::lenient::{Field, Item, Json, List, Map, Shape};
use crate::record::{Inspect, Surprise, record};
use crate::{
    ApiTime, Asset, Checklist, ChecklistId, FieldId, Folder, FormField, GroupRef, KickoffFields, Member, OrgId,
    PrerunStatus, RunId, RunStatus, RunType, Tag, Task, UserId,
};

/// A run (which the product's pages call a process) as the API sent it.
///
/// Its members are reached through the fields of [`RunFields`], which it dereferences to. What is not among them is in
/// the [raw JSON](Self::raw), which is also what serialization writes: nothing that the API sent is lost.
///
/// ```
/// use tallyfy_model::{Run, RunStatus};
///
/// let run = Run::from_json(r#"{"id":"r1","name":"Onboarding","status":"active","progress":60,"new":1.50}"#)?;
/// assert_eq!(run.id().as_str(), "r1");
/// assert_eq!(run.name.as_str(), Some("Onboarding"));
/// assert_eq!(run.status.get(), Some(&RunStatus::Active));
/// assert_eq!(run.progress.get().and_then(|progress| progress.percent()), Some(60.0));
/// assert!(run.raw().contains("1.50"));
/// # Ok::<(), tallyfy_model::NotARun>(())
/// ```
#[derive(Clone, Debug)]
pub struct Run {
    id: RunId,
    fields: RunFields,
    raw: Box<str>,
}

impl Run {
    /// Decodes the JSON of a run, without the `data` envelope of a response.
    ///
    /// # Errors
    /// [`NotARun`] if it is not JSON, not an object, or has no id. Nothing else is required of a run, and whatever else
    /// is in it, however odd, is no reason to refuse it.
    pub fn from_json(json: &str) -> Result<Self, NotARun> {
        // What JSON calls white space, and nothing else.
        Self::read(json.trim_matches([' ', '\t', '\n', '\r']).into())
    }

    /// The same, from JSON whose text is held already.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json).
    pub fn from_raw(raw: Box<RawValue>) -> Result<Self, NotARun> {
        Self::read(raw.into())
    }

    fn read(raw: Box<str>) -> Result<Self, NotARun> {
        let fields = match json_text::from_str(&raw).map_err(NotARun::Json)? {
            Field::Value(fields) => fields,
            Field::Absent | Field::Empty | Field::Unexpected(_) => return Err(NotARun::NotAnObject),
        };
        let fields: RunFields = fields;
        let id = fields.id.get().cloned().ok_or(NotARun::NoId)?;
        Ok(Self { id, fields, raw })
    }

    /// The run's id.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// The JSON as it came, byte for byte.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The JSON as a tree. Numbers are exact as far as 64 bits go, one that not even a float can hold is a string, and
    /// what is nested more than 127 levels deep is `null`; [`raw`](Self::raw) is exact always.
    pub fn to_value(&self) -> Value {
        // The same text was decoded before.
        json_text::from_str(&self.raw).unwrap_or(Value::Null)
    }

    /// The members that came in a form that nobody foresaw.
    pub fn surprises(&self) -> Vec<Surprise> {
        let mut found = Vec::new();
        self.fields.inspect("", &mut found);
        found
    }
}

impl std::ops::Deref for Run {
    type Target = RunFields;

    fn deref(&self) -> &RunFields {
        &self.fields
    }
}

impl Serialize for Run {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.raw).map_err(ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

/// Reads a run as [`Run::from_json`] does. Only from JSON: another format has no JSON text to keep.
impl<'de> Deserialize<'de> for Run {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_raw(Box::<RawValue>::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Why some JSON is no run.
#[derive(Debug)]
#[non_exhaustive]
pub enum NotARun {
    /// It is not JSON.
    Json(serde_json::Error),
    /// It is JSON, but not an object.
    NotAnObject,
    /// It is an object without an id.
    NoId,
}

impl fmt::Display for NotARun {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Json(_) => "not JSON",
            Self::NotAnObject => "not a JSON object",
            Self::NoId => "a JSON object without a run id",
        })
    }
}

impl std::error::Error for NotARun {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Json(error) => Some(error),
            Self::NotAnObject | Self::NoId => None,
        }
    }
}

record! {
    /// The members of a run (API reference, section b.2).
    pub struct RunFields {
        /// The run's id.
        id: RunId,
        /// A number within the organization.
        increment_id: i64,
        /// The organization; only where a webhook shows the run.
        organization_id: OrgId,
        /// The template that it was launched from.
        checklist_id: ChecklistId,
        /// That template's title.
        checklist_title: String,
        /// The name, at most 550 characters.
        name: String,
        /// A description; may be empty.
        summary: String,
        /// How it stands.
        status: RunStatus,
        /// How far it is.
        progress: Progress,
        /// How far it is, hidden tasks included.
        whole_progress: Progress,
        /// What the template makes of its runs.
        r#type = "type": RunType,
        /// Who launched it.
        started_by: UserId,
        /// Who owns it.
        owner_id: UserId,
        /// The answers of the kick-off form, by form field.
        prerun: Map<FieldId, Json>,
        /// Whether the kick-off form was submitted.
        prerun_status: PrerunStatus,
        /// When it was submitted.
        prerun_completed_at: ApiTime,
        /// Who submitted it.
        prerun_completed_by: UserId,
        /// How many fields the kick-off form has.
        prerun_length: i64,
        /// Whether the caller starred it.
        starred: bool,
        /// Whether anybody with the link may see it.
        is_public: bool,
        /// What those with the link do not see.
        publicly_hidden_fields: List<Json>,
        /// Whether assignees may pass their tasks on.
        assign_someone_else: bool,
        /// When it was created.
        created_at: ApiTime,
        /// When anything of it last changed.
        last_updated: ApiTime,
        /// When it was launched.
        started_at: ApiTime,
        /// When it was completed, if it is.
        completed_at: ApiTime,
        /// When it was archived, if it is; the reliable sign.
        archived_at: ApiTime,
        /// When it is to be done.
        due_date: ApiTime,
        /// Whether that time has passed.
        due_date_passed: bool,
        /// Whether that time is near.
        due_soon: bool,
        /// The latest deadline of its tasks.
        max_task_deadline: ApiTime,
        /// How many tasks are late.
        late_tasks: i64,
        /// Members who are involved.
        collaborators: List<Member>,
        /// Members who own it.
        users: List<Member>,
        /// Groups who own it.
        groups: List<GroupRef>,
        /// The run that it was launched from.
        parent_id: RunId,
        /// Whether one-off tasks may be added.
        can_add_oot: bool,
        /// Whether it has an open issue.
        has_open_issue: bool,
        /// Values of the organization's own fields.
        custom_fields: Map<String, Json>,
        /// The template, if asked for by `with=checklist`.
        checklist: Item<Checklist>,
        /// The tasks, if asked for by `with=tasks`.
        tasks: List<Task>,
        /// The tags, if asked for by `with=tags`.
        tags: List<Tag>,
        /// The task that comes next, if asked for by `with=next_task`.
        next_task: Item<Task>,
        /// The form fields, if asked for by `with=form_fields`.
        form_fields: List<FormField>,
        /// The kick-off form's fields, if asked for by `with=ko_form_fields`.
        ko_form_fields: KickoffFields,
        /// Files, if asked for by `with=assets`.
        assets: List<Asset>,
        /// Stages, if asked for by `with=stages`; undocumented.
        stages: Json,
        /// Folders, if asked for by `with=folders`.
        folders: List<Folder>,
        /// What the caller may do, if asked for by `with=permissions`; undocumented.
        permissions: Json,
        /// Figures about the tasks, if asked for by `with=tasks_meta`; undocumented.
        tasks_meta: Json,
        /// Members who watch it, if asked for by `with=member_watchers`; undocumented.
        member_watchers: Json,
        /// Guests who watch it, if asked for by `with=guest_watchers`; undocumented.
        guest_watchers: Json,
    }
}

impl RunFields {
    /// The tasks that are still to be done, if tasks were asked for; see [`Task::is_open`].
    pub fn open_tasks(&self) -> impl Iterator<Item = &Task> {
        self.tasks.iter().filter(|task| task.is_open())
    }

    /// Whether the run is done: by its status in either spelling, or because it has a time of completion.
    pub fn is_complete(&self) -> bool {
        self.completed_at.as_time().is_some() || self.status.get().is_some_and(RunStatus::is_complete)
    }

    /// Whether it is archived: by the time of that, which is the reliable sign, or by its status.
    pub fn is_archived(&self) -> bool {
        self.archived_at.as_time().is_some() || self.status.get().is_some_and(RunStatus::is_archived)
    }
}

/// How far a run is: an object in lists, a number in some responses and in webhooks.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Progress {
    /// Only the percentage.
    Percent(f64),
    /// Counted in tasks.
    Counted(Counted),
}

impl Progress {
    /// The percentage that is done.
    pub fn percent(&self) -> Option<f64> {
        match self {
            Self::Percent(percent) => Some(*percent),
            Self::Counted(counted) => counted.percent.get().copied(),
        }
    }
}

record! {
    /// Progress counted in tasks.
    pub struct Counted {
        /// Tasks done.
        complete: i64,
        /// Tasks in all.
        total: i64,
        /// The share done, from 0 to 100.
        percent: f64,
    }
}

impl Shape for Progress {
    fn from_number(number: Number) -> Field<Self> {
        f64::from_number(number).map(Self::Percent)
    }

    fn from_text(text: &str) -> Field<Self> {
        f64::from_text(text).map(Self::Percent)
    }

    fn from_map<'de, A: serde::de::MapAccess<'de>>(map: A) -> Result<Field<Self>, A::Error> {
        Ok(Counted::from_map(map)?.map(Self::Counted))
    }
}

impl Inspect for Progress {
    fn inspect(&self, pointer: &str, found: &mut Vec<Surprise>) {
        if let Self::Counted(counted) = self {
            counted.inspect(pointer, found);
        }
    }
}
