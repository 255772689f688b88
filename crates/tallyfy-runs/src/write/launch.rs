//! Launching a run.

use serde_json::{Value, json};
use tallyfy_model::{Checklist, ChecklistId, Run, RunId, TagId, UserId};
use tallyfy_transport::Request;

use super::refused;
use crate::client::Client;
use crate::decode;
use crate::error::Error;
use crate::form::{Entry, Form, WrongEntry, name_of};

/// The longest name of a run, in characters.
const LONGEST_NAME: usize = 550;

/// A launch to be done, of a template that was fetched.
///
/// It knows the kick-off form, so that no answer is dropped without a word, as the API does with those under an alias or a
/// label, and no required one is left out, which is what most launches fail of (API reference, sections h and i).
///
/// ```no_run
/// use tallyfy_runs::{Client, GetTemplateOptions, Launch};
///
/// # async fn launch(client: Client) -> Result<(), Box<dyn std::error::Error>> {
/// let template = client.get_template("TEMPLATE_ID", &GetTemplateOptions::none()).await?;
/// let launch = Launch::of(&template, "Onboarding of Globex").fill("Company", "Globex")?.fill("Plan", "Growth")?;
/// let run = client.launch_run(&launch).await?;
/// println!("launched {}", run.id());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "nothing is launched before `launch_run`"]
pub struct Launch {
    template: Option<ChecklistId>,
    name: String,
    form: Form,
    summary: Option<String>,
    owner: Option<UserId>,
    tags: Vec<TagId>,
    parent: Option<RunId>,
}

impl Launch {
    /// Launches a template under a name.
    pub fn of(template: &Checklist, name: impl Into<String>) -> Self {
        Self {
            template: template.id.get().cloned(),
            name: name.into(),
            form: Form::of_kickoff(template),
            summary: None,
            owner: None,
            tags: Vec::new(),
            parent: None,
        }
    }

    /// Answers the field of the kick-off form with this id, label or alias.
    ///
    /// # Errors
    /// [`WrongEntry`] if there is no such field, or its type takes no such answer.
    pub fn fill(mut self, field: &str, entry: impl Into<Entry>) -> Result<Self, WrongEntry> {
        self.form = self.form.fill(field, entry)?;
        Ok(self)
    }

    /// Takes a kick-off form that was filled elsewhere.
    pub fn with_form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// Describes the run.
    pub fn with_summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = Some(summary.into());
        self
    }

    /// Gives the run to this member, and not to the token's owner.
    pub fn with_owner(mut self, owner: impl Into<UserId>) -> Self {
        self.owner = Some(owner.into());
        self
    }

    /// Tags the run.
    pub fn with_tags(mut self, tags: impl IntoIterator<Item = impl Into<TagId>>) -> Self {
        self.tags = tags.into_iter().map(Into::into).collect();
        self
    }

    /// Launches it as a part of another run.
    pub fn with_parent(mut self, parent: impl Into<RunId>) -> Self {
        self.parent = Some(parent.into());
        self
    }

    /// What the API would refuse, or take for something else.
    fn problem(&self) -> Option<String> {
        let missing: Vec<String> = self.form.missing().map(name_of).collect();
        match self.name.chars().count() {
            _ if self.template.is_none() => Some("the template has no id".to_owned()),
            0 => Some("the run has no name".to_owned()),
            length if length > LONGEST_NAME => Some(format!(
                "the name has {length} characters, expected at most {LONGEST_NAME}"
            )),
            _ if !missing.is_empty() => Some(format!("required and not answered: {}", missing.join(", "))),
            _ => None,
        }
    }

    fn to_json(&self) -> Value {
        let mut body = json!({
            "checklist_id": self.template.as_ref().map(ChecklistId::as_str),
            "name": self.name,
            // A list would lose every answer.
            "prerun": self.form.to_json(),
        });
        if let Some(summary) = &self.summary {
            body["summary"] = summary.as_str().into();
        }
        if let Some(owner) = &self.owner {
            body["owner_id"] = owner
                .as_str()
                .parse::<u64>()
                .map_or_else(|_| owner.as_str().into(), Value::from);
        }
        if !self.tags.is_empty() {
            body["tags"] = self.tags.iter().map(TagId::as_str).collect();
        }
        if let Some(parent) = &self.parent {
            body["parent_id"] = parent.as_str().into();
        }
        body
    }
}

impl Client {
    /// Launches a run: `POST /organizations/{org}/runs`.
    ///
    /// The API has no key by which it would know a launch again: after an [`Error::OutcomeUnknown`], look for the run by its
    /// name before launching once more.
    ///
    /// # Errors
    /// [`Error`]; [`Error::Unsendable`] where a required field has no answer or the name is too long: nothing is sent then.
    pub async fn launch_run(&self, launch: &Launch) -> Result<Run, Error> {
        let request = Request::post(self.path(["runs"]))?;
        if let Some(problem) = launch.problem() {
            return Err(refused(&request, problem));
        }
        self.ask(request.json(launch.to_json().to_string()), decode::launched)
            .await
    }
}
