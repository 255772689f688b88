//! Which events, notifications or deliveries a command means.

use clap::Args;
use jiff::Timestamp;
use runs_store::{HandlerName, IdsOf, Query, Store};
use tallyfy_model::{OrgId, RunId};

use super::moment::moment;
use super::run_ref::run_ref;
use super::short_id::ShortId;
use super::with_store::Trouble;

/// Which events, notifications or deliveries.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Their ids, or as much of the beginning of each as no other id begins with
    #[arg(value_name = "ID")]
    ids: Vec<ShortId>,
    #[command(flatten)]
    of: OfRun,
    /// From this time on: 1h or 2d ago, 2026-01-31, 2026-01-31T09:00 (UTC)
    #[arg(long, value_name = "TIME", value_parser = in_the_past)]
    since: Option<Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = in_the_past)]
    until: Option<Timestamp>,
}

/// One run.
#[derive(Debug, Args)]
struct OfRun {
    /// Those of this run: its id, or a link to it
    #[arg(long, value_name = "RUN_ID", value_parser = run_ref)]
    run: Option<RunId>,
    /// Those of this organization
    #[arg(long, value_name = "ORG_ID")]
    org: Option<OrgId>,
}

/// How a list is printed.
#[derive(Debug, Args)]
pub(super) struct Output {
    /// One JSON object a line, for programs
    #[arg(long)]
    pub(super) json: bool,
    /// How many at most
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    pub(super) limit: usize,
}

/// One handler.
#[derive(Debug, Args)]
pub(super) struct OfHandler {
    /// Those of this handler
    #[arg(long, value_name = "NAME")]
    handler: Option<String>,
}

fn in_the_past(text: &str) -> Result<Timestamp, String> {
    moment(text, Timestamp::now())
}

impl Which {
    /// What is meant, with whole ids.
    pub(super) async fn query(&self, store: &dyn Store, of: IdsOf) -> Result<Query, Trouble> {
        let mut query = Query::default();
        for id in &self.ids {
            query.ids.push(id.find(store, of).await?);
        }
        query.run.clone_from(&self.of.run);
        query.org.clone_from(&self.of.org);
        (query.since, query.until) = (self.since, self.until);
        Ok(query)
    }

    pub(super) fn says_something(&self) -> bool {
        !self.ids.is_empty()
            || self.of.run.is_some()
            || self.of.org.is_some()
            || self.since.is_some()
            || self.until.is_some()
    }
}

impl OfHandler {
    pub(super) fn name(&self) -> Option<HandlerName> {
        self.handler.clone().map(HandlerName::new)
    }
}
