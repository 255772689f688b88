//! Getting one run.

use tallyfy_model::{Run, RunId};

use crate::client::Client;
use crate::decode;
use crate::error::Error;
use crate::include::Include;
use crate::query::with;

/// What is fetched together with a run. The default is what the vendor's documentation shows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetRunOptions {
    /// The values of `with`.
    pub includes: Vec<Include>,
    /// Whether the values of form fields are fetched.
    pub form_fields_values: bool,
}

impl Default for GetRunOptions {
    fn default() -> Self {
        Self {
            includes: vec![Include::Checklist, Include::Tasks, Include::Tags, Include::FormFields],
            form_fields_values: true,
        }
    }
}

impl GetRunOptions {
    /// The run alone.
    pub fn none() -> Self {
        Self {
            includes: Vec::new(),
            form_fields_values: false,
        }
    }

    /// Fetches these with it, and no others.
    #[must_use]
    pub fn with_includes(mut self, includes: impl IntoIterator<Item = Include>) -> Self {
        self.includes = includes.into_iter().collect();
        self
    }

    /// Fetches the values of form fields, or leaves them out.
    #[must_use]
    pub fn with_form_fields_values(mut self, values: bool) -> Self {
        self.form_fields_values = values;
        self
    }
}

impl Client {
    /// Gets a run: `GET /organizations/{org}/runs/{run}`.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn get_run(&self, run: impl Into<RunId>, options: &GetRunOptions) -> Result<Run, Error> {
        let run = run.into();
        let mut request = with(self.get(["runs", run.as_str()])?, &options.includes);
        if options.form_fields_values {
            request = request.query("form_fields_values", "true");
        }
        self.ask(request, |body| decode::run(body, &run)).await
    }
}
