//! Getting a template, listing templates. The API calls them checklists.

use tallyfy_model::{Checklist, ChecklistId, RunType, WithJson};
use tallyfy_transport::{Request, TransportError};

use crate::client::Client;
use crate::decode;
use crate::error::Error;
use crate::include::TemplateInclude;
use crate::pages::Pages;
use crate::query::{query, text, with};

/// What is fetched together with a template. The default is its steps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetTemplateOptions {
    /// The values of `with`.
    pub includes: Vec<TemplateInclude>,
}

impl Default for GetTemplateOptions {
    fn default() -> Self {
        Self {
            includes: vec![TemplateInclude::Steps],
        }
    }
}

impl GetTemplateOptions {
    /// The template alone; its kick-off form is always there.
    pub fn none() -> Self {
        Self { includes: Vec::new() }
    }

    /// Fetches these with it, and no others.
    #[must_use]
    pub fn with_includes(mut self, includes: impl IntoIterator<Item = TemplateInclude>) -> Self {
        self.includes = includes.into_iter().collect();
        self
    }
}

/// Which templates are listed, and what is fetched with each. The default is all, alone.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ListTemplatesOptions {
    /// A text to search for, in titles.
    pub search: Option<String>,
    /// What they make of their runs.
    pub run_type: Option<RunType>,
    /// What is fetched with each.
    pub includes: Vec<TemplateInclude>,
    /// Parameters that are not among these, as they go into the query.
    pub other: Vec<(String, String)>,
}

impl ListTemplatesOptions {
    /// Searches for a text.
    #[must_use]
    pub fn with_search(mut self, text: impl Into<String>) -> Self {
        self.search = Some(text.into());
        self
    }

    /// Lists those of a type.
    #[must_use]
    pub fn with_run_type(mut self, run_type: RunType) -> Self {
        self.run_type = Some(run_type);
        self
    }

    /// Fetches these with each template.
    #[must_use]
    pub fn with_includes(mut self, includes: impl IntoIterator<Item = TemplateInclude>) -> Self {
        self.includes = includes.into_iter().collect();
        self
    }

    /// Adds a parameter that this crate does not know. The server ignores those that it does not know either.
    #[must_use]
    pub fn with_other(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.other.push((name.into(), value.into()));
        self
    }

    fn query(&self, request: Request) -> Result<Request, TransportError> {
        let parameters = [("q", self.search.clone()), ("type", text(self.run_type.as_ref()))];
        query(request, parameters, &self.other, &self.includes)
    }
}

impl Client {
    /// Gets a template: `GET /organizations/{org}/checklists/{template}`.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn get_template(
        &self,
        template: impl Into<ChecklistId>,
        options: &GetTemplateOptions,
    ) -> Result<WithJson<Checklist>, Error> {
        let template = template.into();
        let request = with(self.get(["checklists", template.as_str()])?, &options.includes);
        self.ask(request, |body| decode::template(body, &template)).await
    }

    /// Lists templates: `GET /organizations/{org}/checklists`.
    pub fn list_templates(&self, options: &ListTemplatesOptions) -> Pages<WithJson<Checklist>> {
        let request = self.get(["checklists"]).and_then(|request| options.query(request));
        Pages::new(self, request, |json| {
            decode::element(json, |template: &Checklist| template.id.get())
        })
    }
}
