//! `runs-worker check`: a doctor. It looks at everything that a worker needs, says what to do about what is wrong, and changes
//! nothing.

mod api;
mod database;
mod file_system;
mod finding;
mod folder;
mod handlers;
mod ports;
mod public_url;
mod registrations;
mod secrets;
mod store;
pub(super) mod token;
mod webhooks;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use self::finding::{Finding, IDS, Report};
use super::with_store::{Trouble, misused};
use super::{Settings, account};
use crate::config::{Loaded, Organization};

pub(super) use self::finding::{Verdict, show};

const AFTER_HELP: &str = "\
Findings are `ok`, `warn` or `FAIL`; --json has them with ids that stay the same, for programs.

Exit status: 0 all is well, 1 a failure, 2 the command line or the configuration is wrong, 4 warnings alone.

Examples:
  runs-worker check
  runs-worker check --only registrations,public-url --timeout 5s
  runs-worker check --json | jq -r '.findings[] | select(.severity != \"ok\") | .id'";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Check {
    /// One JSON object, for programs
    #[arg(long)]
    json: bool,
    /// Only these findings, separated by commas
    #[arg(long, value_name = "IDS", value_delimiter = ',')]
    only: Vec<String>,
    /// How long one look over the network may take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    timeout: Duration,
}

fn duration(text: &str) -> Result<Duration, String> {
    let refused = || format!("`{text}`: expected a length of time such as `500ms` or `10s`");
    let signed: jiff::SignedDuration = text.parse().map_err(|_| refused())?;
    Duration::try_from(signed).map_err(|_| refused())
}

impl Check {
    pub(super) async fn run(self, settings: &Settings) -> ExitCode {
        if let Some(unknown) = self.only.iter().find(|id| !IDS.contains(&id.as_str())) {
            let message = crate::shared::unknown_word::unknown_word("finding", unknown, &IDS);
            return misused(message).end();
        }
        let loaded = match settings.load(true) {
            Ok(loaded) => loaded,
            Err(error) => {
                let problems: Vec<String> = error.problems().iter().map(ToString::to_string).collect();
                let finding = Finding::misconfiguration("configuration", problems.join("; "));
                let report = Report::new(vec![finding.hint("`runs-worker config --example` has every key")]);
                return self.end(&report);
            }
        };
        self.end(&Report::new(self.findings(&loaded).await))
    }

    fn end(&self, report: &Report) -> ExitCode {
        report.print(self.json).map_or_else(Trouble::end, |_| report.code())
    }

    async fn findings(&self, loaded: &Loaded) -> Vec<Finding> {
        let mut findings = Vec::new();
        let wanted = |ids: &[&str]| self.only.is_empty() || self.only.iter().any(|id| ids.contains(&id.as_str()));
        if wanted(&["configuration"]) {
            findings.push(configuration(loaded));
        }
        if wanted(&["secret-files"]) {
            findings.extend(secrets::files(loaded));
        }
        let (store, holder) = store::look(loaded).await;
        if wanted(&["store", "workers", "database"]) {
            findings.extend(store);
        }
        if wanted(&["ports"]) {
            findings.extend(ports::look(loaded, holder.is_some()));
        }
        if wanted(&["data-folder", "file-system", "free-space", "fsync"]) {
            findings.extend(folder::look(loaded));
        }
        if wanted(&["budget"]) {
            findings.push(api::budget(&loaded.config.api));
        }
        for organization in &loaded.organizations {
            findings.extend(self.of_organization(loaded, organization, wanted).await);
        }
        if wanted(&["handlers"]) {
            findings.extend(handlers::look(loaded, self.timeout).await);
        }
        if wanted(&["public-url"]) {
            findings.push(public_url::look(loaded, holder.is_some(), self.timeout).await);
        }
        findings.retain(|finding| wanted(&[finding.id]));
        findings
    }

    /// What belongs to one organization. Where the API does not answer, nothing more is asked of it.
    async fn of_organization(
        &self,
        loaded: &Loaded,
        organization: &Organization,
        wanted: impl Fn(&[&str]) -> bool,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        if wanted(&["secrets"]) {
            findings.push(secrets::strength(organization));
        }
        let asks = ["api", "clock", "token", "registrations", "webhooks"];
        if !wanted(&asks) {
            return findings;
        }
        let client = match account::client_with_secrets(loaded, organization) {
            Ok(client) => client,
            Err(error) => {
                let failure = Finding::failure("api", crate::telemetry::chain(&error));
                findings.push(failure.of(&organization.id));
                return findings;
            }
        };
        let (of_api, answers) = api::look(loaded, &client, self.timeout).await;
        findings.extend(of_api);
        if wanted(&["token"]) {
            findings.push(token::look(loaded, organization, &client, answers, self.timeout).await);
        }
        if !answers {
            return findings;
        }
        let coverage = match wanted(&["registrations", "webhooks"]) {
            true => {
                let (found, coverage) = registrations::look(loaded, organization, &client, self.timeout).await;
                findings.extend(found);
                coverage
            }
            false => None,
        };
        if wanted(&["webhooks"]) {
            findings.push(webhooks::look(loaded, &client, coverage.as_ref(), self.timeout).await);
        }
        findings
    }
}

fn configuration(loaded: &Loaded) -> Finding {
    let from = loaded
        .file
        .as_ref()
        .map_or_else(|| "no file".to_owned(), |file| file.display().to_string());
    let listen: Vec<_> = loaded.config.receive.listen.iter().map(ToString::to_string).collect();
    Finding::ok(
        "configuration",
        format!(
            "{from}; listening on {} (webhooks) and {} (admin); API at {}",
            listen.join(", "),
            loaded.config.admin.listen,
            loaded.config.api.base_url
        ),
    )
}
