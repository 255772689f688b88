//! Templates as somebody writes them down: no ids yet.

use jiff::Timestamp;
use serde::Deserialize;

use super::{Assignees, Capture, FieldType, Step, Template};
use crate::ids::Ids;

/// A template to be made.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateDraft {
    /// Title.
    pub title: String,
    /// URL of the template's webhook.
    #[serde(default)]
    pub webhook: Option<String>,
    /// `procedure`, `form` or `document`.
    #[serde(default = "procedure")]
    pub kind: String,
    /// URLs that an automation sends to.
    #[serde(default)]
    pub automations: Vec<String>,
    /// Fields of the kick-off form.
    #[serde(default)]
    pub kickoff: Vec<CaptureDraft>,
    /// Steps by position.
    #[serde(default)]
    pub steps: Vec<StepDraft>,
}

/// A step to be made.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepDraft {
    /// Title.
    pub title: String,
    /// Alias; `None` makes webhooks fall back to the task's id.
    #[serde(default)]
    pub alias: Option<String>,
    /// URL of the step's webhook.
    #[serde(default)]
    pub webhook: Option<String>,
    /// Who gets the task.
    #[serde(default)]
    pub assignees: Assignees,
    /// Form fields.
    #[serde(default)]
    pub captures: Vec<CaptureDraft>,
    /// Days from launch to deadline; by default the position of the step.
    #[serde(default)]
    pub deadline_days: Option<u32>,
    /// Whether its task is an approval.
    #[serde(default)]
    pub approval: bool,
}

/// A form field to be made.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureDraft {
    /// Label, from which the alias is made.
    pub label: String,
    /// Type.
    pub field_type: FieldType,
    /// Whether it must be answered.
    #[serde(default)]
    pub required: bool,
    /// Option texts.
    #[serde(default)]
    pub options: Vec<String>,
    /// Column labels.
    #[serde(default)]
    pub columns: Vec<String>,
}

fn procedure() -> String {
    "procedure".to_owned()
}

impl TemplateDraft {
    /// A template without steps.
    #[must_use]
    pub fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            webhook: None,
            kind: procedure(),
            automations: Vec::new(),
            kickoff: Vec::new(),
            steps: Vec::new(),
        }
    }

    /// Adds a field to the kick-off form.
    #[must_use]
    pub fn kickoff(mut self, field: CaptureDraft) -> Self {
        self.kickoff.push(field);
        self
    }

    /// Adds a step.
    #[must_use]
    pub fn step(mut self, step: StepDraft) -> Self {
        self.steps.push(step);
        self
    }

    /// Sets the template's webhook.
    #[must_use]
    pub fn webhook(mut self, url: &str) -> Self {
        self.webhook = Some(url.to_owned());
        self
    }

    /// Adds an automation that sends to a URL.
    #[must_use]
    pub fn automation(mut self, url: &str) -> Self {
        self.automations.push(url.to_owned());
        self
    }

    pub(crate) fn build(&self, ids: &mut Ids, owner_id: i64, now: Timestamp) -> Template {
        Template {
            id: ids.hex(),
            title: self.title.clone(),
            summary: format!("<p>How we do {}.</p>", self.title.to_lowercase()),
            alias: alias_of(&self.title),
            kind: self.kind.clone(),
            webhook: self.webhook.clone(),
            automations: self.automations.clone(),
            owner_id,
            kickoff: build_captures(&self.kickoff, ids),
            steps: self
                .steps
                .iter()
                .enumerate()
                .map(|(n, step)| step.build(n + 1, ids))
                .collect(),
            created_at: now,
            last_updated: now,
            started_processes: 0,
        }
    }
}

impl StepDraft {
    /// A step with an alias made from its title.
    #[must_use]
    pub fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            alias: Some(alias_of(title)),
            webhook: None,
            assignees: Assignees::default(),
            captures: Vec::new(),
            deadline_days: None,
            approval: false,
        }
    }

    /// Takes the alias away.
    #[must_use]
    pub fn without_alias(mut self) -> Self {
        self.alias = None;
        self
    }

    /// Assigns a member.
    #[must_use]
    pub fn assigned_to(mut self, user: i64) -> Self {
        self.assignees.users.push(user);
        self
    }

    /// Assigns a guest.
    #[must_use]
    pub fn assigned_to_guest(mut self, email: &str) -> Self {
        self.assignees.guests.push(email.to_owned());
        self
    }

    /// Assigns a group.
    #[must_use]
    pub fn assigned_to_group(mut self, group: &str) -> Self {
        self.assignees.groups.push(group.to_owned());
        self
    }

    /// Adds a form field.
    #[must_use]
    pub fn capture(mut self, field: CaptureDraft) -> Self {
        self.captures.push(field);
        self
    }

    /// Sets the step's own webhook, which replaces the template's.
    #[must_use]
    pub fn webhook(mut self, url: &str) -> Self {
        self.webhook = Some(url.to_owned());
        self
    }

    /// Makes its task an approval.
    #[must_use]
    pub fn approval(mut self) -> Self {
        self.approval = true;
        self
    }

    /// Sets the deadline, in days after launch.
    #[must_use]
    pub fn due_in_days(mut self, days: u32) -> Self {
        self.deadline_days = Some(days);
        self
    }

    fn build(&self, position: usize, ids: &mut Ids) -> Step {
        Step {
            id: ids.hex(),
            title: self.title.clone(),
            alias: self.alias.clone(),
            summary: format!("<p>{}</p>", self.title),
            task_type: if self.approval { "approval" } else { "task" }.to_owned(),
            position,
            assignees: self.assignees.clone(),
            webhook: self.webhook.clone(),
            captures: build_captures(&self.captures, ids),
            deadline_days: self
                .deadline_days
                .unwrap_or_else(|| u32::try_from(position).unwrap_or(1)),
        }
    }
}

impl CaptureDraft {
    /// An optional field. Choice fields get two options, a table gets two columns.
    #[must_use]
    pub fn new(label: &str, field_type: FieldType) -> Self {
        let choices = matches!(
            field_type,
            FieldType::Radio | FieldType::Dropdown | FieldType::Multiselect
        );
        let two = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        Self {
            label: label.to_owned(),
            field_type,
            required: false,
            options: if choices {
                two("First choice", "Second choice")
            } else {
                Vec::new()
            },
            columns: if field_type == FieldType::Table {
                two("Item", "Count")
            } else {
                Vec::new()
            },
        }
    }

    /// Makes the field required.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Sets the option texts.
    #[must_use]
    pub fn options<const N: usize>(mut self, texts: [&str; N]) -> Self {
        self.options = texts.map(str::to_owned).to_vec();
        self
    }
}

fn build_captures(drafts: &[CaptureDraft], ids: &mut Ids) -> Vec<Capture> {
    drafts
        .iter()
        .enumerate()
        .map(|(n, draft)| Capture {
            id: ids.hex(),
            label: draft.label.clone(),
            alias: alias_of(&draft.label),
            field_type: draft.field_type,
            required: draft.required,
            position: n + 1,
            options: draft.options.clone(),
            columns: draft.columns.clone(),
        })
        .collect()
}

/// `Company name` becomes `company-name`.
pub(crate) fn alias_of(text: &str) -> String {
    let words: Vec<String> = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    words.join("-")
}
