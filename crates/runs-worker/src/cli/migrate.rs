//! `runs-worker migrate`

use std::process::ExitCode;

use clap::Args;
use runs_store::{Inspection, SchedulingTime, StoreError, StoreLocation};

use super::with_store::{End, Outcome, Trouble};
use super::{MISUSED, Settings, fail, print};
use crate::identity::identity;

#[derive(Debug, Args)]
pub(super) struct Migrate {
    /// Change nothing: only say what would be done
    #[arg(long)]
    check: bool,
}

impl Migrate {
    pub(super) async fn run(self, settings: &Settings) -> ExitCode {
        let location = match settings.kept() {
            Ok(kept) => kept.store.location(),
            Err(error) => return fail(MISUSED, &error.to_string()),
        };
        let outcome = match location {
            Ok(location) => self.migrate(&location).await,
            Err(error) => Err(error.into()),
        };
        outcome.map_or_else(Trouble::end, End::code)
    }

    async fn migrate(&self, location: &StoreLocation) -> Outcome {
        let text = match location.inspect().await? {
            Inspection::Absent if self.check => {
                format!("{location} is not there yet; the worker makes it when it starts")
            }
            Inspection::Present { schema, supported, .. } if schema >= supported => {
                format!("{location} has schema version {schema}, which this version knows")
            }
            Inspection::Present { schema, supported, .. } if self.check => {
                format!(
                    "{location} has schema version {schema}; it will be brought to {supported} when a worker starts"
                )
            }
            _ => {
                bring_up_to_date(location).await?;
                format!("{location} is up to date")
            }
        };
        print::say(&text)
    }
}

/// The store is brought up to date by whoever opens it as a worker.
async fn bring_up_to_date(location: &StoreLocation) -> Result<(), StoreError> {
    let store = location.open(&identity(), SchedulingTime::by_wall_clock()).await?;
    store.close().await;
    Ok(())
}
