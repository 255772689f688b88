//! Templates (the API says checklists), their steps and form fields (captures).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The field types the server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// One line.
    Text,
    /// Many lines, possibly HTML.
    Textarea,
    /// One of several, answered by the option's text.
    Radio,
    /// One of several, answered by an object.
    Dropdown,
    /// Several of several.
    Multiselect,
    /// A date or a time.
    Date,
    /// An address, which nobody checks.
    Email,
    /// Uploaded files.
    File,
    /// Columns.
    Table,
    /// People for a later step.
    AssigneesForm,
}

impl FieldType {
    /// Every type, in the order of the documentation.
    pub const ALL: [Self; 10] = [
        Self::Text,
        Self::Textarea,
        Self::Radio,
        Self::Dropdown,
        Self::Multiselect,
        Self::Date,
        Self::Email,
        Self::File,
        Self::Table,
        Self::AssigneesForm,
    ];

    /// The spelling on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Textarea => "textarea",
            Self::Radio => "radio",
            Self::Dropdown => "dropdown",
            Self::Multiselect => "multiselect",
            Self::Date => "date",
            Self::Email => "email",
            Self::File => "file",
            Self::Table => "table",
            Self::AssigneesForm => "assignees_form",
        }
    }
}

/// A form field of a step or of the kick-off form.
#[derive(Debug, Clone)]
pub struct Capture {
    /// Timeline id, 32 hexadecimal digits: the key of the answer.
    pub id: String,
    /// What people see.
    pub label: String,
    /// What automations and webhooks call it.
    pub alias: String,
    /// Its type.
    pub field_type: FieldType,
    /// Whether it must be answered.
    pub required: bool,
    /// Counted from 1.
    pub position: usize,
    /// Texts of the options of radio, dropdown and multiselect.
    pub options: Vec<String>,
    /// Labels of the columns of a table.
    pub columns: Vec<String>,
}

/// People a step or a task is assigned to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Assignees {
    /// Members by id.
    pub users: Vec<i64>,
    /// Guests by address.
    pub guests: Vec<String>,
    /// Groups by id.
    pub groups: Vec<String>,
}

impl Assignees {
    /// Whether nobody is assigned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.guests.is_empty() && self.groups.is_empty()
    }
}

/// A step, from which each run gets a task.
#[derive(Debug, Clone)]
pub struct Step {
    /// Id, 32 hexadecimal digits.
    pub id: String,
    /// Title.
    pub title: String,
    /// What automations and webhooks call it; webhooks fall back to the task's id.
    pub alias: Option<String>,
    /// Description, often HTML.
    pub summary: String,
    /// `task`, `approval`, `expiring`, `email` or `expiring_email`.
    pub task_type: String,
    /// Counted from 1.
    pub position: usize,
    /// Who gets the task.
    pub assignees: Assignees,
    /// URL that is told of the task's completion instead of the template's.
    pub webhook: Option<String>,
    /// Form fields.
    pub captures: Vec<Capture>,
    /// Days from launch to deadline.
    pub deadline_days: u32,
}

/// A template.
#[derive(Debug, Clone)]
pub struct Template {
    /// Id, 32 hexadecimal digits.
    pub id: String,
    /// Title.
    pub title: String,
    /// Description.
    pub summary: String,
    /// Alias.
    pub alias: String,
    /// `procedure`, `form` or `document`; runs inherit it.
    pub kind: String,
    /// URL that is told of launch, completion, and the completion of every task.
    pub webhook: Option<String>,
    /// URLs that an automation sends to. They are shown, and never told of anything: what such a webhook has in its body is
    /// not documented.
    pub automations: Vec<String>,
    /// The member who owns it.
    pub owner_id: i64,
    /// Fields of the kick-off form.
    pub kickoff: Vec<Capture>,
    /// Steps by position.
    pub steps: Vec<Step>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub last_updated: Timestamp,
    /// Runs launched from it.
    pub started_processes: u64,
}

/// The field with this timeline id, alias or label.
pub(crate) fn find_capture<'a>(captures: &'a [Capture], name: &str) -> Option<&'a Capture> {
    captures
        .iter()
        .find(|c| c.id == name)
        .or_else(|| captures.iter().find(|c| c.alias == name))
        .or_else(|| captures.iter().find(|c| c.label == name))
}
