//! `runs-worker get`

use std::process::ExitCode;

use clap::Args;
use tallyfy_model::{Run, RunId, indented, without_guest_links};
use tallyfy_runs::{Error, Include};

use super::with_store::{End, Trouble};
use super::{FAILED, MISUSED, Settings, account, fail, print};
use crate::telemetry;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  runs-worker get RUN_ID\n  runs-worker get https://go.tallyfy.com/ORG_ID/processes/RUN_ID --with tasks,tags"
)]
pub(super) struct Get {
    /// The run's id, or a link to it
    #[arg(value_name = "RUN_ID", value_parser = super::run_ref::run_ref)]
    run: RunId,
    /// What to fetch with it, separated by commas [default: refresh.includes of the configuration]
    #[arg(long, value_name = "INCLUDES", value_delimiter = ',')]
    with: Option<Vec<Include>>,
    /// Whether to fetch the values of form fields [default: refresh.form_fields_values of the configuration]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    form_fields_values: Option<bool>,
    /// Print the bytes of `data` as they came, controls and guest links included
    #[arg(long)]
    raw: bool,
    /// With its guest links, which open a task without a login
    #[arg(long)]
    guest_links: bool,
    /// The organization, where several are configured
    #[arg(long, value_name = "ORG_ID")]
    org: Option<String>,
}

impl Get {
    pub(super) async fn run(self, settings: &Settings) -> ExitCode {
        let loaded = match settings.load(false) {
            Ok(loaded) => loaded,
            Err(error) => return fail(MISUSED, &error.to_string()),
        };
        let organization = match account::organization(&loaded.organizations, self.org.as_deref()) {
            Ok(organization) => organization,
            Err(message) => return fail(MISUSED, &message),
        };
        let client = match account::client(&loaded, organization) {
            Ok(client) => client,
            Err(error) => return fail(FAILED, &telemetry::chain(&error)),
        };

        let mut refresh = loaded.config.refresh;
        refresh.includes = self.with.unwrap_or(refresh.includes);
        refresh.form_fields_values = self.form_fields_values.unwrap_or(refresh.form_fields_values);
        match client.get_run(&self.run, &refresh.get_run_options()).await {
            Ok(run) if self.raw => print::bytes(run.raw().as_bytes()).map_or_else(Trouble::end, End::code),
            Ok(run) => match shown(&run, self.guest_links) {
                Ok(shown) => print::body(shown.as_bytes(), false).map_or_else(Trouble::end, End::code),
                Err(error) => fail(FAILED, &format!("the run cannot be searched for guest links: {error}")),
            },
            Err(error) => {
                let advice = advice(&error).map(|advice| format!("\n  {advice}")).unwrap_or_default();
                fail(FAILED, &format!("{}{advice}", telemetry::chain(&error)))
            }
        }
    }
}

/// A run for a person.
fn shown(run: &Run, guest_links: bool) -> Result<String, serde_json::Error> {
    if guest_links {
        return Ok(indented(run.raw()));
    }
    without_guest_links(run.raw()).map(|shown| indented(&shown))
}

/// What a person can do about it.
pub(super) fn advice(error: &Error) -> Option<&'static str> {
    match error {
        Error::TokenRefused { .. } => Some(
            "tokens die when their owner logs out of Tallyfy; make a new one under Settings > Integrations > REST API",
        ),
        Error::NoAccess { .. } => {
            Some("the token's owner may not see this run, or the token is another organization's")
        }
        Error::NotFound { .. } => Some("check the run's id and the organization's"),
        Error::NotReachable { .. } => Some("check the base URL and the network"),
        _ => None,
    }
}
