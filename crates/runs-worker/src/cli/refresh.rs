//! `runs-worker refresh`

use std::process::ExitCode;

use clap::Args;
use runs_store::{Lane, Query, SchedulingTime};
use tallyfy_model::{OrgId, RunId};

use super::run_ref::run_ref;
use super::with_store::{End, misused, note, with_store};
use super::{Settings, print};

#[derive(Debug, Args)]
pub(super) struct Refresh {
    /// The runs, by id or by link
    #[arg(required = true, value_parser = run_ref)]
    runs: Vec<RunId>,
    /// The organization [default: the only one that is configured]
    #[arg(long)]
    org: Option<OrgId>,
}

impl Refresh {
    pub(super) async fn run(self, settings: &Settings) -> ExitCode {
        let org = match self.org {
            Some(org) => Ok(org),
            None => match settings.load(false).map(|loaded| loaded.organizations) {
                Ok(organizations) => match organizations.as_slice() {
                    [only] => Ok(only.id.clone()),
                    _ => Err("several organizations are configured; say which with --org".to_owned()),
                },
                Err(error) => Err(error.to_string()),
            },
        };
        with_store(settings, async |store| {
            let org = org.map_err(misused)?;
            for run in &self.runs {
                store
                    .request_refresh(&org, run, Lane::Live, SchedulingTime::by_wall_clock())
                    .await?;
                let mut about = Query::default();
                (about.org, about.run) = (Some(org.clone()), Some(run.clone()));
                note(store, &about, format!("asked for a fetch of run {run}")).await;
            }
            print::say(&format!(
                "{} asked for; the worker fetches as soon as it may",
                print::plural(self.runs.len() as u64, "run")
            ))?;
            Ok(End::Well)
        })
        .await
    }
}
